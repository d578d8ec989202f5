"""Bad tables: each is refused with a one-line error before anything is written."""

from collections.abc import Callable
from pathlib import Path

import pytest
from refusal import refuse, transcript, write

Capture = pytest.CaptureFixture[str]

A, B = "Row(label='a', config='recipe.py')", "Row(label='b', config='recipe.py')"
TABLES = {
    f"rows=({A},), seeds=()": "seeds",
    f"rows=({A},), seeds=(1, 1)": "seeds",
    f"rows=({A},), seeds=(-1,)": "seed",
    f"rows=({A},), seeds=('x',)": "seed",
    "rows=(), seeds=(0,)": "rows",
    f"rows=({A}, {A}), seeds=(0,)": "rows",
    f"rows=({A}, Row(label='A!', config='recipe.py')), seeds=(0,)": "rows",
    "rows=(Row(label='', config='recipe.py'),), seeds=(0,)": "rows",
    f"rows=({A}, {B}), seeds=(0,), contrasts=(('a', 'c'),)": "contrasts",
    f"rows=({A}, {B}), seeds=(0,), contrasts=(('a', 'b', 'a'),)": "contrasts",
    f"rows=({A}, {B}), seeds=(0,), contrasts=('ab',)": "contrasts",
    f"row=({A},), seeds=(0,)": "'row'",
    "rows=(Row(label='a', config='absent.py'),), seeds=(0,)": "absent.py",
    "rows=(Row(label='a', config='recipe.py', overrides={'model.dpeth': 4}),), seeds=(0,)": "'dpeth'",
    "rows=(Row(label='a', config='recipe.py', overrides={'model.depth': 5}),), seeds=(0,)": "model.depth",
    f"rows=({A}, Row(label='b', config='recipe.py', overrides={{'model.depth': 5}})), seeds=(0,)": "depth",
    f"rows=({A},), seeds=(0,), metric='tset/accuracy'": "tset/accuracy",
}
OPTIONS = {"--row c": "--row", "--seed 7": "--seed", "--render": "results"}
FILES = {"x = 1": "get_table", "def get_table(): return {}": "Table", "def": "SyntaxError"}


def write_table(folder: Path, settings: str) -> Path:
    write(folder)
    file = folder / "table.py"
    file.write_text(
        "from resjax.table import Row, Table\n"
        f"def get_table(): return Table(name='t', title='T', {settings}, keep_records=False)\n"
    )
    return file


def refuse_table(capsys: Capture, file: Path, *flags: str, names: str) -> str:
    """Runs `table`, which must be refused before anything is written, and returns the message."""
    folders = [file.parent / "runs", file.parent / "results"]
    command = ["table", file, "--workdir", folders[0], "--results", folders[1], "--quiet", *flags]
    message = refuse(capsys, *command, names=names)
    assert not any(folder.exists() for folder in folders)
    return message


@pytest.mark.golden
def test_bad_tables_are_refused(tmp_path: Path, capsys: Capture, golden: Callable[[str, str], None]) -> None:
    messages = {}
    for settings, name in TABLES.items():
        messages[settings] = refuse_table(capsys, write_table(tmp_path, settings), names=name)
    file = write_table(tmp_path, f"rows=({A}, {B}), seeds=(0, 1)")
    for flags, name in OPTIONS.items():
        messages[flags] = refuse_table(capsys, file, *flags.split(), names=name)
    for text, name in FILES.items():
        file.write_text(text)
        messages[text] = refuse_table(capsys, file, names=name)
        assert str(file) in messages[text]
    messages["absent.py"] = refuse_table(capsys, tmp_path / "absent.py", names=str(tmp_path / "absent.py"))
    golden("messages/tables.txt", transcript(messages, FOLDER=tmp_path))
