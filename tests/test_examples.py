"""The scripts of experiments/examples, run as they are: what they print and leave behind."""

import json
import re
import runpy
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from matplotlib.image import imread

from resjax.__main__ import main

FOLDER = Path(__file__).parent.parent / "experiments" / "examples"


def run(name: str, folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> str:
    """-> what a script prints where it is given a folder."""
    monkeypatch.setattr("sys.argv", [name, str(folder)])
    runpy.run_path(str(FOLDER / name), run_name="__main__")
    return capsys.readouterr().out


def result(folder: Path) -> dict[str, Any]:
    return json.loads((folder / "result.json").read_text())


def test_each_is_short_and_says_how_it_is_run() -> None:
    scripts = sorted(FOLDER.glob("*.py"))
    assert [path.stem for path in scripts] == ["add_table", "own_module", "train_and_plot"]
    for path in scripts:
        text = path.read_text()
        assert len(text.splitlines()) < 60
        assert f"    python experiments/examples/{path.name} [FOLDER]\n" in text
        assert f"runs/{path.stem}" in text
        assert f"(experiments/examples/{path.name})" in (FOLDER.parent.parent / "README.md").read_text()


@pytest.mark.slow
def test_the_plain_net_falls_behind_its_twin_and_both_are_drawn(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    printed = run("train_and_plot.py", tmp_path, monkeypatch, capsys)
    plain, residual = (result(tmp_path / name)["metrics"] for name in ("plain", "residual"))
    assert residual["train/accuracy"] > plain["train/accuracy"] + 0.1
    assert residual["test/accuracy"] > 0.9
    assert f"plain: test accuracy {plain['test/accuracy']:.1%}\n" in printed
    pixels = imread(tmp_path / "curves.png")
    assert pixels.shape == (350, 900, 4)
    assert np.unique(pixels, axis=1).shape[1] > 100  # curves, not an empty page


@pytest.mark.slow
def test_heads_learn_at_the_parts_of_a_net_of_one_s_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    printed = run("own_module.py", tmp_path / "run", monkeypatch, capsys)
    metrics = result(tmp_path / "run")["metrics"]
    told = {name: float(value) for name, value in re.findall(r"^(\w+): ([\d.]+)%$", printed, re.MULTILINE)}
    assert list(told) == ["main", "at_edges", "at_gated"]
    assert min(told.values()) > 80
    assert told["main"] == pytest.approx(100 * metrics["test/accuracy"], abs=0.06)
    assert told["at_edges"] == pytest.approx(100 * metrics["test/at_edges/accuracy"], abs=0.06)


def test_a_table_s_file_is_a_script_and_a_table_and_runs_each_cell_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    printed = run("add_table.py", tmp_path, monkeypatch, capsys)
    records = sorted((tmp_path / "results" / "momentum").glob("*.json"))
    assert [path.stem for path in records] == [
        f"momentum-{row}-seed{n}" for row in ("0-9", "0") for n in (0, 1)
    ]
    assert re.search(r"^momentum 0\.9 - momentum 0 +\+\d", printed, re.MULTILINE)  # it brings something
    before = [path.stat().st_mtime_ns for path in records]
    argv = ["table", str(FOLDER / "add_table.py"), "--workdir", str(tmp_path), "--results", "results"]
    assert main([*argv, "--quiet"]) == 0
    assert capsys.readouterr().out.rstrip() == printed.rstrip()
    assert [path.stat().st_mtime_ns for path in records] == before
