"""Training whose chains of identical units run in a loop: its steps, states, checkpoints and phases."""

import shutil
from functools import partial
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from recipe import head, killed_and_resumed, phase, with_phases
from selection import parametrize_sampled

from resjax import config as configs
from resjax import job as jobs
from resjax import stacking
from resjax.checkpoint import Checkpoints
from resjax.config import Config
from resjax.digests import digest
from resjax.errors import UserError
from resjax.evaluation import evaluate
from resjax.loop import SCAN_FROM, Loop
from resjax.losses import Objective, Term
from resjax.models.blocks import Layers
from resjax.models.heads import Net
from resjax.models.mlp import ResidualMLP
from resjax.models.resnet import ResNet
from resjax.models.trunk import Trunk
from resjax.optim import make_optimizer
from resjax.step import Task, init_state, train_step
from resjax.training import train

UNROLLED, SCANNED = 1000, 2  # scan_from
CHAIN = ("b2", "b3", "b4", "b5", "b6")
CHOICES: list[Any] = [  # endpoints that are read, the least length, what is chosen
    ((), 5, (CHAIN,)),
    ((), 6, ()),
    (("b4",), 2, (("b2", "b3", "b4"), ("b5", "b6"))),
    (("b4",), 3, (("b2", "b3", "b4"),)),
    (("b5", "b3"), 2, (("b2", "b3"), ("b4", "b5"))),  # in the chain's order, not in that of reading
    (("b2",), 2, (CHAIN[1:],)),  # its first
    (("b6",), 5, (CHAIN,)),  # its last
    (("b5",), 0, (CHAIN[:-1],)),  # one part alone is no loop
    (CHAIN, 1, ()),
    (("stem", "main"), 5, (CHAIN,)),
]


def test_chains_are_split_where_heads_read_and_by_default_scanned_where_they_are_long() -> None:
    for read, least, expected in CHOICES:
        assert stacking.choose([CHAIN], read, least) == expected, (read, least)
    assert stacking.choose([(), ("a2",), ("c2", "c3"), CHAIN], (), 2) == (("c2", "c3"), CHAIN)
    short, long = (tuple(f"b{n}" for n in range(length)) for length in (SCAN_FROM - 1, SCAN_FROM))
    assert Loop().scans([short, long], ()) == (long,)
    assert Loop(remat="norms").scans([CHAIN[:1], CHAIN[:2], short], ()) == (CHAIN[:2], short)


def base(scan_from: int, **changes: Any) -> Config:
    """5 units, of which those behind the first are a chain, with a head within; 12 steps."""
    config = {
        "data": {"name": "digits"},
        "model": {"name": "residual_mlp", "depth": 12, "width": 8},
        "schedule": {"name": "constant", "unit": "steps", "length": 12, "learning_rate": 0.05},
        "train": {"batch_size": 100, "log_every": 3, "checkpoint_every": 4, "eval_every": 0.36},
        "heads": (head("block3"),),
    }
    changes = {"train__scan_from": scan_from, "train__ema_decay": 0.9, **changes}
    return with_phases(configs.override(config, ()), **changes)


def drawn(shapes: Any) -> Any:
    """-> values in no special place: no two units are alike."""
    rng = np.random.default_rng(0)

    def draw(path: Any, leaf: Any) -> jax.Array:
        positive = "scale" in str(path[-1]) or "var" in str(path[-1])
        values = rng.uniform(0.5, 2, leaf.shape) if positive else rng.normal(0, 0.5, leaf.shape)
        return jnp.asarray(values if leaf.dtype == jnp.float32 else values > 0, leaf.dtype)

    return jax.tree_util.tree_map_with_path(draw, shapes)


def named(tree: Any) -> dict[str, np.ndarray]:
    leaves = jax.tree_util.tree_leaves_with_path(tree)
    return {jax.tree_util.keystr(path, simple=True, separator="/"): np.asarray(leaf) for path, leaf in leaves}


@pytest.mark.parametrize("optimizer", ["sgd", "adam"])
def test_a_whole_state_is_stacked_and_back(optimizer: str) -> None:
    stage = jobs.build(base(SCANNED, optim__name=optimizer)).last
    assert stage.net.scanned == (("block2", "block3"), ("block4", "block5"))
    state = drawn(stage.state_like(0))
    packed, expected = stage.pack(state), named(state)
    for first, second in stage.net.scanned:
        for name in [name for name in expected if f"/{second}/" in name]:
            other = name.replace(f"/{second}/", f"/{first}/")
            expected[other] = np.stack([expected[other], expected.pop(name)])
    assert digest(named(packed)) == digest(expected)  # of names, shapes and bits
    places, back = {"params", "opt_state", "collections", "ema"}, stage.unpack(packed)
    assert {name.split("/")[0] for name in expected if "/block2/" in name} == places
    assert jax.tree.structure(back) == jax.tree.structure(state)
    assert digest(back) == digest(state)


def test_a_scanned_run_starts_with_the_same_bits() -> None:
    stages = [jobs.build(base(scan_from)).last for scan_from in (UNROLLED, SCANNED)]
    states = [stage.unpack(stage.init_state(jax.random.key(0))) for stage in stages]
    assert digest(states[0]) == digest(states[1])


BOTTLENECK = ResNet(10, Layers(), (3,), (4,), "bottleneck", "1x1", "preactivation", "A", True, "cifar")
TRUNKS: dict[str, tuple[Trunk, str, int]] = {  # with the optimizer, and how far XLA optimises
    "basic": (BOTTLENECK.clone(block="basic", order="original"), "sgd", 3),
    "bottleneck": (BOTTLENECK, "sgd", 0),
    "mlp": (ResidualMLP(10, Layers(), 4, 8, "preactivation", True), "adam", 0),
}


@parametrize_sampled("kind", TRUNKS, default=["mlp"])
def test_a_scanned_step_is_the_unrolled_one(kind: str) -> None:
    """In float32, to 1e-5 of an array's largest value; to 1e-3 for gradients, whose sums cancel.

    Each of three steps is made from the same state: where rounding adds up, a ReLU flips at last.
    """
    (trunk, optimizer, level), job = TRUNKS[kind], jobs.build(base(UNROLLED))
    options, rate = {"xla_backend_optimization_level": level}, optax.constant_schedule(0.01)
    descent = make_optimizer(rate, name=optimizer, weight_decay=1e-3, clip_norm=1.0)
    chains, images = stacking.choose(trunk.chains(), (), 2), jnp.zeros((2, *job.dataset.image_shape))
    shapes = jax.eval_shape(lambda: Net(trunk).init(jax.random.key(0), images, train=False))
    objective, names = Objective({"main": Term()}), frozenset(shapes["params"]["trunk"])
    nets = (Net(trunk), Net(trunk, scanned=chains))
    alone, looped = (Task(net, objective, descent, names, ema_decay=0.9) for net in nets)
    with jax.numpy_dtype_promotion("standard" if optimizer == "adam" else "strict"):  # as test_optim.py says
        steps = [jax.jit(partial(train_step, task=t), compiler_options=options) for t in (alone, looped)]
        state, data = init_state(alone, drawn(shapes)), job.device_data(job.dataset.train)
        for number in range(3):
            given = (jnp.arange(32) + 32 * number, data, jax.random.key(1), {"main": jnp.float32(1)})
            scanned = stacking.unstack(steps[1](stacking.stack(state, chains), *given), chains)
            state = steps[0](state, *given)
            assert jax.tree.structure(scanned) == jax.tree.structure(state)
            for (name, a), b in zip(named(scanned).items(), named(state).values(), strict=True):
                tolerance = 1e-3 if name.startswith("opt_state") else 1e-5
                np.testing.assert_allclose(a, b, rtol=0, atol=tolerance * np.abs(b).max(), err_msg=name)


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> dict[int, tuple[Path, dict[str, Any]]]:
    """-> {scan_from: folder and result}"""
    folders = {scan_from: tmp_path_factory.mktemp("run") for scan_from in (UNROLLED, SCANNED)}
    return {scan_from: (folder, train(base(scan_from), folder)) for scan_from, folder in folders.items()}


def assert_close(curve: list[dict[str, Any]], expected: list[dict[str, Any]]) -> None:
    """Losses to 1e-4; an accuracy, of a hundred examples or more, by one of a hundred."""
    for row, other in zip(curve, expected, strict=True):
        assert row.keys() == other.keys()
        assert row.get("phase") == other.get("phase")
        for name in row.keys() - {"phase"}:
            slack = 0.011 if "accuracy" in name else 1e-4 * other[name]
            assert row[name] == pytest.approx(other[name], rel=0, abs=slack), name


@pytest.mark.slow
def test_a_scanned_run_has_the_metrics_of_an_unrolled_one(runs: Any) -> None:
    (_, unrolled), (_, scanned) = runs[UNROLLED], runs[SCANNED]
    assert_close(scanned["curve"], unrolled["curve"])


@pytest.mark.slow
@pytest.mark.parametrize(
    ("one", "other"), [(SCANNED, UNROLLED), pytest.param(UNROLLED, SCANNED, marks=pytest.mark.slow)]
)
def test_a_checkpoint_of_one_goes_on_as_the_other(runs: Any, tmp_path: Path, one: int, other: int) -> None:
    """A folder belongs to one config, `scan_from` included; but what lies in it does not depend on that."""
    folder, result = runs[one]
    with pytest.raises(UserError, match=r"config\.train\.scan_from"):
        train(base(other), folder)
    with Checkpoints(folder, read_only=True) as checkpoints:
        state, meta = checkpoints.restore(12, jobs.build(base(other)).state_like(12))
    with Checkpoints(runs[other][0], read_only=True) as checkpoints:
        _, others = checkpoints.restore(12, jobs.build(base(one)).state_like(12))
    assert digest(state) == result["state_sha256"]
    assert meta["layout"] == others["layout"]
    shutil.copytree(folder, tmp_path / "run")
    for name in ("config.json", "result.json"):
        (tmp_path / "run" / name).unlink()
    shutil.rmtree(tmp_path / "run" / "checkpoints" / "12")
    resumed = train(base(other), tmp_path / "run")  # from step 10
    assert resumed["curve"][:-2] == result["curve"][:-2]
    assert_close(resumed["curve"], result["curve"])


@pytest.mark.slow
def test_a_scanned_run_evaluates_to_what_training_logged(runs: Any) -> None:
    folder, result = runs[SCANNED]
    logged = {name: value for name, value in result["metrics"].items() if name.startswith("test/")}
    for config in (None, base(UNROLLED)):
        report = evaluate(folder, config=config)
        found = {f"test/{name}": report[name] for name in report if f"test/{name}" in logged}
        assert found == pytest.approx(logged, rel=1e-5)
        assert len(found) == 4


@pytest.mark.slow
def test_a_killed_scanned_run_resumes_to_the_same_bits(
    runs: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    resumed, (_, whole) = killed_and_resumed(base(SCANNED), tmp_path, 8, monkeypatch), runs[SCANNED]
    for key in ("state_sha256", "curve", "metrics"):
        assert resumed[key] == whole[key]


def test_a_phase_that_leaves_out_or_freezes_a_part_is_not_scanned() -> None:
    spans = [dict(until="block3"), dict(after="block1", until="block3"), dict(freeze=("block1",)), {}]
    phases = (phase(f"p{n}", head("block3"), **span) for n, span in enumerate(spans))
    whole = (("block2", "block3"), ("block4", "block5"))
    stages = jobs.build(with_phases(base(SCANNED), *phases)).stages
    assert [stage.net.scanned for stage in stages] == [(), (), (), whole, whole]
    frozen = jobs.build(base(SCANNED, train__freeze="('block3',)"))
    assert frozen.last.net.scanned == ()


@pytest.mark.slow
def test_greedy_pretraining_leaves_the_same_bits_to_a_scanned_phase(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    saved, save = [], Checkpoints.save

    def keep(self: Checkpoints, step: int, state: Any, *rest: Any) -> None:
        saved.append((step, digest(state)))
        save(self, step, state, *rest)

    monkeypatch.setattr(Checkpoints, "save", keep)
    phases = phase("first", head("block3"), until="block3", steps=4), phase("whole", steps=4)
    short = dict(model__depth=8, schedule__length=3)
    both = (with_phases(base(scan_from, **short), *phases) for scan_from in (UNROLLED, SCANNED))
    curves = [train(config, tmp_path / str(number))["curve"] for number, config in enumerate(both)]
    assert [step for step, _ in saved] == [4, 8, 11] * 2
    assert saved[0] == saved[3]  # the end of the first phase
    assert_close(*curves)
