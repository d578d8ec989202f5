"""Tables: run the cells that have no record yet, keep one record for each, publish what there is."""

import contextlib
import dataclasses
import functools
import json
import shlex
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import filelock

from resjax import assemble, budget, figure, processes, records, render
from resjax import config as configs
from resjax import mesh as meshes
from resjax.budget import FULL
from resjax.cells import Cell, cells, load, split
from resjax.config import Config
from resjax.data import sources
from resjax.data.sources import Dataset
from resjax.errors import Diverged, FolderBusy, UserError, did_you_mean
from resjax.mesh import Layout
from resjax.progress import Display
from resjax.published import Published
from resjax.record import provenance, write_atomically
from resjax.rows import Record, Row, Table
from resjax.tracking import Tracking
from resjax.training import train

__all__ = ["Published", "Row", "Table", "Work", "cells", "choose", "load", "publish", "run", "split"]


@dataclasses.dataclass(frozen=True)
class Work:
    """What is to be run, and where.

    Attributes:
      share: of each recipe's schedule; below 1, runs are shortened, and recorded apart from the full ones.
      results: folder of the table's records.
      workdir: folder of the runs of all tables.
      layout: of the devices of each run; None: all share out its batch.
      trackers: names of those that follow the runs.
    """

    table: Table
    cells: Sequence[Cell]
    share: float
    results: Path
    workdir: Path
    layout: Layout | None = None
    trackers: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        shortened = "" if self.share == FULL else f" at {self.share:.3g} of its schedule"
        return self.table.name + shortened

    def config(self, cell: Cell) -> Config:
        return budget.shorten(cell.config, self.share)

    def missing(self) -> list[Cell]:
        return [cell for cell in self.cells if not self.has(cell)]

    def has(self, cell: Cell) -> bool:
        return records.is_recorded(cell, self.results, self.share)

    def record(self, cell: Cell) -> Path:
        return records.folder(self.results, self.share) / cell.record_name

    @property
    def place(self) -> Path:
        """The folder of this table's runs."""
        return records.folder(self.workdir / self.table.name, self.share)

    def folder(self, cell: Cell) -> Path:
        return self.place / cell.row.slug / f"seed{cell.seed}"

    def tracking(self, cell: Cell) -> Tracking:
        return Tracking(self.trackers, cell.label, self.name, self.place)

    def command(self, cell: Cell) -> str:
        """-> what runs this one cell's config alone."""
        shortened = [] if self.share == FULL else ["--budget", f"{self.share:g}"]
        return shlex.join(["resjax", "train", *cell.flags, *shortened, "--workdir", str(self.folder(cell))])


def choose(table: Table, file: Path, row: str | None = None, seed: int | None = None) -> list[Cell]:
    """-> the cells of a table, or of one row or seed of it; UserError where it has no such row or seed."""
    labels = [each.label for each in table.rows]
    if row is not None and row not in labels:
        raise UserError(f"--row is '{row}'{did_you_mean(row, labels)}")
    if seed is not None and seed not in table.seeds:
        raise UserError(f"--seed is {seed}; the seeds of this table are {list(table.seeds)}")
    return [
        cell for cell in cells(table, file) if row in (None, cell.row.label) and seed in (None, cell.seed)
    ]


Engine = Callable[[Work, Sequence[Cell], Display], None]  # runs these cells, or has them run


def one_by_one(work: Work, missing: Sequence[Cell], display: Display) -> None:
    """Runs cells here, in this process."""
    load = functools.lru_cache(maxsize=1)(sources.load)  # most cells of a table read the same data
    with display, display.task(work.name, len(missing)) as update:
        for done, cell in enumerate(missing):
            update(done, cell.label)
            run_cell(work, cell, display, load)
        update(len(missing), "done")


def run(work: Work, display: Display, engine: Engine = one_by_one) -> None:
    """Has the cells run that have no record of the same config.

    Raises:
      UserError: a cell that cannot run; all are looked at before the first one runs.
      Interrupted: SIGTERM, Ctrl-C or the end of the time; finished cells and the state of the running one
        are saved.
    """
    numbers = [number for number, cell in enumerate(work.cells) if not work.has(cell)]
    missing = [work.cells[number] for number in processes.tell(numbers)]
    with processes.agreeing():
        for cell in missing:
            config = work.config(cell)
            assemble.check(config)
            if engine is one_by_one:  # the devices of another one are elsewhere
                meshes.make(work.layout, config.train.batch_size, config.train.accumulate)
    display.say(f"{work.name}: {len(work.cells) - len(missing)} cells recorded, {len(missing)} to run")
    engine(work, missing, display)


def run_cell(work: Work, cell: Cell, display: Display, load: Callable[..., Dataset] = sources.load) -> None:
    """Runs one cell and records it, where no other run does; UserError where it cannot run."""
    try:
        with contextlib.ExitStack() as held:
            with processes.agreeing():
                if processes.is_first():
                    held.enter_context(_alone(work.record(cell)))
            if not processes.tell(work.has(cell)):  # another run may have made it since
                _record(work, cell, display, load)
    except FolderBusy as error:
        display.say(f"{cell.label}: skipped, {error}")


@contextlib.contextmanager
def _alone(record: Path) -> Iterator[None]:
    """While entered, no other process on any workdir makes this record; FolderBusy where one does."""
    record.parent.mkdir(parents=True, exist_ok=True)
    lock = filelock.FileLock(record.with_suffix(".lock"), blocking=False)
    try:
        lock.acquire()
    except filelock.Timeout as error:
        raise FolderBusy("another process runs it") from error
    try:
        yield
    finally:
        # Removed while it is held: whoever waits for the file that was here finds the record when it looks.
        record.with_suffix(".lock").unlink(missing_ok=True)
        lock.release()


def _record(work: Work, cell: Cell, display: Display, load: Callable[..., Dataset]) -> None:
    config, folder = work.config(cell), work.folder(cell)
    identity: Record = {"table": work.table.name, "row": cell.row.label, "seed": cell.seed}
    identity |= {"budget": work.share, "command": work.command(cell)}
    try:
        record = identity | train(config, folder, display, load, work.layout, work.tracking(cell))
    except Diverged as error:
        display.say(f"{cell.label}: {error}")
        record = identity | {"config": configs.portable(config), "diverged_at": error.step, **provenance()}
    if processes.is_first():
        write_atomically(work.record(cell), json.dumps(record, indent=1) + "\n")


def publish(table: Table, file: Path, results: Path) -> str:
    """Writes NAME.md, .csv, .tex and, where there are runs, .png from the records alone; -> the text.

    Raises:
      UserError: there is neither a record nor a published number to render.
    """
    found = records.read_all(list(cells(table, file)), results)
    if not found and not table.compares:
        raise UserError(f"there are no records in {results}; run the table first")
    rendered = render.render(table, found)
    results.mkdir(parents=True, exist_ok=True)
    for suffix, text in (("md", rendered.markdown), ("csv", rendered.csv), ("tex", rendered.latex)):
        write_atomically(results / f"{table.name}.{suffix}", text)
    if found:
        figure.figure(table, found, results / f"{table.name}.png")
    return rendered.text
