"""Tables: rows of configs times seeds; run the cells that are missing, keep one record for each."""

import dataclasses
import functools
import json
import os
import shlex
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path

from resjax import assemble, figure, pyfile, render
from resjax import config as configs
from resjax.config import Config
from resjax.data import sources
from resjax.data.sources import Dataset
from resjax.errors import Diverged, FolderBusy, UserError, did_you_mean
from resjax.metrics import metric_names
from resjax.models.trunk import MAIN
from resjax.progress import Display
from resjax.record import provenance, write_atomically
from resjax.rows import Record, Row, Table
from resjax.train import train


@dataclasses.dataclass(frozen=True)
class Cell:
    row: Row
    seed: int
    config: Config
    flags: tuple[str, ...]

    @property
    def record_name(self) -> str:
        return f"{self.row.slug}-seed{self.seed}.json"


def split(spec: str) -> tuple[Path, list[str]]:
    """-> the file and the argument, if there is one, of `path.py[:arg]`."""
    path, _, arg = spec.partition(":")
    return Path(path), [arg] if arg else []


def load(spec: str) -> Table:
    """Reads the file of `path.py[:arg]`; raises UserError where it is absent, fails, or defines no table."""
    file, args = split(spec)
    table = pyfile.call(file, "get_table", *args)
    if not isinstance(table, Table):
        raise UserError(f"{file}: get_table() returned {type(table).__name__}, not a resjax.table.Table")
    return table


def cells(table: Table, file: Path) -> Iterator[Cell]:
    """Seed by seed, so that an unfinished table has the same number of seeds in most rows."""
    for seed in table.seeds:
        for row in table.rows:
            path, colon, arg = row.config.partition(":")
            spec = f"{os.path.relpath(file.parent / path)}{colon}{arg}"
            values = {**row.overrides, "seed": seed}
            overrides = [f"--config.{key}={value}" for key, value in values.items()]
            config = configs.load(spec, overrides)
            _check_metric(table.metric, config)
            yield Cell(row, seed, config, ("--config", spec, *overrides))


def _check_metric(metric: str, config: Config) -> None:
    splits = ("train", "test", "validation") if config.data.holdout else ("train", "test")
    names = metric_names([MAIN, *(head.name for head in config.heads)])
    known = [f"{split}/{name}" for split in splits for name in names]
    if metric not in known:
        raise UserError(f"a table's metric is '{metric}'{did_you_mean(metric, known)}")


def run(
    table: Table,
    file: Path,
    results: Path,
    workdir: Path,
    display: Display,
    *,
    row: str | None = None,
    seed: int | None = None,
) -> None:
    """Runs the cells that have no record of the same config, optionally of one row or seed only.

    Raises:
      UserError: no such row or seed, or a cell that cannot run.
      Interrupted: SIGTERM or Ctrl-C; finished cells and the state of the running one are saved.
    """
    labels = [each.label for each in table.rows]
    if row is not None and row not in labels:
        raise UserError(f"--row is '{row}'{did_you_mean(row, labels)}")
    if seed is not None and seed not in table.seeds:
        raise UserError(f"--seed is {seed}; the seeds of this table are {list(table.seeds)}")
    wanted = [
        cell for cell in cells(table, file) if row in (None, cell.row.label) and seed in (None, cell.seed)
    ]
    for cell in wanted:  # all of them before the first one runs
        assemble.check(cell.config)
    missing = [cell for cell in wanted if not _is_recorded(results / cell.record_name, cell)]
    display.say(f"{table.name}: {len(wanted) - len(missing)} cells recorded, {len(missing)} to run")
    load = functools.lru_cache(maxsize=1)(sources.load)  # most cells of a table read the same data
    with display, display.task(table.name, len(missing)) as update:
        for done, cell in enumerate(missing):
            update(done, f"{cell.row.label}, seed {cell.seed}")
            record = _run_cell(table, cell, workdir, display, load)
            if record is not None:
                results.mkdir(parents=True, exist_ok=True)
                write_atomically(results / cell.record_name, json.dumps(record, indent=1) + "\n")
        update(len(missing), "done")


def _run_cell(
    table: Table, cell: Cell, workdir: Path, display: Display, load: Callable[..., Dataset]
) -> Record | None:
    folder = workdir / table.name / cell.row.slug / f"seed{cell.seed}"
    command = shlex.join(["resjax", "train", *cell.flags, "--workdir", str(folder)])
    identity = {"table": table.name, "row": cell.row.label, "seed": cell.seed, "command": command}
    try:
        return identity | train(cell.config, folder, display, load)
    except FolderBusy as error:
        display.say(f"{cell.row.label}, seed {cell.seed}: skipped, {error}")
        return None
    except Diverged as error:
        display.say(f"{cell.row.label}, seed {cell.seed}: {error}")
        return identity | {"config": configs.portable(cell.config), "diverged_at": error.step, **provenance()}


def read_records(table: Table, results: Path) -> list[Record]:
    """-> the sound records of a table's rows and seeds; a damaged one is named and left out."""
    slugs = {(row.slug, seed) for row in table.rows for seed in table.seeds}
    names = [f"{slug}-seed{seed}.json" for slug, seed in sorted(slugs)]
    return [record for name in names if (record := _read(results / name)) is not None]


def _read(path: Path) -> Record | None:
    if not path.exists():
        return None
    try:
        record = json.loads(path.read_text())
        missing = {"row", "seed", "config", "versions", "device"} - record.keys()
        if missing or not ("metrics" in record or "diverged_at" in record):
            raise ValueError("it lacks " + ", ".join(sorted(missing) or ["metrics"]))
    except (ValueError, AttributeError) as error:
        warnings.warn(f"record {path} is damaged ({error}); skipped", stacklevel=2)
        return None
    return record


def _is_recorded(path: Path, cell: Cell) -> bool:
    record = _read(path)
    return record is not None and not configs.difference(configs.override(record["config"], ()), cell.config)


def publish(table: Table, results: Path) -> str:
    """Writes NAME.md, NAME.csv and NAME.png from the records alone; -> the text of the table.

    Raises:
      UserError: there is no record to render.
    """
    records = read_records(table, results)
    if not records:
        raise UserError(f"there are no records in {results}; run the table first")
    rendered = render.render(table, records)
    write_atomically(results / f"{table.name}.md", rendered.markdown)
    write_atomically(results / f"{table.name}.csv", rendered.csv)
    figure.figure(table, records, results / f"{table.name}.png")
    return rendered.text
