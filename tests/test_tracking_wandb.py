"""`--track wandb`, against what W&B itself writes with WANDB_MODE=offline."""

import dataclasses
import json
import os
import struct
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest
from followed import Numbers, entry, logged, stopped
from refusal import check, write
from small_table import write as write_table

from resjax import config as configs
from resjax.__main__ import main
from resjax.config import Config
from resjax.progress import Display
from resjax.tracking import FILE, Tracking
from resjax.training import train

ABSENT = "W&B is not installed: python -m pip install 'resjax[wandb]'"
pytestmark = pytest.mark.filterwarnings("ignore")  # W&B's own
TRACKING = Tracking(("wandb",), "a run", "a table")
BLOCK, HEADER = 32_768, 7  # bytes, of LevelDB's log format


@pytest.fixture(scope="module", autouse=True)
def offline() -> Iterator[None]:
    wandb = pytest.importorskip("wandb", reason=ABSENT)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("WANDB_MODE", "offline")
        yield
    wandb.teardown()


@dataclasses.dataclass
class Written:
    """What the files of one process's part of a run hold."""

    id: str = ""
    name: str = ""
    group: str = ""
    config: dict[str, Any] = dataclasses.field(default_factory=dict)
    numbers: Numbers = dataclasses.field(default_factory=dict)
    summary: dict[str, Any] = dataclasses.field(default_factory=dict)
    preempting: bool = False
    exit_code: int | None = None


def records(file: Path) -> Iterator[Any]:
    """-> W&B's records: LevelDB's log format behind a header of its own."""
    from wandb.proto import wandb_internal_pb2  # pyright: ignore[reportMissingImports]

    raw, at, record = file.read_bytes(), HEADER, b""
    while at < len(raw):
        if BLOCK - at % BLOCK < HEADER:  # padding
            at += BLOCK - at % BLOCK
            continue
        _, length, kind = struct.unpack("<IHB", raw[at : at + HEADER])
        record += raw[at + HEADER : at + HEADER + length]
        at += HEADER + length
        if kind in (1, 4):  # whole, or the last part of one
            yield wandb_internal_pb2.Record.FromString(record)
            record = b""


def items(updates: Any) -> dict[str, Any]:
    return {each.key or "/".join(each.nested_key): json.loads(each.value_json) for each in updates}


def read(file: Path) -> Written:
    found = Written()
    for record in records(file):
        kind = record.WhichOneof("record_type")
        if kind == "run":
            found.id, found.name, found.group = (
                record.run.run_id,
                record.run.display_name,
                record.run.run_group,
            )
            found.config = items(record.run.config.update)
        elif kind == "history":
            for name, value in items(record.history.item).items():
                if not name.startswith("_"):
                    found.numbers.setdefault((record.history.step.num, name), []).append(value)
        elif kind == "summary":
            found.summary |= items(record.summary.update)
        elif kind == "preempting":
            found.preempting = True
        elif kind == "exit":
            found.exit_code = record.exit.exit_code
    return found


def parts(run: Path) -> list[Written]:
    """-> what each process wrote, in their order."""
    files = [file for file in run.glob("wandb/offline-run-*/*.wandb") if not file.parent.is_symlink()]
    return [read(file) for file in sorted(files)]


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Config:
    """The config of `write`."""
    return configs.load(str(write(tmp_path_factory.mktemp("config"))))


@pytest.fixture(scope="module")
def whole(small: Config, tmp_path_factory: pytest.TempPathFactory) -> Path:
    run = tmp_path_factory.mktemp("runs") / "whole"
    train(small, run, Display(quiet=True), tracking=TRACKING)
    return run


def test_it_has_every_report_the_config_and_the_result(whole: Path) -> None:
    (part,), result = parts(whole), json.loads((whole / "result.json").read_text())
    assert part.numbers == logged(whole)
    assert (part.id, part.name, part.group) == (entry(whole, "wandb")["run"], "a run", "a table")
    assert (part.config["model.depth"], part.config["schedule.length"]) == (4, 12)
    assert part.config["origin.versions.jax"] == result["versions"]["jax"]
    assert part.config["origin.commit"] == result["commit"]
    assert {name: part.summary[f"result/{name}"] for name in result["metrics"]} == result["metrics"]
    assert part.summary["result/seconds"] == result["seconds"]
    assert (part.exit_code, part.preempting) == (0, False)
    assert entry(whole, "wandb")["rows"] == len((whole / "metrics.jsonl").read_text().splitlines())


def test_a_run_that_goes_on_is_one_run_and_no_step_is_doubled(
    small: Config, whole: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stopped(small, tmp_path, TRACKING, 8, monkeypatch)
    (first,) = parts(tmp_path)
    assert (first.preempting, first.exit_code) == (True, 75)
    train(small, tmp_path, Display(quiet=True), tracking=TRACKING)
    first, second = parts(tmp_path)
    assert first.id == second.id == entry(tmp_path, "wandb")["run"]
    assert first.numbers.keys().isdisjoint(second.numbers)
    assert first.numbers | second.numbers == logged(tmp_path) == logged(whole)
    assert second.exit_code == 0


def command(folder: Path) -> list[str]:
    flags = ["--config", str(write(folder)), "--workdir", str(folder / "run"), "--quiet", "--track", "wandb"]
    return [sys.executable, "-m", "resjax", "train", *flags]


def environment(*hidden: str) -> dict[str, str]:
    """-> that of a process which starts a W&B of its own: a child would use the one of these tests."""
    return {key: value for key, value in os.environ.items() if key not in (*hidden, "WANDB_SERVICE")}


def test_one_that_dies_is_told_once_and_the_run_goes_on_to_the_same_bits(whole: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    with subprocess.Popen(
        command(tmp_path), env=environment(), stdout=subprocess.DEVNULL, stderr=subprocess.PIPE
    ) as process:
        while not (run / FILE).exists() and process.poll() is None:
            time.sleep(0.01)
        for child in psutil.Process(process.pid).children():  # W&B's own process; none has reported yet
            child.kill()
        _, told = process.communicate()
    (line,) = told.decode().splitlines()
    assert line.startswith("resjax: warning: --track wandb "), line
    assert process.returncode == 0
    assert logged(run) == logged(whole)
    assert not entry(run, "wandb")["open"]


def test_without_a_login_it_is_refused_before_anything_is_trained(tmp_path: Path) -> None:
    away = {"HOME": str(tmp_path), "WANDB_BASE_URL": "http://127.0.0.1:9"}  # nothing answers there
    alone = environment("WANDB_API_KEY", "WANDB_MODE", "NETRC") | away
    done = subprocess.run(
        command(tmp_path), env=alone, capture_output=True, text=True, stdin=subprocess.DEVNULL
    )
    check(done.returncode, done.stderr, "--track wandb")
    assert not (tmp_path / "run" / "metrics.jsonl").exists()


def test_a_table_s_cells_are_runs_of_its_group(tmp_path: Path) -> None:
    file = write_table(tmp_path)
    flags = ["--workdir", str(tmp_path / "runs"), "--results", str(tmp_path / "results"), "--quiet"]
    assert main(["table", str(file), *flags, "--row", "plain 4", "--seed", "1", "--track", "wandb"]) == 0
    (run,) = (tmp_path / "runs" / "small").glob("*/seed1")
    (part,) = parts(run)
    assert (part.name, part.group) == ("plain 4, seed 1", "small")
    assert part.numbers == logged(run)
    (record,) = (tmp_path / "results" / "small").glob("*.json")
    assert "track" not in json.loads(record.read_text())["command"]
