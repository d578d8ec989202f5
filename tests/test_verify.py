"""`resjax verify-resume`: real runs, killed and resumed; what it says where they differ, or fail."""

import itertools
import json
import re
import shutil
import signal
from pathlib import Path

import pytest
from refusal import refuse, write

from resjax import config as configs
from resjax import verify
from resjax.__main__ import main
from resjax.attempt import Kill
from resjax.config import Config
from resjax.training import train

Capture = pytest.CaptureFixture[str]
LONGER = """
    config.schedule.length = 100
    config.train.update(log_every=7, checkpoint_every=20, eval_every=5.0)
"""
# What a config does as it is read for the second time, by the run that will be killed, and for the third.
COUNTED = f"""{LONGER}    import pathlib, numpy
    reads = pathlib.Path(__file__).with_name("reads")
    reads.write_text(text := reads.read_text() + "x" if reads.exists() else "x")
"""
OTHER_DATA = """
    draw = numpy.random.default_rng(len(text))
    for split in ("train", "test"):
        image = draw.integers(0, 256, (200, 8, 8, 1), dtype=numpy.uint8)
        numpy.savez(f"{reads}-{split}.npz", image=image, label=numpy.arange(200) % 10)
    config.data = dict(name=f"npz:{reads}")
"""
NO_THIRD = """
    if len(text) > 2: raise RuntimeError("no third time")
"""


@pytest.fixture(autouse=True)
def shared_programs(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("JAX_ENABLE_COMPILATION_CACHE", "true")
    monkeypatch.setenv("JAX_COMPILATION_CACHE_DIR", str(tmp_path_factory.getbasetemp() / "programs"))


def command(config: Path, *flags: object) -> list[str]:
    return ["verify-resume", "--config", str(config), *map(str, flags)]


def test_a_sound_run_keeps_its_bits(tmp_path: Path, capsys: Capture) -> None:
    flags = ("--workdir", tmp_path / "runs", "--kills", 2, "--config.schedule.learning_rate=0.05")
    assert main(command(write(tmp_path, LONGER), *flags)) == 0
    *lines, verdict = capsys.readouterr().out.splitlines()
    found = [
        re.fullmatch(r"(\w+) at step (\d+), ended \d+\.\d s later, resumed from step (\d+)", line)
        for line in lines
    ]
    assert sorted(match[1] for match in found if match) == ["SIGKILL", "SIGTERM"]
    for match in filter(None, found):
        assert 0 <= int(match[2]) < 100
        assert int(match[3]) < 100
        if match[1] == "SIGTERM":  # it saved what it had reached
            assert int(match[3]) >= int(match[2])
    assert verdict == "the same bits: every report, the curve, and all arrays of the last state"
    runs = [
        json.loads((tmp_path / "runs" / name / "result.json").read_text())
        for name in ("undisturbed", "killed")
    ]
    assert runs[0]["state_sha256"] == runs[1]["state_sha256"]
    assert runs[0]["config"]["schedule"]["learning_rate"] == 0.05


@pytest.mark.slow
def test_a_run_whose_data_changed_meanwhile_differs(tmp_path: Path, capsys: Capture) -> None:
    assert main(command(write(tmp_path, COUNTED + OTHER_DATA), "--kills", 1)) == 1
    shown = capsys.readouterr()
    assert shown.out.startswith("SIGKILL at step ")
    assert "metrics.jsonl" in shown.err
    assert "Traceback" not in shown.err


@pytest.mark.slow
def test_a_resumed_run_that_fails_tells_its_own_reason(tmp_path: Path, capsys: Capture) -> None:
    config = write(tmp_path, COUNTED + NO_THIRD)
    message = refuse(capsys, *command(config, "--kills", 1, "--quiet"), names="no third time")
    assert "SIGKILL" in message


def test_the_first_array_that_differs_is_named(tiny: Config, finished: Path, tmp_path: Path) -> None:
    whole, killed = finished, tmp_path / "killed"
    assert verify.difference(whole, shutil.copytree(whole, tmp_path / "copy")) is None
    result = train(configs.with_seed(tiny, 1), killed)
    (killed / "metrics.jsonl").write_bytes((whole / "metrics.jsonl").read_bytes())
    assert verify.difference(whole, killed) == "the curve in result.json"
    curve = json.loads((whole / "result.json").read_text())["curve"]
    (killed / "result.json").write_text(json.dumps(result | {"curve": curve}))
    assert re.fullmatch(
        r"the array \w+/.+/\w+ of the last checkpoint", verify.difference(whole, killed) or ""
    )


def test_kills_are_spread_over_the_run_and_mixed(finished: Path) -> None:
    log = (finished / "metrics.jsonl").read_bytes()
    moments = [0, *itertools.accumulate(map(len, log.splitlines(keepends=True)))][:-1]
    for seed in range(20):
        kills = verify.draw(finished, 2, seed)
        assert {kill.signal for kill in kills} == {signal.SIGKILL, signal.SIGTERM}
        places = [moments.index(kill.size) for kill in kills]
        assert places[0] <= len(moments) // 2 <= places[1]
    assert verify.draw(finished, 3, 7) == verify.draw(finished, 3, 7) != verify.draw(finished, 3, 8)


@pytest.mark.slow
def test_a_run_that_is_over_before_the_kill_is_no_proof(
    tmp_path: Path, capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    never = Kill(signal.SIGKILL, size=2**60, wait=0.0)
    monkeypatch.setattr(verify, "draw", lambda *_: [never])
    message = refuse(capsys, *command(write(tmp_path), "--quiet"), names="config.train.log_every")
    assert "SIGKILL" in message


def test_bad_flags_are_refused(tmp_path: Path, capsys: Capture) -> None:
    config = write(tmp_path)
    refuse(capsys, *command(config, "--kills", 0), names="--kills")
    refuse(capsys, *command(config, "--workdir", tmp_path), names=f"--workdir {tmp_path}")
    refuse(capsys, *command(config, "--quiet", "--config.model.depth=5"), names="config.model.depth")
    assert {path.name for path in tmp_path.iterdir()} - {"__pycache__"} == {"recipe.py"}
