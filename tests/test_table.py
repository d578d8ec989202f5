"""Tables: cells run once each, records are all that is rendered, damaged ones are named."""

import csv
import json
import re
import signal
import statistics
import subprocess
import sys
import time
from pathlib import Path

import pytest
from filelock import FileLock
from small_table import records, write

from resjax import figure, render
from resjax import table as tables
from resjax.__main__ import main
from resjax.budget import FULL
from resjax.progress import Display
from resjax.records import Records, is_recorded, read_all
from resjax.table import Row, Table


@pytest.fixture(scope="module")
def done(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """-> the folder of a table that has been run, and what it printed."""
    folder = tmp_path_factory.mktemp("table")
    file = write(folder)
    command = [sys.executable, "-m", "resjax", "table", str(file), "--workdir", str(folder / "runs")]
    ran = subprocess.run(command, capture_output=True, text=True, check=True)
    return folder, ran.stdout


def test_every_cell_leaves_one_record_with_its_origin(done: tuple[Path, str]) -> None:
    folder, _ = done
    names = ["plain-4-seed0", "plain-4-seed1", "residual-4-seed0", "residual-4-seed1"]
    assert [path.stem for path in records(folder)] == names
    for path in records(folder):
        record = json.loads(path.read_text())
        assert record["seed"] == record["config"]["seed"] == int(path.stem[-1])
        assert record["command"].startswith("resjax train --config ")
        assert f"--config.seed={record['seed']}" in record["command"]
        assert {"versions", "device", "commit", "seconds", "curve", "metrics"} <= record.keys()


def test_the_numbers_shown_are_those_of_the_records(done: tuple[Path, str]) -> None:
    folder, printed = done
    found = [json.loads(path.read_text()) for path in records(folder)]
    plain, residual = (
        {r["seed"]: r["metrics"]["test/accuracy"] for r in found if r["row"] == label}
        for label in ("plain 4", "residual 4")
    )
    markdown = (folder / "results" / "small" / "small.md").read_text()
    mean, std = statistics.mean(plain.values()), statistics.stdev(plain.values())
    difference = statistics.mean(residual[seed] - plain[seed] for seed in plain)
    for text in (printed, markdown):
        assert f"{100 * mean:.2f} ± {100 * std:.2f}" in text
        assert f"{100 * difference:+.2f}" in text
    with (folder / "results" / "small" / "small.csv").open() as file:
        values = [float(row["value"]) for row in csv.DictReader(file) if row["row"] == "plain 4"]
    assert values == list(plain.values())


def test_recorded_cells_are_not_run_again(done: tuple[Path, str], capsys: pytest.CaptureFixture[str]) -> None:
    folder, printed = done
    before = [path.read_bytes() for path in records(folder)]
    elsewhere = folder / "elsewhere"
    assert main(["table", str(folder / "table.py"), "--workdir", str(elsewhere)]) == 0
    shown = capsys.readouterr()
    assert "4 cells recorded, 0 to run" in shown.err
    assert shown.out == printed
    assert not elsewhere.exists()
    assert [path.read_bytes() for path in records(folder)] == before


def test_a_changed_config_makes_its_cells_missing(done: tuple[Path, str], tmp_path: Path) -> None:
    folder, _ = done
    table = tables.load(str(folder / "table.py"))
    results, cell = folder / "results" / "small", next(tables.cells(table, folder / "table.py"))
    assert is_recorded(cell, results, FULL)
    other = next(tables.cells(table, write(tmp_path, steps=13)))
    assert not is_recorded(other, results, FULL)
    with pytest.warns(UserWarning, match=r"plain-4-seed0\.json"):
        assert not read_all([other], results)


@pytest.mark.parametrize(
    ("key", "value"), [("width", 9), ("width", "wide"), ("removed_since", 1)], ids=["value", "type", "key"]
)
def test_a_record_that_no_config_of_today_gives_is_named_and_skipped(
    done: tuple[Path, str], tmp_path: Path, key: str, value: int | str
) -> None:
    folder, _ = done
    record = json.loads((folder / "results/small/plain-4-seed0.json").read_text())
    record["config"]["model"][key] = value
    (tmp_path / "plain-4-seed0.json").write_text(json.dumps(record))
    table = tables.load(str(folder / "table.py"))
    with pytest.warns(UserWarning, match=r"plain-4-seed0\.json"):
        assert not read_all(list(tables.cells(table, folder / "table.py")), tmp_path)


def test_a_damaged_record_is_named_and_never_averaged(done: tuple[Path, str], tmp_path: Path) -> None:
    folder, _ = done
    table = tables.load(str(folder / "table.py"))
    for path in records(folder):
        (tmp_path / path.name).write_bytes(path.read_bytes())
    (tmp_path / "plain-4-seed0.json").write_text('{"row": "plain 4", "metr')
    with pytest.warns(UserWarning, match=r"plain-4-seed0\.json"):
        text = tables.publish(table, folder / "table.py", tmp_path)
    assert re.search(r"^plain 4 .* 1 ", text, re.MULTILINE)
    assert re.search(r"^residual 4 .* 2 ", text, re.MULTILINE)


def test_one_row_and_one_seed_can_be_run_alone(tmp_path: Path) -> None:
    file = write(tmp_path)
    argv = ["table", str(file), "--workdir", str(tmp_path / "runs"), "--row", "plain 4", "--seed", "1"]
    assert main([*argv, "--quiet"]) == 0
    assert [path.stem for path in records(tmp_path)] == ["plain-4-seed1"]


@pytest.mark.slow
def test_a_stopped_table_goes_on_where_it_was(done: tuple[Path, str], tmp_path: Path) -> None:
    file, log = write(tmp_path, steps=4000), tmp_path / "runs/small/plain-4/seed0/metrics.jsonl"
    command = [sys.executable, "-m", "resjax", "table", str(file), "--workdir", str(tmp_path / "runs")]
    command += ["--row", "plain 4", "--seed", "0"]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as process:
        while not (log.exists() and log.stat().st_size):
            time.sleep(0.01)
        process.send_signal(signal.SIGTERM)
        _, stderr = process.communicate(timeout=60)
    assert process.returncode == 75
    saved = int(re.findall(r"saved step (\d+) of 4000", stderr)[0])
    again = subprocess.run(command, capture_output=True, text=True, check=True)
    assert f"at step {saved} of 4000" in again.stderr
    assert [path.stem for path in records(tmp_path)] == ["plain-4-seed0"]


def test_a_diverged_cell_is_recorded_as_such_and_not_averaged(tmp_path: Path) -> None:
    file = write(tmp_path)
    row = Row(
        label="too fast", config="config.py", overrides={"schedule.learning_rate": 1e30, "model.norm": "none"}
    )
    table = Table(name="fast", title="Too fast", rows=(row,), seeds=(0,))
    work = tables.Work(table, tables.choose(table, file), FULL, tmp_path / "out", tmp_path / "runs")
    tables.run(work, Display(quiet=True))
    text = tables.publish(table, file, tmp_path / "out")
    assert re.search(r"^too fast +- +0 \(1 diverged\)", text, re.MULTILINE)


def test_a_cell_that_another_process_runs_is_left_to_it(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file, folder = write(tmp_path), tmp_path / "runs" / "small" / "plain-4" / "seed0"
    folder.mkdir(parents=True)
    argv = ["table", str(file), "--workdir", str(tmp_path / "runs"), "--row", "plain 4"]
    with FileLock(folder / ".lock"):
        assert main(argv) == 0
    assert [path.stem for path in records(tmp_path)] == ["plain-4-seed1"]
    assert "plain 4, seed 0: skipped" in capsys.readouterr().err


def test_the_figure_is_an_image_of_some_size(done: tuple[Path, str]) -> None:
    from PIL import Image

    folder, _ = done
    with Image.open(folder / "results" / "small" / "small.png") as picture:
        assert picture.size == (1500, 600)
        assert len(picture.convert("RGB").getcolors(maxcolors=100_000) or []) > 10


def test_a_report_on_a_few_last_steps_is_not_drawn() -> None:
    reports = [{"step": step, "train/accuracy": step / 1000} for step in (100, 200, 206)]
    other = [{"step": 50, "train/accuracy": 0.9, "phase": "hint"}, {"step": 206, "test/accuracy": 0.7}]
    record = {"curve": other + reports}
    assert figure.curve(record, "train/accuracy") == [(100, 0.1), (200, 0.2)]
    assert figure.curve(record, "test/accuracy") == [(206, 0.7)]


def test_where_time_is_the_subject_it_is_shown_without_that_of_compiling() -> None:
    rows = (Row(label="fast", config="c.py"), Row(label="not yet", config="c.py"))
    table = Table(name="race", title="A race", rows=rows, seeds=(0, 1), timed=True)
    metrics = {"test/accuracy": 0.9, "train/accuracy": 0.95}
    runs = [
        {"row": "fast", "seed": seed, "metrics": metrics, "seconds": seconds, "compiling_seconds": 4.0}
        for seed, seconds in enumerate((104.0, 108.0))
    ]
    found = [line for line in render.render(table, Records(runs, {})).markdown.splitlines() if "|" in line]
    assert "| seconds a run without compiling (mean ± std) | compiling, s |" in found[0]
    assert found[2].endswith("| 102.00 ± 2.83 | 4.00 |")
    assert found[3] == "| not yet | not run | 0 |  |  |  |  |"


def test_beside_a_metric_stands_the_same_of_training() -> None:
    rows = (Row(label="net", config="c.py"),)
    table = Table(name="pixels", title="Pixels", rows=rows, seeds=(0, 1), metric="test/iou")
    metrics = {"test/iou": 0.5, "test/accuracy": 0.9, "train/iou": 0.625, "train/accuracy": 0.95}
    runs = [{"row": "net", "seed": seed, "metrics": metrics, "seconds": 1.0} for seed in (0, 1)]
    found = [line for line in render.render(table, Records(runs, {})).markdown.splitlines() if "|" in line]
    assert found[0].startswith("| row | test/iou, % (mean ± std) | n | train/iou, % |")
    assert found[2].startswith("| net | 50.00 ± 0.00 | 2 | 62.50 ± 0.00 |")
    heads = Table(name="heads", title="Heads", rows=rows, seeds=(0,), metric="test/early/accuracy")
    assert heads.train_metric == "train/accuracy"
