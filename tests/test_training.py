"""The main job, on a net so small that a run takes a second."""

import json
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from selection import parametrize_sampled

from resjax import config as configs
from resjax import job as jobs
from resjax import programs, step
from resjax.checkpoint import Checkpoints
from resjax.config import Config
from resjax.digests import digest
from resjax.errors import Diverged
from resjax.evaluation import evaluate
from resjax.training import train


def with_(config: Config, **changes: Any) -> Config:
    flags = [f"--config.{key.replace('__', '.')}={value}" for key, value in changes.items()]
    return configs.override(config, flags)


def rows(workdir: Path) -> list[dict[str, float]]:
    return [json.loads(line) for line in (workdir / "metrics.jsonl").read_text().splitlines()]


def test_a_run_learns_and_says_where_it_came_from(tiny: Config, tmp_path: Path) -> None:
    result = train(with_(tiny, schedule__length=60, model__width=32), tmp_path)
    assert result["metrics"]["test/accuracy"] > 0.85
    assert result["steps"] == 60
    assert result["versions"]["jax"] == jax.__version__
    assert result["device"]["platform"] == "cpu"
    assert result["seconds"] > 0
    assert result["images_per_second"] > 0
    assert result == json.loads((tmp_path / "result.json").read_text())


def test_bfloat16_is_for_computing_alone(tiny: Config, finished: Path, tmp_path: Path) -> None:
    result = train(with_(tiny, schedule__length=30, model__dtype="bfloat16"), tmp_path / "narrow")
    losses = [row["train/loss"] for row in result["curve"] if "train/loss" in row]
    assert np.isfinite(losses).all()
    assert losses[-1] < losses[0]
    assert any(float(jnp.bfloat16(loss)) != loss for loss in losses)  # they are wider
    with Checkpoints(tmp_path / "narrow", read_only=True) as checkpoints:
        arrays = checkpoints.arrays(30)
    kinds = {str(array.dtype) for array in arrays.values() if jnp.issubdtype(array.dtype, jnp.inexact)}
    assert kinds == {"float32"}
    assert result_of(finished)["curve"][0]["train/loss"] != losses[0]


def result_of(workdir: Path) -> dict[str, Any]:
    return json.loads((workdir / "result.json").read_text())


def test_same_seed_same_bits_other_seed_other_bits(tiny: Config, finished: Path, tmp_path: Path) -> None:
    first, again = result_of(finished), train(tiny, tmp_path / "again")
    other = train(with_(tiny, seed=1), tmp_path / "other")
    assert first["state_sha256"] == again["state_sha256"]
    assert first["curve"] == again["curve"]
    assert other["state_sha256"] != first["state_sha256"]


def test_seed_changes_the_initial_values(tiny: Config, tmp_path: Path) -> None:
    """In a batch of all examples their order does not matter, so the first losses show the initial values."""
    losses = []
    for seed in (0, 1):
        config = with_(tiny, seed=seed, train__batch_size=1400, train__log_every=1, schedule__length=1)
        losses.append(train(config, tmp_path / f"{seed}")["curve"][0]["train/loss"])
    assert losses[0] != pytest.approx(losses[1], rel=1e-3)


def test_a_finished_run_is_not_run_again(tiny: Config, finished: Path) -> None:
    before = (finished / "result.json").stat().st_mtime_ns
    assert train(tiny, finished) == result_of(finished)
    assert (finished / "result.json").stat().st_mtime_ns == before


def test_the_step_is_traced_once(tiny: Config, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """12 steps in chunks of 3, 1, 2, ...: one program for the steps, one for each split's evaluation."""
    calls = {"train": 0, "eval": 0}
    train_step, eval_step = programs.train_step, programs.eval_step

    def counted_step(*args: Any, **kwargs: Any) -> Any:
        calls["train"] += 1
        return train_step(*args, **kwargs)

    def counted_evaluation(*args: Any, **kwargs: Any) -> Any:
        calls["eval"] += 1
        return eval_step(*args, **kwargs)

    monkeypatch.setattr(programs, "train_step", counted_step)
    monkeypatch.setattr(programs, "eval_step", counted_evaluation)
    train(with_(tiny, train__steps_per_dispatch=3), tmp_path)
    assert calls == {"train": 1, "eval": 2}  # validation and test differ in size


@parametrize_sampled("dispatched", [1, 5], default=[5])
def test_steps_in_one_program_are_the_steps_one_by_one(
    tiny: Config, finished: Path, tmp_path: Path, dispatched: int
) -> None:
    one = result_of(finished)
    many = train(with_(tiny, train__steps_per_dispatch=dispatched), tmp_path / "many")
    for a, b in zip(one["curve"], many["curve"], strict=True):
        assert a.keys() == b.keys()
        np.testing.assert_allclose(list(a.values()), list(b.values()), rtol=2e-5)


def test_log_lines_and_evaluations_come_where_the_config_says(finished: Path) -> None:
    """1,400 examples in batches of 100: 0.36 of an epoch is 5 steps."""
    reports = [row["step"] for row in rows(finished) if "train/loss" in row]
    evaluations = [row["step"] for row in rows(finished) if "validation/accuracy" in row]
    tests = [row["step"] for row in rows(finished) if "test/accuracy" in row]
    assert reports == [3, 5, 6, 9, 10, 12]
    assert evaluations == [5, 10, 12]
    assert tests == [12]


def test_reported_training_loss_is_the_mean_since_the_last_report(
    tiny: Config, finished: Path, tmp_path: Path
) -> None:
    """Reports of 3, 2, 1, 3, ... steps, weighted, are the reports of every single step."""
    train(with_(tiny, train__log_every=1), tmp_path / "each")
    single = {row["step"]: row["train/loss"] for row in rows(tmp_path / "each") if "train/loss" in row}
    start = 0
    for row in rows(finished):
        if "train/loss" in row:
            expected = np.mean([single[s] for s in range(start + 1, int(row["step"]) + 1)])
            np.testing.assert_allclose(row["train/loss"], expected, rtol=1e-5)
            start = int(row["step"])


@parametrize_sampled("batch_size", [1, 7, 359, 360, 1000], default=(7, 360, 1000))
def test_evaluation_counts_each_example_once_whatever_the_batch(
    tiny: Config, finished: Path, batch_size: int
) -> None:
    report = evaluate(finished, config=with_(tiny, train__eval_batch_size=batch_size))
    assert report["examples"] == 360
    assert report["accuracy"] * 360 == pytest.approx(round(report["accuracy"] * 360), abs=1e-4)
    assert report["accuracy"] == pytest.approx(rows(finished)[-1]["test/accuracy"], abs=1e-6)


def test_the_moving_average_is_what_is_evaluated(tiny: Config, tmp_path: Path) -> None:
    job = jobs.build(with_(tiny, train__ema_decay=0.75))
    state = job.last.init_state(jax.random.key(0))
    assert state.ema is not None
    weights = {"main": jax.numpy.float32(1)}
    data, index = job.device_data(job.dataset.train), jax.numpy.arange(100)
    after = step.train_step(state, index, data, jax.random.key(1), weights, task=job.last.task)
    for average, old, new in zip(
        jax.tree.leaves(after.ema),
        jax.tree.leaves(state.ema),
        jax.tree.leaves({"params": after.params, **after.collections}),
        strict=True,
    ):
        np.testing.assert_allclose(average, 0.75 * old + 0.25 * new, rtol=1e-6, atol=1e-7)
    assert after.variables is after.ema


def test_training_evaluates_the_moving_average(tiny: Config, tmp_path: Path) -> None:
    """`evaluate` reads the average from the checkpoint."""
    result = train(with_(tiny, train__ema_decay=0.9), tmp_path)
    assert evaluate(tmp_path)["loss"] == pytest.approx(result["metrics"]["test/loss"], rel=1e-5)


def test_a_loss_that_is_not_finite_stops_the_run_and_is_never_saved(tiny: Config, tmp_path: Path) -> None:
    with pytest.raises(Diverged) as caught:
        train(with_(tiny, schedule__learning_rate=1e30, model__norm="none"), tmp_path)
    assert 0 < caught.value.step < 12
    assert f"at step {caught.value.step};" in str(caught.value)
    assert not (tmp_path / "result.json").exists()
    assert all(np.isfinite(row["train/loss"]) for row in rows(tmp_path) if "train/loss" in row)


def test_heads_are_metrics_and_leave_the_trunk_s_start_alone(
    tiny: Config, finished: Path, tmp_path: Path
) -> None:
    head = {"name": "early", "endpoint": "stem", "weight": 0.0}
    headed = configs.override({**tiny.to_dict(), "heads": (head,)}, ())
    plain, with_head = result_of(finished), train(headed, tmp_path / "headed")
    assert "test/early/accuracy" in with_head["metrics"]
    key = jax.random.key(3)
    bare, full = (jobs.build(config).last.init_state(key).params for config in (tiny, headed))
    assert digest(bare["trunk"]) == digest(full["trunk"])
    # A head of weight 0 teaches nothing: the trunk's own curve is the plain run's, to rounding.
    assert with_head["metrics"]["test/loss"] == pytest.approx(plain["metrics"]["test/loss"], rel=1e-4)


def test_tensorboard_events_hold_the_log_s_numbers(finished: Path) -> None:
    from tensorboardX.proto import event_pb2

    messages: Any = event_pb2
    (file,) = (finished / "tensorboard").iterdir()
    raw, found, at = file.read_bytes(), {}, 0
    while at < len(raw):  # records: length, its checksum, the event, its checksum
        length = int.from_bytes(raw[at : at + 8], "little")
        event = messages.Event.FromString(raw[at + 12 : at + 12 + length])
        for value in event.summary.value:
            found[event.step, value.tag] = value.simple_value
        at += 12 + length + 4
    for row in rows(finished):
        for name in row.keys() - {"step"}:
            assert found[row["step"], name] == pytest.approx(row[name], rel=1e-6)
