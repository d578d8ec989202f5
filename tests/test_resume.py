"""A run that is stopped or killed anywhere ends with the bits of one that was not."""

import json
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from resjax import config as configs
from resjax.config import Config
from resjax.train import train

STEPS = 400
CONFIG = """
from ml_collections import ConfigDict

def get_config():
    config = ConfigDict()
    config.data = dict(name="digits", holdout=37)
    config.input = dict(pad=1, flip=True)
    config.model = dict(name="cifar_resnet", depth=8, width=2, survival=0.7)
    config.schedule = dict(name="cosine", unit="steps", length=400, learning_rate=0.05)
    config.train = dict(batch_size=50, log_every=7, checkpoint_every=11, eval_every=2, ema_decay=0.9)
    return config
"""


@pytest.fixture(scope="module")
def reference(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, object]]:
    """-> the config file, and the result of a run that nobody disturbed."""
    folder = tmp_path_factory.mktemp("reference")
    file = folder / "config.py"
    file.write_text(CONFIG)
    finish(file, folder / "run")
    return file, json.loads((folder / "run" / "result.json").read_text())


def start(config: Path, workdir: Path) -> subprocess.Popen[str]:
    """The real command in a process of its own; several share its compiled programs."""
    environment = os.environ | {
        "JAX_ENABLE_COMPILATION_CACHE": "true",
        "JAX_COMPILATION_CACHE_DIR": str(config.parent / "cache"),
    }
    command = [sys.executable, "-m", "resjax", "train", "--config", str(config), "--workdir", str(workdir)]
    return subprocess.Popen(command, env=environment, text=True, stderr=subprocess.PIPE)


def finish(config: Path, workdir: Path) -> None:
    process = start(config, workdir)
    _, stderr = process.communicate(timeout=300)
    assert process.returncode == 0, stderr


def disturb(config: Path, workdir: Path, number: signal.Signals, wait: float) -> tuple[int, str]:
    """Starts the run, waits until it has trained a while longer, and sends the signal."""
    log, process = workdir / "metrics.jsonl", start(config, workdir)
    before = log.stat().st_size if log.exists() else 0
    while process.poll() is None and not (log.exists() and log.stat().st_size > before):
        time.sleep(0.01)
    time.sleep(wait)
    process.send_signal(number)
    asked = time.monotonic()
    _, stderr = process.communicate(timeout=120)
    assert time.monotonic() - asked < 10  # "within seconds"
    return process.returncode, stderr


@pytest.mark.parametrize(
    "signals",
    [
        [signal.SIGKILL, signal.SIGKILL, signal.SIGKILL],
        [signal.SIGTERM, signal.SIGINT],
        pytest.param([random.Random(0).choice([9, 15]) for _ in range(12)], marks=pytest.mark.slow),
    ],
    ids=["killed", "stopped", "mixed"],
)
def test_a_disturbed_run_ends_with_the_same_bits(
    reference: tuple[Path, dict[str, object]], tmp_path: Path, signals: list[int]
) -> None:
    config, undisturbed = reference
    chance = random.Random(1)
    for number in map(signal.Signals, signals):
        code, stderr = disturb(config, tmp_path, number, chance.uniform(0, 0.4))
        if code == 0:  # it was faster than the signal
            break
        if number == signal.SIGKILL:
            assert code == -signal.SIGKILL
        else:
            assert code == 75
            assert f"{number.name}: saved step" in stderr
            assert str(tmp_path / "checkpoints") in stderr
            assert "Traceback" not in stderr
    finish(config, tmp_path)
    result = json.loads((tmp_path / "result.json").read_text())
    # The digest covers every parameter, statistic, optimizer state, average and metric sum.
    assert result["state_sha256"] == undisturbed["state_sha256"]
    assert result["curve"] == undisturbed["curve"]
    assert result["metrics"] == undisturbed["metrics"]
    lines = (tmp_path / "metrics.jsonl").read_text().splitlines()
    assert [json.loads(line) for line in lines] == undisturbed["curve"]


def test_a_damaged_checkpoint_is_set_aside_and_the_one_before_it_used(tiny: Config, tmp_path: Path) -> None:
    longer = configs.override(tiny, ["--config.schedule.length=24"])
    whole = train(longer, tmp_path / "whole")
    folder = tmp_path / "damaged"
    train(longer, folder)
    (folder / "result.json").unlink()
    newest = max((folder / "checkpoints").iterdir(), key=lambda path: int(path.name))
    assert newest.name == "24"
    for file in (newest / "state").rglob("*"):
        if file.is_file() and file.stat().st_size > 1000:
            content = bytearray(file.read_bytes())
            content[len(content) // 2] ^= 0xFF
            file.write_bytes(content)
    with pytest.warns(UserWarning, match="checkpoint 24 is damaged"):
        resumed = train(longer, folder)
    assert (folder / "damaged_checkpoints" / "24").is_dir()
    assert resumed["state_sha256"] == whole["state_sha256"]
    assert resumed["curve"] == whole["curve"]


def test_without_any_sound_checkpoint_the_run_starts_anew(tiny: Config, tmp_path: Path) -> None:
    whole = train(tiny, tmp_path)
    (tmp_path / "result.json").unlink()
    for checkpoint in (tmp_path / "checkpoints").iterdir():
        for file in (checkpoint / "meta").iterdir():
            file.write_text("")
    with pytest.warns(UserWarning, match="is damaged"):
        again = train(tiny, tmp_path)
    assert again["state_sha256"] == whole["state_sha256"]
