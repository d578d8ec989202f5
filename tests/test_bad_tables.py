"""Bad tables: one sentence that names the key or file and says what would do, before anything is written."""

from pathlib import Path

import pytest
from refusal import refuse, write

Capture = pytest.CaptureFixture[str]

A, B = "Row(label='a', config='recipe.py')", "Row(label='b', config='recipe.py')"
TABLES = {
    f"rows=({A},), seeds=()": ("seeds", "at least one"),
    f"rows=({A},), seeds=(1, 1)": ("seeds", "none twice"),
    f"rows=({A},), seeds=(-1,)": ("seed", "-1", "must"),
    f"rows=({A},), seeds=('x',)": ("seed", "whole number"),
    "rows=(), seeds=(0,)": ("rows", "at least"),
    f"rows=({A}, {A}), seeds=(0,)": ("rows", "of its own"),
    f"rows=({A}, Row(label='A!', config='recipe.py')), seeds=(0,)": ("rows", "of its own"),
    "rows=(Row(label='', config='recipe.py'),), seeds=(0,)": ("rows", "label"),
    f"rows=({A}, {B}), seeds=(0,), contrasts=(('a', 'c'),)": ("contrasts", "'c'", "a, b"),
    f"rows=({A}, {B}), seeds=(0,), contrasts=(('a', 'b', 'a'),)": ("contrasts", "must"),
    f"rows=({A}, {B}), seeds=(0,), contrasts=('ab',)": ("contrasts", "must"),
    f"row=({A},), seeds=(0,)": ("'row'",),
    "rows=(Row(label='a', config='absent.py'),), seeds=(0,)": (r"absent\.py", "Python file"),
    "rows=(Row(label='a', config='recipe.py', overrides={'model.dpeth': 4}),), seeds=(0,)": ("'depth'",),
    "rows=(Row(label='a', config='recipe.py', overrides={'model.depth': 5}),), seeds=(0,)": ("depth is 5",),
}


def write_table(folder: Path, settings: str) -> Path:
    write(folder)
    file = folder / "table.py"
    file.write_text(
        "from resjax.table import Row, Table\n"
        f"def get_table(): return Table(name='t', title='T', {settings}, keep_records=False)\n"
    )
    return file


def refuse_table(capsys: Capture, file: Path, *flags: str, said: tuple[str, ...]) -> None:
    """Runs `table`, which must be refused before anything is written."""
    folders = [file.parent / "runs", file.parent / "results"]
    command = ["table", file, "--workdir", folders[0], "--results", folders[1], "--quiet", *flags]
    refuse(capsys, *command, said=said)
    assert not any(folder.exists() for folder in folders)


@pytest.mark.parametrize("settings", TABLES)
def test_an_impossible_table_is_refused(tmp_path: Path, capsys: Capture, settings: str) -> None:
    refuse_table(capsys, write_table(tmp_path, settings), said=TABLES[settings])


@pytest.mark.parametrize(
    ("flag", "found", "known"), [("--row", "'c'", "a, b"), ("--seed", "7", "[0, 1]")], ids=["row", "seed"]
)
def test_an_unknown_row_or_seed_is_refused(
    tmp_path: Path, capsys: Capture, flag: str, found: str, known: str
) -> None:
    file = write_table(tmp_path, f"rows=({A}, {B}), seeds=(0, 1)")
    said = (flag, found, known.replace("[", r"\["))
    refuse_table(capsys, file, flag, found.strip("'"), said=said)


def test_an_impossible_row_is_refused_before_the_others_run(tmp_path: Path, capsys: Capture) -> None:
    bad = "Row(label='b', config='recipe.py', overrides={'model.depth': 5})"
    refuse_table(capsys, write_table(tmp_path, f"rows=({A}, {bad}), seeds=(0,)"), said=("depth is 5",))


def test_a_metric_that_no_run_has_is_refused(tmp_path: Path, capsys: Capture) -> None:
    file = write_table(tmp_path, f"rows=({A},), seeds=(0,), metric='tset/accuracy'")
    refuse_table(capsys, file, said=("tset/accuracy", "test/accuracy"))


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (None, "no file"),
        ("x = 1", "get_table"),
        ("def get_table(): return {}", "Table"),
        ("def", "SyntaxError"),
    ],
)
def test_a_file_that_holds_no_table_is_named(
    tmp_path: Path, capsys: Capture, text: str | None, said: str
) -> None:
    file = tmp_path / "table.py"
    if text is not None:
        file.write_text(text)
    refuse_table(capsys, file, said=(str(file), said))


def test_rendering_without_records_says_so(tmp_path: Path, capsys: Capture) -> None:
    file = write_table(tmp_path, f"rows=({A},), seeds=(0,)")
    refuse_table(capsys, file, "--render", said=("no records", str(tmp_path)))
