"""Phases of training: what moves, what stays, what each kind learns, and that a killed run resumes in any."""

import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from recipe import SHORT, decoder, greedy, head, killed_and_resumed, phase, with_phases

from resjax import config as configs
from resjax import job as jobs
from resjax.beginnings import Beginnings
from resjax.checkpoint import Checkpoints
from resjax.config import Config
from resjax.digests import digest
from resjax.errors import Interrupted
from resjax.phases import Stage
from resjax.training import train


@pytest.fixture
def saved(monkeypatch: pytest.MonkeyPatch) -> dict[int, Any]:
    """-> {step: the state} of every checkpoint that a run makes from now on."""
    states: dict[int, Any] = {}
    save = Checkpoints.save

    def keep(self: Checkpoints, step: int, state: Any, *rest: Any) -> None:
        states[step] = jax.tree.map(np.array, state)
        save(self, step, state, *rest)

    monkeypatch.setattr(Checkpoints, "save", keep)
    return states


def parts(state: Any, *names: str) -> str:
    """-> a digest of some modules of the trunk, parameters and statistics."""
    trees = [state.params["trunk"], state.collections["batch_stats"]["trunk"]]
    return digest([{name: tree[name] for name in names if name in tree} for tree in trees])


def test_greedy_training_leaves_all_but_its_own_layer_bit_identical(
    tiny: Config, tmp_path: Path, saved: dict[int, Any]
) -> None:
    config = configs.override(greedy(tiny), ["--config.train.checkpoint_every=1"])
    start = jobs.build(config).stages[0].init_state(jax.random.split(jax.random.key(0))[0])
    train(config, tmp_path)
    lower, upper = ("stem_dense", "stem_norm", "block1"), ("block2", "classifier")
    assert parts(saved[6], *upper) == parts(start, *upper)
    assert parts(saved[6], *lower) != parts(start, *lower)
    for step in (10, 11, 12):  # finished
        assert parts(saved[step], *lower) == parts(saved[6], *lower)
    assert parts(saved[12], "block2") != parts(saved[6], "block2")
    assert parts(saved[12], "classifier") == parts(saved[6], "classifier")
    for name in (*lower, *upper):  # the last phase trains all of it
        assert parts(saved[24], name) != parts(saved[12], name)
    # Heads are gone after their phase, and the optimizer begins anew with what is trained.
    heads = [sorted(name for name in saved[step].params if name != "trunk") for step in (6, 12, 24)]
    assert heads == [["head_at_block1"], ["head_at_block2"], []]
    assert [int(saved[step].step) for step in (6, 12, 24)] == [6, 6, 12]
    moved = jax.tree_util.tree_leaves_with_path(saved[12].opt_state)
    names = " ".join(jax.tree_util.keystr(path) for path, _ in moved)
    assert "block2" in names
    assert "block1" not in names


def test_pretraining_that_moves_nothing_leaves_the_last_phase_s_bits(tiny: Config, tmp_path: Path) -> None:
    """So the initial values, the order of the data and all randomness of an arm are its control's."""
    augmented = configs.override(tiny, ["--config.input.pad=1", "--config.train.ema_decay=0.9"])
    modules = ("stem_dense", "stem_norm", "block1", "classifier")
    probe = phase("probe", head("block1"), until="block1", freeze=modules)
    bare = train(augmented, tmp_path / "bare")
    after = train(with_phases(augmented, probe), tmp_path / "after")
    assert after["state_sha256"] == bare["state_sha256"]
    assert after["metrics"] == bare["metrics"]


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    return train(three_kinds(), tmp_path_factory.mktemp("whole"))


def three_kinds() -> Config:
    """Denoising, a head dropped within a phase, a shallower net; a checkpoint every 2 steps."""
    base: dict[str, Any] = {
        "data": {"name": "digits", "holdout": 37},
        "input": {"pad": 1},
        "model": {"name": "residual_mlp", "depth": 6, "width": 8},
        "schedule": {**SHORT, "length": 4},
        "train": {"batch_size": 100, "checkpoint_every": 2, "log_every": 3},
    }
    return with_phases(
        configs.override(base, []),
        phase("denoise", decoder("block1"), until="block1", noise=0.3, steps=4),
        phase("drop", head("block1", discard_at=3), head("block2"), until="block2", steps=5),
        phase("shallow", steps=4, model={"depth": 4}),
    )


@pytest.mark.slow
@pytest.mark.parametrize("stop", [2, 4, 6, 8, 10, 12, 14, 16])
def test_a_run_killed_in_any_phase_resumes_to_the_same_bits(
    whole: dict[str, Any], tmp_path: Path, stop: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    resumed = killed_and_resumed(three_kinds(), tmp_path, stop, monkeypatch)
    for key in ("state_sha256", "curve", "transfers", "metrics"):
        assert resumed[key] == whole[key]


@pytest.mark.slow
def test_a_stop_asked_between_two_phases_is_saved_behind_them_and_leaves_the_bits(
    tiny: Config, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """There the step is the first phase's end, which no checkpoint has, and the state the second one's."""
    config, following = greedy(tiny), Beginnings.following
    whole = train(config, tmp_path / "whole")

    def ask(self: Beginnings, stage: Stage, *rest: Any) -> Any:
        if stage.name == "second":
            signal.raise_signal(signal.SIGTERM)
        return following(self, stage, *rest)

    with monkeypatch.context() as patch:
        patch.setattr(Beginnings, "following", ask)
        with pytest.raises(Interrupted, match=r"step ([7-9]|1\d) of 24"):
            train(config, tmp_path / "run")
    resumed = train(config, tmp_path / "run")
    for key in ("state_sha256", "curve", "transfers", "metrics"):
        assert resumed[key] == whole[key]


def test_masking_noise_blanks_its_share_of_the_input_in_training_alone(tiny: Config) -> None:
    job = jobs.build(with_phases(tiny, phase("denoise", decoder("block1"), until="block1", noise=0.3)))
    net, seen = job.stages[0].net, []
    variables = job.stages[0].init_state(jax.random.key(0)).variables

    def watch(call: Callable[..., Any], args: Any, kwargs: Any, context: Any) -> Any:
        if type(context.module).__name__ == "ResidualMLP" and context.method_name == "__call__":
            seen.append(np.asarray(args[0]))
        return call(*args, **kwargs)

    x = jnp.ones((64, *job.dataset.image_shape))
    with nn.intercept_methods(watch):
        for flag in (True, False):
            rngs = {"noise": jax.random.key(1)}
            net.apply(variables, x, train=flag, mutable=["batch_stats"], rngs=rngs)
    assert set(np.unique(seen[0])) == {0.0, 1.0}  # masked or left as it was, not scaled
    assert (seen[0] == 0).mean() == pytest.approx(0.3, abs=0.02)
    assert (seen[1] == 1).all()


def test_a_frozen_part_is_computed_as_in_evaluation(tiny: Config) -> None:
    """Its norms take their running statistics, so a batch's features do not depend on the others in it."""
    job = jobs.build(greedy(tiny))
    net = job.stages[1].net
    variables = job.stages[1].init_state(jax.random.key(0)).variables
    x = jax.random.normal(jax.random.key(2), (6, *job.dataset.image_shape))
    trunk = {name: tree["trunk"] for name, tree in variables.items()}
    whole_trunk: Any = net.trunk.apply(trunk, x, train=False)
    features: Any = net.apply(variables, x, method="enter")
    np.testing.assert_array_equal(features, whole_trunk["block1"])
    alone: Any = net.apply(variables, x[:1], method="enter")
    np.testing.assert_allclose(features[:1], alone, rtol=1e-5, atol=1e-6)
