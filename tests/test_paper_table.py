"""Tables beside published numbers: verdicts, shortened runs, plans, lists, two processes, a time limit."""

import csv
import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

from experiments import queue
from resjax import budget, config, markup, plan
from resjax.__main__ import main
from resjax.config import Config
from resjax.job import build

CONFIG = """
from ml_collections import ConfigDict

def get_config(depth="4"):
    config = ConfigDict()
    config.data = dict(name="digits")
    config.model = dict(name="residual_mlp", depth=int(depth), width=8)
    config.schedule = dict(name="step", unit="steps", length=40, drops=(20, 30), learning_rate=0.1, warmup=10)
    config.train = dict(batch_size=100, log_every=5)
    config.heads = (dict(name="early", endpoint="block1", discard_at=20),)
    config.phases = (
        dict(name="first", until="block1", heads=(dict(name="a", endpoint="block1"),),
             schedule=dict(name="constant", unit="epochs", length=1.0, learning_rate=0.1)),
    )
    return config
"""
TABLE = """
from resjax.table import Published, Row, Table

def get_table():
    rows = (
        Row(label="near", config="config.py", published=Published(
            value=50.0, std=30.0, statistic="mean", runs=5, source="A. Author 2015, table 6")),
        Row(label="far", config="config.py", overrides={"model.skip": False}, published=Published(
            value=0.1, statistic="mean", runs=5, source="A. Author 2015, table 6")),
        Row(label="never", config="config.py", overrides={"model.width": 16}, published=Published(
            value=7.0, source="B. Author 2016, figure 1", verified=False)),
        Row(label="control", config="config.py", overrides={"model.width": 4}),
    )
    return Table(name="paper", title="A paper", rows=rows, seeds=(0, 1), report="error", tolerance=100.0)
"""


def write(folder: Path) -> Path:
    (folder / "config.py").write_text(CONFIG)
    (folder / "paper.py").write_text(TABLE)
    return folder / "paper.py"


def loaded(folder: Path, *overrides: str) -> Config:
    write(folder)
    return config.load(str(folder / "config.py"), overrides)


def command(file: Path, *arguments: str) -> list[str]:
    return [
        sys.executable,
        "-m",
        "resjax",
        "table",
        str(file),
        "--workdir",
        str(file.parent / "runs"),
        *arguments,
    ]


@pytest.fixture(scope="module")
def done(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """-> the folder of a table with two rows that ran, one of them shortened; and what it printed."""
    file = write(tmp_path_factory.mktemp("paper"))
    common = ["table", str(file), "--workdir", str(file.parent / "runs"), "--quiet"]
    assert main([*common, "--row", "far"]) == 0
    assert main([*common, "--row", "near", "--budget", "0.5"]) == 0
    ran = subprocess.run(command(file, "--render"), capture_output=True, text=True, check=True)
    return file.parent, ran.stdout


def rows(text: str) -> dict[str, list[str]]:
    """-> the rows of the first table by label, as in the Markdown."""
    found = [
        [cell.strip() for cell in line.strip("|").split("|")] for line in text.splitlines() if "|" in line
    ]
    header = next(row for row in found if row[0] == "row")
    return {row[0]: row for row in found[: found.index(header) + 6]}


def test_published_numbers_stand_beside_ours_with_a_verdict(done: tuple[Path, str]) -> None:
    folder, _ = done
    found = rows((folder / "results/paper/paper.md").read_text())
    assert [found[label][1] for label in ("near", "far", "never", "control")] == [
        "50 ± 30 (mean of 5)", "0.1 (mean of 5)", "≈ 7 (unverified)", ""
    ]  # fmt: skip
    verdicts = {label: row[6] for label, row in found.items() if label in ("near", "far", "never", "control")}
    assert verdicts["near"] == "shortened run"
    assert verdicts["never"] == "not run"
    assert verdicts["control"] == ""
    records = [json.loads((folder / f"results/paper/far-seed{seed}.json").read_text()) for seed in (0, 1)]
    errors = [100 * (1 - record["metrics"]["test/accuracy"]) for record in records]
    assert found["far"][2].startswith(f"{sum(errors) / 2:.2f} ± ")
    assert found["far"][4] == f"{sum(errors) / 2 - 0.1:+.2f}"
    assert verdicts["far"] in ("differs", "too few runs to tell")


def test_shortened_runs_stand_apart_and_say_so(done: tuple[Path, str]) -> None:
    folder, printed = done
    markdown = (folder / "results/paper/paper.md").read_text()
    full, shortened = markdown.split("## Shortened runs: 50 % of the schedule")
    assert rows(full)["near"][2:4] == ["not run", "0"]
    assert "Shortened runs: 50 %" in printed
    assert re.search(r"\| near \| [\d.]+ ± [\d.]+ \| 2 \|", shortened)
    with (folder / "results/paper/paper.csv").open() as file:
        budgets = {(line["row"], line["budget"]) for line in csv.DictReader(file)}
    assert budgets == {("far", "1.0"), ("near", "0.5")}


@pytest.mark.slow
def test_a_shortened_cell_s_command_makes_the_same_run(done: tuple[Path, str], tmp_path: Path) -> None:
    folder, _ = done
    record = json.loads((folder / "results/paper/budget-0.5/near-seed0.json").read_text())
    assert "--budget 0.5" in record["command"]
    assert record["steps"] == 27  # half of 40, and half an epoch of 14
    spec = [part for part in record["command"].split() if part.startswith("--config.")]
    argv = ["train", "--config", str(folder / "config.py"), *spec, "--budget", "0.5", "--quiet"]
    assert main([*argv, "--workdir", str(tmp_path)]) == 0
    again = json.loads((tmp_path / "result.json").read_text())
    assert again["state_sha256"] == record["state_sha256"]


def test_a_budget_scales_all_that_counts_time(tmp_path: Path) -> None:
    found = budget.shorten(loaded(tmp_path), 0.1)
    assert (found.schedule.length, found.schedule.drops, found.schedule.warmup) == (4, (2, 3), 1)
    assert found.heads[0].discard_at == 2
    assert found.phases[0].schedule.length == pytest.approx(0.1)
    changed = config.difference(loaded(tmp_path), found)
    assert set(changed) == {
        "schedule.length", "schedule.drops", "schedule.warmup", "heads[0].discard_at",
        "phases[0].schedule.length",
    }  # fmt: skip
    assert not config.difference(loaded(tmp_path), budget.shorten(loaded(tmp_path), 1))


@pytest.mark.parametrize("share", ["0", "1.5", "-0.1", "nan"])
def test_a_budget_that_is_no_share_is_refused(
    share: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = write(tmp_path)
    assert main(["table", str(file), f"--budget={share}", "--workdir", str(tmp_path / "runs")]) == 2
    assert "it must be above 0 and at most 1" in capsys.readouterr().err
    assert not (tmp_path / "runs").exists()


@pytest.mark.slow
def test_two_processes_never_run_a_cell_twice_and_share_the_work(tmp_path: Path) -> None:
    file, places = write(tmp_path), [tmp_path / "one", tmp_path / "two"]
    file.write_text(TABLE.replace("seeds=(0, 1)", "seeds=(0,)"))
    commands = [[*command(file), "--workdir", str(place)] for place in places]
    both = [subprocess.Popen(each, stderr=subprocess.DEVNULL, stdout=subprocess.DEVNULL) for each in commands]
    assert [process.wait(timeout=300) for process in both] == [0, 0]
    ran = [sorted(path.parent.relative_to(place) for path in place.rglob("result.json")) for place in places]
    assert len(ran[0]) + len(ran[1]) == len({*ran[0], *ran[1]}) == 4
    assert len(list((tmp_path / "results/paper").glob("*.json"))) == 4
    assert not list((tmp_path / "results/paper").glob("*.lock"))


@pytest.mark.slow
def test_a_plan_says_what_is_missing_and_its_cost_and_runs_nothing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = write(tmp_path)
    (tmp_path / "config.py").write_text(
        CONFIG.replace('name="digits"', 'name="npz:nowhere" if depth == "8" else "digits"')
    )
    file.write_text(TABLE.replace('config="config.py", overrides={"model.width": 4}', 'config="config.py:8"'))
    assert main(["table", str(file), "--plan", "--workdir", str(tmp_path / "runs"), "--quiet"]) == 0
    told = capsys.readouterr().out
    assert re.search(r"^near +2 +54 +[\d,.]+ +[\d.]+ +[\d.]+ +[\d.]+$", told, re.MULTILINE)
    assert re.search(r"^control +2 +- ", told, re.MULTILINE)
    assert re.search(r"^control: .*nowhere", told, re.MULTILINE)
    assert re.search(r"^all +8 ", told, re.MULTILINE)
    assert not (tmp_path / "runs").exists()
    assert not (tmp_path / "results").exists()


def test_a_plan_s_time_is_that_of_the_measured_steps(tmp_path: Path) -> None:
    """By a clock that gives every dispatch 0.3 s, a step of the last phase takes 0.3 s by their number."""
    job = build(loaded(tmp_path, "--config.train.steps_per_dispatch=10"))
    ticks = iter(range(10_000))
    found = plan.estimate(job, lambda: 0.3 * next(ticks))
    assert found.step_seconds == pytest.approx(0.03)
    assert (found.steps, found.multiply_adds) == (54, sum(stage.multiply_adds for stage in job.stages))
    training = 0.03 * job.last.steps * found.multiply_adds / job.last.multiply_adds
    assert training < found.seconds < 3 * training


def test_a_list_has_every_table_and_its_state(
    done: tuple[Path, str], capsys: pytest.CaptureFixture[str]
) -> None:
    folder, _ = done
    (folder / "other.py").write_text(
        'ARGUMENTS = ("a", "b")\n'
        + TABLE.replace("get_table()", "get_table(x)").replace('"paper"', '"paper_" + x')
    )
    assert main(["table", "--list", str(folder)]) == 0
    lines = capsys.readouterr().out.splitlines()
    (paper,) = [line for line in lines if "paper.py " in line]
    assert re.search(r" 8 +2 +6 +2 at 50 % +1 shortened run, 1 \w[\w ]+, 1 not run$", paper)
    assert len([line for line in lines if "other.py:" in line]) == 2
    (folder / "other.py").unlink()


def test_a_folder_without_tables_is_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["table", "--list", str(tmp_path)]) == 2
    assert "there is no table in" in capsys.readouterr().err


@pytest.mark.slow
def test_a_queue_fits_into_its_time_and_goes_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Runs of thousands of steps, in two tables, with a few seconds for both."""
    file = write(tmp_path)
    (tmp_path / "config.py").write_text(CONFIG.replace("length=40", "length=40_000"))
    (tmp_path / "second.py").write_text(TABLE.replace('"paper"', '"second"'))
    monkeypatch.setattr(queue, "FOLDER", tmp_path)
    arguments = ["--results", str(tmp_path / "out"), "--workdir", str(tmp_path / "runs"), "--quiet"]
    assert queue.main([*arguments, "--seconds", "12", "paper", "second"]) == 75
    saved = [path for path in (tmp_path / "runs/paper").rglob("checkpoints/*") if path.is_dir()]
    assert saved
    assert (tmp_path / "out/paper/paper.md").exists()
    assert file.exists()


def test_latex_has_no_character_that_it_reads_otherwise(done: tuple[Path, str]) -> None:
    folder, _ = done
    text = (folder / "results/paper/paper.tex").read_text()
    assert r"50 $\pm$ 30 (mean of 5)" in text
    assert r"test/error, \%" in text
    assert text.count(r"\toprule") == text.count(r"\bottomrule") == 2
    assert markup.latex(["a_b"], [["10 % & ~ # $ { }"]]).count("\\\\") == 2
    assert text.count(r"\multicolumn{6}{l}{\emph{Shortened runs: 50 \% of the schedule}} \\") == 1
    assert "% - A. Author 2015, table 6: near; far" in text
    shown = [line for line in text.splitlines() if not line.startswith("%")]
    assert not re.search(r"(?<!\\)[%#_]", "\n".join(shown))
