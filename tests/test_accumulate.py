"""A step in parts: the whole batch's numbers, and where a layer looks at other examples, those of groups."""

from functools import partial
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from recipe import decoder, head, killed_and_resumed, phase, with_phases
from selection import parametrize_sampled

from resjax import config as configs
from resjax import job as jobs
from resjax.accumulate import over_parts, shares
from resjax.checkpoint import digest
from resjax.config import Config
from resjax.job import Job
from resjax.programs import TrainProgram
from resjax.step import TrainState, train_step
from resjax.training import train

BATCH, PARTS = 48, 3
ROUNDING = 2e-5  # of an array's largest value


def small(*flags: str) -> Config:
    """Two dense units on digits, cropped and flipped, with momentum and a moving average."""
    config = {
        "data": {"name": "digits"},
        "input": {"pad": 1, "flip": True},
        "model": {"name": "residual_mlp", "depth": 6, "width": 8, "norm": "none"},
        "schedule": {"name": "constant", "unit": "steps", "length": 6, "learning_rate": 0.02},
        "train": {"batch_size": BATCH, "ema_decay": 0.9, "log_every": 2, "eval_every": 100},
    }
    return configs.override(config, flags)


def stepped(config: Config, index: Any = None, steps: int = 2) -> tuple[Job, TrainState]:
    """-> the state behind some steps on the same examples."""
    job = jobs.build(config)
    stage, data = job.last, job.device_data(job.dataset.train)
    index = jnp.arange(BATCH) if index is None else index
    weights = {name: jnp.float32(value[0]) for name, value in stage.loss_weights(0, 1).items()}
    step = jax.jit(partial(train_step, task=stage.task))
    state = stage.init_state(jax.random.key(0))
    for _ in range(steps):
        state = step(state, index, data, jax.random.key(1), weights)
    return job, state


def distance(a: Any, b: Any) -> float:
    """-> the greatest difference of two trees' arrays, in units of each array's largest value."""
    assert jax.tree.structure(a) == jax.tree.structure(b)
    pairs = zip(*([np.asarray(x, np.float64) for x in jax.tree.leaves(tree)] for tree in (a, b)), strict=True)
    return max(np.abs(x - y).max() / max(np.abs(y).max(), 1e-6) for x, y in pairs)


def test_parts_take_every_so_many_th_example() -> None:
    assert shares(jnp.arange(6), 3).tolist() == [[0, 3], [1, 4], [2, 5]]


def test_means_and_sums_are_of_all_parts_in_float32_and_each_has_a_key_of_its_own() -> None:
    batch = jnp.full(512, 3, jnp.bfloat16)
    like = jnp.zeros((), jnp.bfloat16), (jnp.zeros(()), jnp.zeros(()))

    def find(part: Any, key: Any) -> Any:
        return part.mean(), (jnp.float32(len(part)), jax.random.uniform(key))

    mean, (count, drawn) = over_parts(find, 512, batch, jax.random.key(0), like)
    assert (mean.dtype, float(mean), float(count)) == (jnp.bfloat16, 3, 512)  # bfloat16 would stop at 768
    assert abs(float(drawn) / 512 - 0.5) < 0.1


@parametrize_sampled("flags", [(), ("--config.model.param_dtype=bfloat16",)], ids=str, default=1)
def test_without_norm_and_dropout_parts_are_the_whole(flags: tuple[str, ...]) -> None:
    _, whole = stepped(small(*flags))
    _, parts = stepped(small(*flags, f"--config.train.accumulate={PARTS}"))
    tolerance = 0.02 if flags else ROUNDING
    assert [leaf.dtype for leaf in jax.tree.leaves(parts)] == [leaf.dtype for leaf in jax.tree.leaves(whole)]
    assert 0 < distance((parts.params, parts.ema), (whole.params, whole.ema)) < tolerance
    assert distance(parts.metrics, whole.metrics) < tolerance
    assert {name: float(mean.count) for name, mean in parts.metrics.items()} == {
        "loss": 2 * BATCH,
        "accuracy": 2 * BATCH,
    }


def test_augmentation_is_that_of_the_whole_batch() -> None:
    """So that the test above would see it, had each part its own."""
    _, drawn = stepped(small())
    _, still = stepped(small("--config.input.flip=False"))
    assert distance(still.params, drawn.params) > 10 * ROUNDING


def test_batch_norm_is_that_of_groups_of_a_part_s_size() -> None:
    """Statistics of training, gradients by them, and running statistics; of other groups, all differ."""
    flags = ("--config.model.norm=batch", "--config.input.pad=0", "--config.input.flip=False")
    _, parts = stepped(small(*flags, f"--config.train.accumulate={PARTS}"), steps=1)
    groups, index = BATCH // PARTS, jnp.arange(BATCH)
    grouped = small(*flags, f"--config.model.norm_examples={groups}")
    for order, same in ((index.reshape(-1, PARTS).T.ravel(), True), (index, False)):
        _, found = stepped(grouped, order, steps=1)
        assert (distance(found.params, parts.params) < ROUNDING) == same
        assert (distance(found.collections, parts.collections) < ROUNDING) == same


@pytest.mark.slow
def test_groups_of_examples_lie_within_parts() -> None:
    flags = ("--config.model.norm=batch", "--config.model.norm_examples=8")
    flags += ("--config.input.pad=0", "--config.input.flip=False")
    _, parts = stepped(small(*flags, f"--config.train.accumulate={PARTS}"), steps=1)
    _, whole = stepped(small(*flags), jnp.arange(BATCH).reshape(-1, PARTS).T.ravel(), steps=1)
    assert distance(parts.params, whole.params) < ROUNDING


@pytest.mark.slow
def test_a_step_needs_less_memory() -> None:
    net = ("--config.model.name=cifar_resnet", "--config.model.depth=8", "--config.model.width=4")

    def temporaries(*flags: str) -> int:
        job = jobs.build(small(*net, "--config.train.batch_size=256", *flags))
        stage, index = job.last, np.zeros((1, 256), np.int32)
        rest = (index, 1, job.device_data(job.dataset.train), jax.random.key(0), stage.loss_weights(0, 1))
        lowered = TrainProgram(1, stage.task).lower(stage.init_state(jax.random.key(0)), *rest)
        return lowered.compile().memory_analysis().temp_size_in_bytes

    whole, parts = temporaries(), temporaries("--config.train.accumulate=4")
    assert parts < 0.5 * whole


def test_what_it_costs_is_what_the_batch_costs() -> None:
    whole, parts = (jobs.build(small(*flags)).last for flags in ((), ("--config.train.accumulate=4",)))
    assert parts.multiply_adds == whole.multiply_adds
    assert (whole.task.parts, parts.task.parts) == (1, 4)


def test_a_frozen_module_keeps_its_bits() -> None:
    """A third of a value, three times, need not be the value."""
    flags = ("--config.model.norm=batch", "--config.train.freeze=('block1',)")
    job, after = stepped(small(*flags, f"--config.train.accumulate={PARTS}"))
    before = job.last.init_state(jax.random.key(0))
    for state in (before.params, before.collections["batch_stats"]):
        later = after.params if state is before.params else after.collections["batch_stats"]
        assert digest(later["trunk"]["block1"]) == digest(state["trunk"]["block1"])
        assert digest(later["trunk"]["block2"]) != digest(state["trunk"]["block2"])


def everything(config: Config) -> Config:
    """Autoencoders, the second one on kept features; then a net in a loop with a head that is discarded."""
    first = phase("first", decoder("block1"), until="block1", noise=0.25)
    second = phase("second", decoder("block2"), after="block1", until="block2", noise=0.25)
    changes = {"model__depth": 10, "train__scan_from": 2, "train__ema_decay": 0.9, "train__accumulate": 4}
    config = with_phases(config, first, second, **changes)
    dropped = head("block2", form="normed_linear", discard_at=6)
    return configs.override({**config.to_dict(), "heads": (dropped, head("block3"))}, ())


@pytest.mark.slow
def test_phases_heads_and_kept_features_train_in_parts_and_resume_to_the_same_bits(
    tiny: Config, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = train(everything(tiny), tmp_path / "whole")
    resumed = killed_and_resumed(everything(tiny), tmp_path / "cut", 16, monkeypatch)
    assert resumed["state_sha256"] == whole["state_sha256"]
    assert resumed["curve"] == whole["curve"]
    assert {stage.task.parts for stage in jobs.build(everything(tiny)).stages} == {4}
