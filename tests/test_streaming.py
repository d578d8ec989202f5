"""Runs whose images stay on the host: the bits of those whose images lie on the device, whatever happens."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from recipe import CONVOLUTIONAL, greedy, killed_and_resumed

from resjax import backend
from resjax import config as configs
from resjax.attempt import Kill, attempt
from resjax.checkpoint import Checkpoints
from resjax.config import Config
from resjax.data import sources
from resjax.data.sources import Dataset
from resjax.data.split import Rows, Split
from resjax.errors import UserError
from resjax.evaluation import evaluate
from resjax.training import train

ROOT = Path(__file__).parent.parent
SAME = ("state_sha256", "curve", "metrics", "training_multiply_adds")
LONG = """
from ml_collections import ConfigDict

def get_config():
    config = ConfigDict()
    config.data = dict(name="digits", holdout=37)
    config.input = dict(pad=1, flip=True)
    config.model = dict(name="cifar_resnet", depth=8, width=2)
    config.schedule = dict(name="cosine", unit="steps", length=300, learning_rate=0.05)
    config.train = dict(batch_size=50, log_every=7, checkpoint_every=100, eval_every=5, ema_decay=0.9)
    return config
"""


def cropped(tiny: Config, *flags: str) -> Config:
    """ResNet-8 on cropped and mirrored digits, with dispatches that are cut short."""
    return configs.override(
        {**tiny.to_dict(), "model": CONVOLUTIONAL, "input": dict(pad=1, flip=True)}, flags
    )


def connected(tiny: Config, *flags: str) -> Config:
    """Dense layers on cropped and mirrored digits."""
    return configs.override(tiny, ["--config.input.pad=1", "--config.input.flip=True", *flags])


def trained_greedily(tiny: Config, *flags: str) -> Config:
    return configs.override(
        greedy(tiny), ["--config.input.pad=1", "--config.train.eval_mirrored=True", *flags]
    )


def same(one: dict[str, Any], other: dict[str, Any]) -> None:
    for key in SAME:
        assert one[key] == other[key], key


@pytest.fixture
def fusion_emitters(monkeypatch: pytest.MonkeyPatch) -> None:
    """Compiles with the fusion emitters, as users do, here and in child processes.

    The programs that read images on the device and on the host are fused differently. Only the emitters round
    both in the same way.
    """
    flag = "--xla_cpu_use_fusion_emitters=false"
    if flag in os.environ["XLA_FLAGS"]:
        options = backend.compiler_options

        def with_emitters(deterministic: bool = False) -> dict[str, Any]:
            return {**(options(deterministic) or {}), "xla_cpu_use_fusion_emitters": True}

        monkeypatch.setattr(backend, "compiler_options", with_emitters)
        monkeypatch.setenv("XLA_FLAGS", os.environ["XLA_FLAGS"].replace(flag, ""))


@pytest.mark.slow
@pytest.mark.usefixtures("fusion_emitters")
@pytest.mark.parametrize(("recipe", "steps"), [(cropped, 4), (trained_greedily, 1)])
def test_a_run_has_the_same_bits_wherever_its_images_lie(
    tiny: Config, tmp_path: Path, recipe: Any, steps: int
) -> None:
    dispatch = f"--config.train.steps_per_dispatch={steps}"
    held, streamed = (
        train(recipe(tiny, dispatch, f"--config.data.hold={hold}"), tmp_path / hold)
        for hold in ("device", "host")
    )
    same(held, streamed)
    reports = [evaluate(tmp_path / hold, split="validation") for hold in ("device", "host")]
    assert reports[0] == reports[1]


def test_a_run_that_dies_goes_on_with_the_same_bits_wherever_its_images_lie(
    tiny: Config, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = connected(tiny, "--config.data.hold=host")
    whole = train(connected(tiny), tmp_path / "whole")
    same(killed_and_resumed(config, tmp_path / "killed", 8, monkeypatch), whole)
    (tmp_path / "killed" / "result.json").unlink()
    same(train(connected(tiny), tmp_path / "killed"), whole)  # the folder takes either


@pytest.mark.slow
@pytest.mark.usefixtures("fusion_emitters")
def test_sigterm_saves_and_the_same_command_goes_on(tmp_path: Path) -> None:
    (tmp_path / "config.py").write_text(LONG)
    config = configs.load(str(tmp_path / "config.py"))
    flags = ["--config", str(tmp_path / "config.py"), "--config.data.hold=host"]
    stopped = attempt(flags, tmp_path / "run", Kill(signal.SIGTERM, 1, 0.05))
    assert stopped.code == 75, stopped.stderr
    assert "SIGTERM: saved step" in stopped.stderr
    assert "Traceback" not in stopped.stderr
    finished = attempt(flags, tmp_path / "run")
    assert finished.finished, finished.stderr
    assert 0 < finished.resumed_from < 300
    same(json.loads((tmp_path / "run" / "result.json").read_text()), train(config, tmp_path / "whole"))


@pytest.fixture
def filed(tiny: Config, tmp_path: Path) -> Dataset:
    """Digits, the training images of which lie in a file."""
    dataset = sources.load(**tiny.data.to_dict())
    np.save(tmp_path / "images.npy", dataset.train.images[:])
    file: Any = np.load(tmp_path / "images.npy", mmap_mode="r")
    train = Split(Rows(file, np.arange(len(dataset.train))), dataset.train.labels)
    return Dataset(dataset.name, dataset.classes, train, dataset.validation, dataset.test)


def test_a_file_that_is_cut_short_ends_the_run_with_a_sentence_and_loses_nothing(
    tiny: Config, filed: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config, file = connected(tiny, "--config.data.hold=host"), tmp_path / "images.npy"
    content, save = file.read_bytes(), Checkpoints.save

    def save_and_cut(self: Checkpoints, at: int, *rest: Any) -> None:
        save(self, at, *rest)
        time.sleep(0.5)  # what is under way is read, or the system would end this process
        os.truncate(file, 1000)

    with monkeypatch.context() as patch:
        patch.setattr(Checkpoints, "save", save_and_cut)
        with pytest.raises(UserError, match=str(file)):
            train(config, tmp_path / "run", load=lambda **_: filed)
    file.write_bytes(content)
    same(train(config, tmp_path / "run", load=lambda **_: filed), train(connected(tiny), tmp_path / "whole"))


@pytest.fixture(scope="module")
def four(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """-> what tests/four.py prints."""
    command = [sys.executable, str(ROOT / "tests" / "four.py"), str(tmp_path_factory.mktemp("four"))]
    environment = os.environ | {"PYTHONPATH": f"{ROOT}{os.pathsep}{ROOT / 'tests'}"}
    ran = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True)
    assert ran.returncode == 0, ran.stderr
    return json.loads(ran.stdout.splitlines()[-1])


@pytest.mark.slow
def test_each_device_asks_for_its_own_examples_and_no_others(four: dict[str, Any]) -> None:
    asked, shares, has = four["rows"]
    assert sorted(asked) == sorted(shares)
    assert [len(rows) for rows in asked] == [4, 4, 4, 4]  # of two steps of eight
    assert sorted(row for rows in asked for row in rows) == [7 * number for number in range(16)]
    assert has


@pytest.mark.slow
def test_on_a_mesh_too_a_run_has_the_same_bits(four: dict[str, Any]) -> None:
    assert four["host"] == four["device"]
    assert four["host"]["mesh"] == {"data": 2, "fsdp": 2}
