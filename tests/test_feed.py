"""What programs are given: the same examples from wherever, a little ahead of time, and reasons to stop."""

import time
from pathlib import Path
from typing import Any

import jax
import numpy as np
import pytest
from noted import Noted, noted
from recipe import greedy

from resjax import config as configs
from resjax import device, plan
from resjax import job as jobs
from resjax.config import Config
from resjax.data import split as split_module
from resjax.data.batches import train_batches
from resjax.data.split import Rows, Split
from resjax.device import Batch, Images, Streamed
from resjax.errors import UserError
from resjax.feed import chunks, feed
from resjax.job import Job
from resjax.programs import TrainProgram


def build(config: Config, hold: str, *flags: str) -> Job:
    return jobs.build(configs.override(config, [f"--config.data.hold={hold}", *flags]))


def watched(job: Job, **settings: Any) -> tuple[Streamed, Noted]:
    """-> the training images of a job, and the same to ask which were read."""
    images = noted(np.asarray(job.dataset.train.images), **settings)
    return Streamed(Split(images, job.dataset.train.labels), None, job.pipeline), images


@pytest.mark.parametrize(
    ("hold", "limit", "streams"),
    [("auto", 115_008, False), ("auto", 115_007, True), ("device", 0, False), ("host", 10**9, True)],
)
def test_where_images_lie_is_as_the_config_says_or_by_their_size(
    tiny: Config, hold: str, limit: int, streams: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of 1,797 images of 64 bytes, train, held out and test."""
    monkeypatch.setattr(split_module, "LARGEST", limit)
    job = build(tiny, hold)
    assert job.streams == streams
    assert isinstance(job.source(job.dataset.test), Streamed if streams else Images)


@pytest.mark.parametrize("done", [0, 5])
def test_dispatches_are_the_order_of_the_examples_cut_where_there_is_something_to_do(
    tiny: Config, done: int
) -> None:
    """Reports every 3 steps, checkpoints every 4, evaluation every 5, four steps in a program."""
    job = build(tiny, "host", "--config.train.steps_per_dispatch=4")
    found = list(chunks(job, job.last, done))
    ends = (np.cumsum([count for _, count in found]) + done).tolist()
    assert ends == [end for end in (3, 4, 5, 6, 8, 9, 10, 12) if end > done]
    order = np.concatenate([index[:count] for index, count in found])
    np.testing.assert_array_equal(order, train_batches(1400, 100, 0, done, 12 - done))
    assert {index.shape for index, _ in found} == {(4, 100)}


def test_a_dispatch_is_no_more_than_is_to_come_to_a_device_at_once(
    tiny: Config, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(jobs, "CHUNK", 3 * 100 * 64 + 1)
    assert [build(tiny, hold).per_dispatch(build(tiny, hold).last) for hold in ("device", "host")] == [50, 3]
    monkeypatch.setattr(jobs, "CHUNK", 1)
    assert build(tiny, "host").per_dispatch(build(tiny, "host").last) == 1
    job = build(tiny, "host", "--config.train.steps_per_dispatch=7")
    assert job.per_dispatch(job.last) == 7


@pytest.mark.parametrize("shape", [(2, 3), (5,)])
def test_what_is_gathered_is_what_the_index_says(tiny: Config, shape: tuple[int, ...]) -> None:
    job = build(tiny, "host", "--config.input.flip=True")
    index = np.random.default_rng(0).integers(0, 1400, shape)
    ((same, rest, batch),) = feed(job.source(job.dataset.train), [(index, "rest")])
    assert isinstance(batch, Batch)
    assert rest == "rest"
    np.testing.assert_array_equal(same, index)
    np.testing.assert_array_equal(batch.images, job.dataset.train.images[index])
    np.testing.assert_array_equal(batch.labels, job.dataset.train.labels[index])
    assert batch.labels.dtype == np.int32


def test_images_that_a_step_reads_are_those_of_the_device_to_the_bit(tiny: Config) -> None:
    job, index = build(tiny, "host", "--config.input.pad=1"), np.arange(6).reshape(2, 3)
    held, net = job.device_data(job.dataset.train), job.last.net
    ((_, _, batch),) = feed(job.source(job.dataset.train), [(index, None)])
    for step, key in ((0, None), (1, jax.random.key(3))):
        there, here = (each.at(step).read(net, {}, index[step], key) for each in (held, batch))
        jax.tree.map(np.testing.assert_array_equal, there, here)


def test_examples_are_brought_one_dispatch_ahead_and_no_more(tiny: Config) -> None:
    data, images = watched(build(tiny, "host"))
    given = feed(data, ((np.arange(10) + 10 * number, number) for number in range(5)))
    for number in range(5):
        _, found, _ = next(given)
        assert found == number
        due = min(number + 2, 5)
        for _ in range(500):
            if len(images.rows) >= due:
                break
            time.sleep(0.01)
        assert images.rows == [list(range(10 * first, 10 * first + 10)) for first in range(due)]
    assert next(given, None) is None


@pytest.mark.parametrize("error", [OSError, MemoryError])
def test_an_error_in_the_thread_is_told_in_a_sentence(tiny: Config, error: type[Exception]) -> None:
    data, _ = watched(build(tiny, "host"), limit=2, error=error)
    given = feed(data, ((np.arange(10), number) for number in range(5)))
    assert [next(given)[1], next(given)[1]] == [0, 1]
    with pytest.raises(UserError, match="the disk is gone"):
        next(given)


def test_no_program_picks_images_out_of_those_that_it_is_given(tiny: Config) -> None:
    def picks(hold: str) -> int:
        job = build(tiny, hold, "--config.train.steps_per_dispatch=2")
        stage, key = job.last, jax.random.key(0)
        index, count, data = next(feed(job.source(job.dataset.train), chunks(job, stage, 0)))
        program = TrainProgram(2, stage.task)
        rest = (index, count, data, key, stage.loss_weights(0, 2))
        text = program.lower(stage.init_state(key), *rest).as_text()
        return sum("gather" in line and "xui8>" in line for line in text.splitlines())

    assert picks("device") == 1
    assert picks("host") == 0


def test_features_are_kept_of_images_on_the_device_alone(tiny: Config) -> None:
    held, streamed = (build(greedy(tiny), hold).stages for hold in ("device", "host"))
    assert [stage.keeps_features for stage in held] == [False, True, False]
    assert not any(stage.keeps_features for stage in streamed)


@pytest.mark.slow
def test_a_table_s_plan_measures_a_streamed_run(tiny: Config) -> None:
    assert plan.measure(build(tiny, "host"), time.perf_counter) > 0


def test_probes_take_few_examples_of_a_file(tiny: Config, tmp_path: Path) -> None:
    job = build(tiny, "host")
    np.save(tmp_path / "images.npy", job.dataset.train.images[:])
    file: Any = np.load(tmp_path / "images.npy", mmap_mode="r")
    whole = Split(Rows(file, np.arange(1400)), job.dataset.train.labels)
    index = np.array([7, 3, 1399])
    found = job.device_data(whole.take(index))
    assert isinstance(found, device.Images)
    np.testing.assert_array_equal(found.images, job.dataset.train.images[index])
