"""What makes training fast, where a clock would flake: dispatches, waits, the compiled form, memory."""

import re
from pathlib import Path
from typing import Any

import jax
import numpy as np
import pytest
from recipe import with_phases

from resjax import config as configs
from resjax import job as jobs
from resjax import programs, training
from resjax.config import Config
from resjax.data.sources import Dataset
from resjax.data.split import Split
from resjax.programs import TrainProgram
from resjax.training import train

ROOT = Path(__file__).parent.parent


def test_an_epoch_is_as_many_dispatches_and_waits_as_the_config_asks_for(
    tiny: Config, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """14 steps of 100 of 1,400 examples; logged every 7, evaluated at the end, 5 in a program."""
    counts = {"dispatches": 0, "waits": 0}
    call, wait = TrainProgram.__call__, jax.block_until_ready

    def counted_call(*args: Any) -> Any:
        counts["dispatches"] += 1
        return call(*args)

    def counted_wait(value: Any) -> Any:
        counts["waits"] += 1
        return wait(value)

    monkeypatch.setattr(programs.TrainProgram, "__call__", counted_call)
    monkeypatch.setattr(training.jax, "block_until_ready", counted_wait)
    settings = {"train__steps_per_dispatch": 5, "train__log_every": 7, "train__checkpoint_every": 1000}
    train(with_phases(tiny, schedule__length=14, train__eval_every=1.0, **settings), tmp_path)
    assert counts["dispatches"] == 4  # 5, 2, 5, 2
    # Behind the first program, two reports, the one program that is more than two ahead, and each of the
    # evaluations' two batches.
    assert counts["waits"] == 1 + 2 + 2 + 2


BATCH, SIZE, WIDTH = 32, 16, 8


@pytest.fixture(scope="module")
def compiled_step() -> Any:
    """A step of ResNet-8, 8 wide, on 32 images of 16 x 16 pixels, as the compiler leaves it."""
    images = Split(np.zeros((BATCH, SIZE, SIZE, 3), np.uint8), np.zeros(BATCH, np.int64))
    given = {"model.depth": 8, "model.width": WIDTH, "train.batch_size": BATCH, "input.pad": 0}
    config = configs.load(
        f"{ROOT}/configs/cifar10_resnet.py", [f"--config.{k}={v}" for k, v in given.items()]
    )
    job = jobs.build(config, lambda **_: Dataset("noise", 10, images, images, images))
    stage, index = job.last, np.zeros((1, BATCH), np.int32)
    state, key = stage.init_state(jax.random.key(0)), jax.random.key(1)
    program = TrainProgram(1, stage.task)
    return program.lower(state, index, 1, job.device_data(images), key, stage.loss_weights(0, 1)).compile()


def test_every_convolution_of_a_step_is_in_the_order_of_the_fast_kernels(compiled_step: Any) -> None:
    orders = re.findall(r" convolution\(.*dim_labels=(\S+?)[,\s]", compiled_step.as_text())
    assert len(orders) == 3 * 7 - 1  # forward and two gradients, but for the images
    assert set(orders) == {"b01f_01io->b01f"}


def test_a_step_keeps_no_more_than_it_must(compiled_step: Any) -> None:
    """Each convolution's output and each ReLU's, and some for what is in flight: 1.6 times as much here."""
    stages = [BATCH * (SIZE // by) ** 2 * WIDTH * by * 4 for by in (1, 2, 4)]  # bytes of a layer's output
    kept = 2 * (2 * sum(stages) + stages[0])  # two layers in each stage, and the stem
    assert compiled_step.memory_analysis().temp_size_in_bytes < 1.8 * kept
