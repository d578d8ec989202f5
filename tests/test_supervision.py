"""What heads do to training: pairing, free discarding, gradients, and the ways of teaching."""

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from recipe import killed_and_resumed
from refusal import refused, transcript

from resjax import config as configs
from resjax import job as jobs
from resjax.config import Config
from resjax.digests import digest
from resjax.errors import UserError
from resjax.losses import Objective, Term
from resjax.models.heads import discard
from resjax.training import train


def headed(config: Config, *heads: dict[str, Any], **changes: Any) -> Config:
    flags = [f"--config.{key.replace('__', '.')}={value}" for key, value in changes.items()]
    return configs.override({**config.to_dict(), "heads": heads}, flags)


def head(name: str, endpoint: str = "stem", **settings: Any) -> dict[str, Any]:
    return {"name": name, "endpoint": endpoint, **settings}


def gradients(config: Config) -> dict[str, Any]:
    """-> of the objective, at the initial parameters, by part of the net."""
    job = jobs.build(config)
    stage, data = job.last, job.device_data(job.dataset.train)
    state = stage.init_state(jax.random.key(0))
    x, targets = data.pipeline.evaluate(data.images[:100]), {"labels": data.labels[:100]}
    weights = {name: jnp.float32(values[0]) for name, values in stage.loss_weights(0, 1).items()}

    def loss(params: Any) -> jax.Array:
        variables = {"params": params, **state.collections}
        outputs: Any = stage.net.apply(variables, x, train=True, mutable=list(state.collections))[0]
        return stage.task.objective(outputs, targets, weights)

    return jax.jit(jax.grad(loss))(state.params)


def norm(tree: Any) -> float:
    return float(jnp.sqrt(sum(jnp.square(leaf).sum() for leaf in jax.tree.leaves(tree))))


def test_attached_heads_move_neither_the_trunk_s_start_nor_the_order_of_data(tiny: Config) -> None:
    bare = jobs.build(tiny).last.init_state(jax.random.key(3)).params["trunk"]
    job = jobs.build(headed(tiny, head("a"), head("b", "block1")))
    full = job.last.init_state(jax.random.key(3)).params
    assert digest(bare) == digest(full["trunk"])
    assert full.keys() == {"trunk", "head_a", "head_b"}


def test_discarded_heads_leave_the_logits_s_bits_and_the_program_of_a_net_without(tiny: Config) -> None:
    config = headed(tiny, head("a"), head("b", "block1", form="flattened_linear"))
    job, bare = jobs.build(config), jobs.build(tiny)
    state = job.last.init_state(jax.random.key(0))
    x = jnp.ones((5, *job.dataset.image_shape))
    with_heads: Any = job.last.net.apply(state.variables, x, train=False)
    kept, net = discard(state.variables, ["a", "b"]), job.last.net.without(["a", "b"])
    without: Any = net.apply(kept, x, train=False)
    np.testing.assert_array_equal(with_heads["main"], without["main"])
    assert kept["params"].keys() == {"trunk"}
    programs = [
        jax.jit(lambda v, x, net=each: net.apply(v, x, train=False)).lower(kept, x).compile().as_text()
        for each in (net, bare.last.net)
    ]
    programs = [re.findall(r"%.*?(?=, metadata=|$)", text, re.MULTILINE) for text in programs]
    assert programs[0] == programs[1]  # but for the lines of source that they came from
    assert len(programs[0]) > 20


def test_after_discard_at_the_run_carries_nothing_of_the_head(tiny: Config, tmp_path: Path) -> None:
    config = headed(tiny, head("a", discard_at=4), head("b"), train__ema_decay=0.5)
    result = train(config, tmp_path)
    before, after = ([r for r in result["curve"] if "train/loss" in r and s(r["step"])] for s in (
        lambda step: step <= 4, lambda step: step > 4,
    ))  # fmt: skip
    assert all("train/a/loss" in row for row in before)
    assert not any("train/a/loss" in row for row in after)
    assert all("train/b/loss" in row for row in before + after)
    like = jobs.build(config).state_like(12)
    names = jax.tree_util.tree_leaves_with_path(like)
    assert not any("head_a" in jax.tree_util.keystr(path) for path, _ in names)


@pytest.mark.parametrize(
    "stop",
    [pytest.param(3, marks=pytest.mark.slow), 4, pytest.param(5, marks=pytest.mark.slow)],
    ids=["before", "at", "after"],
)
def test_a_run_resumes_around_a_discard_to_the_same_bits(
    tiny: Config, tmp_path: Path, stop: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = headed(tiny, head("a", discard_at=4), train__checkpoint_every=1)
    whole = train(config, tmp_path / "whole")
    resumed = killed_and_resumed(config, tmp_path / "cut", stop, monkeypatch)
    assert resumed["state_sha256"] == whole["state_sha256"]
    assert resumed["curve"] == whole["curve"]


def test_heads_bring_gradient_to_the_lowest_layer_of_a_deep_plain_net(tiny: Config) -> None:
    """Without norms, and with initial weights half as large as ReLUs need, each layer halves its square."""
    deep = {"model__depth": 30, "model__width": 64, "model__skip": False, "model__norm": "none"}
    deep["model__init"] = "lecun"
    bare, full = headed(tiny, **deep), headed(tiny, head("a", "block4", weight=0.3), **deep)
    lowest = [norm(gradients(config)["trunk"]["stem_dense"]) for config in (bare, full)]
    assert lowest[0] > 0
    assert lowest[1] > 100 * lowest[0]


def test_a_probe_reads_and_does_not_teach(tiny: Config) -> None:
    bare = gradients(tiny)["trunk"]
    probed = gradients(headed(tiny, head("a", stop_gradient=True)))
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, atol=1e-7), bare, probed["trunk"])
    assert norm(probed["head_a"]) > 0


def test_isolated_parts_are_taught_by_their_own_head_alone(tiny: Config) -> None:
    taught = gradients(headed(tiny, head("a", "block1", isolate=True, weight=1.0), model__depth=6))["trunk"]
    alone = gradients(headed(tiny, head("a", "block1", isolate=True, weight=2.0), model__depth=6))["trunk"]
    for part in ("stem_dense", "block1"):  # proportional to the head's weight: nothing else teaches them
        assert norm(alone[part]) == pytest.approx(2 * norm(taught[part]), rel=1e-5)
    for part in ("block2", "classifier"):  # behind the cut: the head's weight is nothing to them
        assert norm(alone[part]) == pytest.approx(norm(taught[part]), rel=1e-5)


def test_a_head_s_own_rate_scales_its_own_steps(tiny: Config, tmp_path: Path) -> None:
    slow = headed(tiny, head("a", rate=0.0), schedule__length=3)
    job = jobs.build(slow)
    key, _ = jax.random.split(jax.random.key(0))
    start = job.last.init_state(key).params
    train(slow, tmp_path)
    from resjax.checkpoint import Checkpoints

    with Checkpoints(tmp_path, read_only=True) as checkpoints:
        end = checkpoints.restore(3, job.state_like(3))[0].params
    assert digest(start["head_a"]) == digest(end["head_a"])
    assert digest(start["trunk"]) != digest(end["trunk"])


def test_a_loss_below_its_threshold_teaches_nothing() -> None:
    outputs, targets = {"main": jnp.zeros((4, 10)), "a": jnp.zeros((4, 10))}, {"labels": jnp.arange(4)}
    weights = {"main": jnp.float32(1.0), "a": jnp.float32(1.0)}
    chance = float(np.log(10))
    for gamma, expected in ((1.0, 2 * chance - 1), (3.0, chance)):
        objective = Objective({"main": Term(), "a": Term(gamma=gamma)})
        assert float(objective(outputs, targets, weights)) == pytest.approx(expected, rel=1e-6)
    gradient = jax.grad(lambda o: objective(o, targets, weights))(outputs)
    assert norm(gradient["a"]) == 0 < norm(gradient["main"])


BAD: list[tuple[list[dict[str, Any]], str]] = [
    ([head("a", "blok1")], "config.heads[0].endpoint"),
    ([head("a"), head("a")], "config.heads[1].name"),
    ([head("main")], "config.heads[0].name"),
    ([head("a", form="googlenet")], "config.heads[0].form"),
    ([head("a", weight=-1.0)], "config.heads[0].weight"),
    ([head("a", discard_at=99)], "config.heads[0].discard_at"),
    ([head("a", loss="hinge")], "config.heads[0].loss"),
    ([head("a", form="pooled")], "config.heads[0].form"),
    ([{"name": "a"}], "config.heads[0].endpoint"),
]


@pytest.mark.golden
def test_bad_heads_are_refused_by_key(tiny: Config, golden: Callable[[str, str], None]) -> None:
    messages = {
        str(heads): refused(UserError, lambda heads=heads: jobs.build(headed(tiny, *heads)), key)
        for heads, key in BAD
    }
    golden("messages/heads.txt", transcript(messages))
