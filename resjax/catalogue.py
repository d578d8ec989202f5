"""Every table of a folder, with what is done of it: `resjax table --list`."""

from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from resjax import cells, markup, pyfile, records, verdicts
from resjax.errors import UserError
from resjax.rows import Table

HEADER = ["table", "cells", "recorded", "missing", "shortened", "verdicts of rows"]
FUNCTION = "def get_table("


def listing(folder: Path) -> str:
    """-> a line for each table; raises UserError where there is none, or one that fails."""
    body = [_line(spec, cells.load(spec)) for spec in specs(folder)]
    if not body:
        raise UserError(f"there is no table in {folder}; a table is a Python file with get_table()")
    return markup.text(HEADER, body)


def specs(folder: Path) -> Iterator[str]:
    """-> `path.py[:arg]` of each table; a file that takes arguments names them in ARGUMENTS."""
    for file in sorted(folder.glob("*.py")):
        if FUNCTION in file.read_text():
            for argument in pyfile.read(file, "ARGUMENTS", ("",)):
                yield f"{file}:{argument}" if argument else str(file)


def _line(spec: str, table: Table) -> list[str]:
    file, _ = cells.split(spec)
    all_cells = list(cells.cells(table, file))
    found = records.read_all(all_cells, table.results(file))
    counts = Counter(verdicts.verdict(table, found, row) for row in table.rows if row.published)
    shortened = [f"{len(each)} at {100 * share:g} %" for share, each in found.shortened.items()]
    told = ", ".join(f"{count} {verdict}" for verdict, count in counts.items())
    lost = verdicts.diverged(found.full)
    recorded = f"{len(found.full)} ({lost} diverged)" if lost else str(len(found.full))
    missing = str(len(all_cells) - len(found.full))
    return [spec, str(len(all_cells)), recorded, missing, ", ".join(shortened) or "-", told or "-"]
