"""Launches: what is printed, done, and refused."""

import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from launched import ELSEWHERE, OF_TABLES, TABLE, TARGETS, TPU, Capture, called, dry
from refusal import check, transcript

from experiments.launch import steps
from experiments.launch.__main__ import main
from experiments.launch.steps import Run, Write
from resjax.errors import RunFailed


@pytest.mark.parametrize("verb", ["train", "table"])
@pytest.mark.parametrize("name", TARGETS)
def test_what_is_printed_is_what_is_done(
    name: str, verb: str, train: list[str], notes: Path, capsys: Capture
) -> None:
    """Run as a shell script, it calls the same programs with the same words, and writes the same files."""
    target, words = (OF_TABLES[name], TABLE) if verb == "table" else (TARGETS[name], train)
    script, files = dry(capsys, target, *words), []
    assert called(notes) == []
    for launch in (lambda: main([*target, "--", *words]), lambda: run(script)):
        assert launch() == 0
        written = [path for path in notes.parent.rglob("*") if path.suffix in (".yaml", ".sh", ".bundle")]
        files.append(({path.name: path.read_bytes() for path in written}, called(notes)))
        for path in written:
            path.unlink()
    assert files[0] == files[1]
    assert files[0][1]


def run(script: str) -> int:
    return subprocess.run(["bash", "-c", script]).returncode


@pytest.mark.parametrize("name", ELSEWHERE)
def test_a_table_runs_in_all_processes(name: str, here: Path, capsys: Capture) -> None:
    text = dry(capsys, ELSEWHERE[name], *TABLE).replace("'\"'\"'", "'")  # a quote within quotes
    assert "resjax table --distributed table.py --row 'plain 4' --results results" in text


BAD = {
    "": "--",
    "--": "--",
    "-- eval --workdir x": "'eval'",
    "-- train --config nowhere.py --workdir x": "nowhere.py",
    "-- train --config configs/digits.py --workdir x --config.train.batch_size=0": "config.train.batch_size",
    "-- table experiments/quickstart.py --engine=ray": "--engine ray",
    "-- table experiments/quickstart.py --row=none": "--row",
    "-- table": "table",
}


@pytest.mark.golden
def test_what_cannot_run_is_refused_before_anything_is_reserved(
    capsys: Capture, monkeypatch: pytest.MonkeyPatch, root: Path, golden: Callable[[str, str], None]
) -> None:
    monkeypatch.chdir(root)
    messages = {}
    for words, name in BAD.items():
        code = main([*TPU, *words.split()])
        messages[words] = check(code, capsys.readouterr().err, name)
    golden("messages/launch.txt", transcript(messages))


def test_a_program_that_is_not_there_is_named_with_how_to_get_it(
    train: list[str], capsys: Capture, monkeypatch: pytest.MonkeyPatch, here: Path
) -> None:
    before = sorted(here.iterdir())
    monkeypatch.setenv("PATH", str(here))
    for target, program in zip(TARGETS.values(), ("gcloud", "xpk", "sky", "sbatch"), strict=True):
        check(main([*target, "--", *train]), capsys.readouterr().err, program)
    assert sorted(set(here.iterdir()) - {here / "__pycache__"}) == before


def test_a_step_that_fails_ends_the_launch_with_its_code(
    train: list[str], notes: Path, capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FAIL", "9")
    assert main([*TPU, "--", *train]) == 9
    assert [call[4] for call in called(notes)] == ["describe", "create"]
    assert capsys.readouterr().err.startswith("resjax: gcloud ")
    with pytest.raises(RunFailed):
        steps.perform([Write(notes.parent / "a" / "b", "text\n"), Run(["sky"])])
    assert (notes.parent / "a" / "b").read_text() == "text\n"


@pytest.mark.parametrize("name", TARGETS)
def test_help_says_what_each_does(name: str, capsys: Capture) -> None:
    with pytest.raises(SystemExit, match="0"):
        main([name, "--help"])
    said = capsys.readouterr().out
    assert f"python -m experiments.launch {name} " in said
    assert "--dry-run" in said
    assert "75" in said
