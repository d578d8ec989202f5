"""A run that is stopped or killed anywhere ends with the bits of one that was not."""

import dataclasses
import json
import random
import signal
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from resjax import config as configs
from resjax.attempt import attempt
from resjax.config import Config
from resjax.errors import Interrupted
from resjax.evaluation import Evaluator
from resjax.training import train
from resjax.verify import draw

EACH = [signal.SIGKILL, signal.SIGTERM, signal.SIGINT]
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
def reference(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[list[str], Path]]:
    """-> what names the run on the command line, and the folder of one that nobody disturbed."""
    folder = tmp_path_factory.mktemp("reference")
    (folder / "config.py").write_text(CONFIG)
    flags = ["--config", str(folder / "config.py")]
    with pytest.MonkeyPatch.context() as patch:  # the processes share their compiled programs
        patch.setenv("JAX_ENABLE_COMPILATION_CACHE", "true")
        patch.setenv("JAX_COMPILATION_CACHE_DIR", str(folder / "cache"))
        finish(flags, folder / "run")
        yield flags, folder / "run"


def finish(flags: list[str], workdir: Path) -> dict[str, object]:
    ended = attempt(flags, workdir)
    assert ended.finished, ended.stderr
    return json.loads((workdir / "result.json").read_text())


@pytest.mark.slow
@pytest.mark.parametrize(
    "signals",
    [
        EACH,
        pytest.param(random.Random(0).choices(EACH, k=12), marks=pytest.mark.slow),
    ],
    ids=["each", "mixed"],
)
def test_a_disturbed_run_ends_with_the_same_bits(
    reference: tuple[list[str], Path], tmp_path: Path, signals: list[int]
) -> None:
    flags, whole = reference
    for number, kill in zip(map(signal.Signals, signals), draw(whole, len(signals), seed=1), strict=True):
        ended = attempt(flags, tmp_path, dataclasses.replace(kill, signal=number))
        assert ended.seconds < 10  # "within seconds"
        if ended.finished:  # it was faster than the signal
            break
        if number == signal.SIGKILL:
            assert ended.code == -signal.SIGKILL
        else:
            assert ended.code == 75
            assert f"{number.name}: saved step" in ended.stderr
            assert str(tmp_path / "checkpoints") in ended.stderr
            assert "Traceback" not in ended.stderr
    result, undisturbed = finish(flags, tmp_path), json.loads((whole / "result.json").read_text())
    # The digest covers every parameter, statistic, optimizer state, average and metric sum.
    assert result["state_sha256"] == undisturbed["state_sha256"]
    assert result["curve"] == undisturbed["curve"]
    assert result["metrics"] == undisturbed["metrics"]
    lines = (tmp_path / "metrics.jsonl").read_text().splitlines()
    assert [json.loads(line) for line in lines] == undisturbed["curve"]


def test_a_run_that_is_stopped_within_an_evaluation_makes_it_anew_to_the_same_bits(
    tiny: Config, finished: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole, evaluate = json.loads((finished / "result.json").read_text()), Evaluator.__call__

    def ask(self: Evaluator, variables: Any, *, both: bool, poll: Callable[[], None]) -> dict[str, float]:
        signal.raise_signal(signal.SIGTERM)  # it is heard behind the first batch
        return evaluate(self, variables, both=both, poll=poll)

    with monkeypatch.context() as patch:
        patch.setattr(Evaluator, "__call__", ask)
        with pytest.raises(Interrupted, match="step 5 of 12"):
            train(tiny, tmp_path / "run")
    lines = (tmp_path / "run" / "metrics.jsonl").read_text().splitlines()
    assert not any("test/accuracy" in line or "validation/accuracy" in line for line in lines)
    resumed = train(tiny, tmp_path / "run")
    assert resumed["state_sha256"] == whole["state_sha256"]
    assert resumed["curve"] == whole["curve"]


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
    with pytest.warns(UserWarning, match="checkpoint 24"):
        resumed = train(longer, folder)
    assert (folder / "damaged_checkpoints" / "24").is_dir()
    assert resumed["state_sha256"] == whole["state_sha256"]
    assert resumed["curve"] == whole["curve"]


@pytest.mark.slow
def test_without_any_sound_checkpoint_the_run_starts_anew(tiny: Config, tmp_path: Path) -> None:
    whole = train(tiny, tmp_path)
    (tmp_path / "result.json").unlink()
    for checkpoint in (tmp_path / "checkpoints").iterdir():
        for file in (checkpoint / "meta").iterdir():
            file.write_text("")
    with pytest.warns(UserWarning, match="checkpoint"):
        again = train(tiny, tmp_path)
    assert again["state_sha256"] == whole["state_sha256"]
