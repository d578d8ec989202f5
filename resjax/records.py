"""The records of a table: one small JSON for each cell, full or shortened."""

import dataclasses
import functools
import json
import math
import warnings
from collections.abc import Sequence
from pathlib import Path

from resjax import config as configs
from resjax.budget import FULL, shorten
from resjax.cells import Cell, seedless
from resjax.errors import UserError
from resjax.rows import Record

SHORTENED = "budget-"  # and the share: the folder of shortened runs, inside that of the full ones


@dataclasses.dataclass(frozen=True)
class Records:
    """The sound records of a table's cells.

    Attributes:
      full: of runs at the recipe's full length.
      shortened: the others, by their share of that length, from the greatest on.
    """

    full: list[Record]
    shortened: dict[float, list[Record]]

    def __bool__(self) -> bool:
        return bool(self.full or self.shortened)


def folder(results: Path, share: float) -> Path:
    return results if share == FULL else results / f"{SHORTENED}{share:g}"


def read_all(cells: Sequence[Cell], results: Path) -> Records:
    """What is damaged, or of a config that is no longer the cell's, is named in a warning and left out."""
    shares = []
    for path in results.glob(f"{SHORTENED}*"):
        try:
            shares.append(float(path.name.removeprefix(SHORTENED)))
        except ValueError:
            warnings.warn(f"{path} is no folder of shortened runs; skipped", stacklevel=2)
    found = {share: _of(cells, results, share) for share in sorted(shares, reverse=True)}
    return Records(_of(cells, results, FULL), {share: records for share, records in found.items() if records})


def _of(cells: Sequence[Cell], results: Path, share: float) -> list[Record]:
    found = []
    for cell in sorted(cells, key=lambda cell: cell.record_name):
        path = folder(results, share) / cell.record_name
        record = _read(path, cell)
        if record is not None and not _is_of(record, cell, share):
            warnings.warn(f"record {path} is of another config than the row's; skipped", stacklevel=2)
        elif record is not None:
            found.append(record)
    return found


def _read(path: Path, cell: Cell) -> Record | None:
    """-> the record, or None where there is none or it is damaged."""
    if not path.exists():
        return None
    try:
        record = json.loads(path.read_text())
        _check(record, cell)
    except (ValueError, AttributeError, TypeError) as error:
        warnings.warn(f"record {path} is damaged ({error}); skipped", stacklevel=2)
        return None
    return record


def _check(record: Record, cell: Cell) -> None:
    """Raises ValueError where something lacks, is another cell's, or cannot be."""
    missing = {"row", "seed", "config", "versions", "device"} - record.keys()
    missing |= set() if isinstance(record.get("config"), dict) else {"config"}
    if "diverged_at" not in record:
        missing |= {"metrics", "seconds"} - record.keys()
        missing |= {"test/accuracy", "train/accuracy"} - record.get("metrics", {}).keys()
    if missing:
        raise ValueError("it lacks " + ", ".join(sorted(missing)))
    if (record["row"], record["seed"]) != (cell.row.label, cell.seed):
        raise ValueError(f"it is that of the row '{record['row']}' with seed {record['seed']}")
    if not 0 <= record.get("seconds", 0) < math.inf:
        raise ValueError(f"seconds is {record['seconds']}")
    for name, value in record.get("metrics", {}).items():
        if name.endswith("accuracy") and not 0 <= value <= 1:
            raise ValueError(f"{name} is {value}; it must be from 0 to 1")


def is_recorded(cell: Cell, results: Path, share: float) -> bool:
    """There is a sound record of the cell's very config, shortened to this share."""
    record = _read(folder(results, share) / cell.record_name, cell)
    return record is not None and _is_of(record, cell, share)


def _is_of(record: Record, cell: Cell, share: float) -> bool:
    return record["config"].get("seed") == cell.seed and _agree(seedless(record["config"]), cell.text, share)


@functools.lru_cache(maxsize=4096)
def _agree(found: str, recipe: str, share: float) -> bool:
    """A record's config is the recipe, shortened; keys that it was written without have their defaults.

    The question is the same for all seeds of a row, and with many phases takes long.
    """
    expected = shorten(configs.from_json(recipe), share)
    if found == seedless(configs.portable(expected)):
        return True
    try:
        return not configs.difference(configs.from_json(found), expected)
    except UserError:  # it has a key, or a value, that is no more
        return False
