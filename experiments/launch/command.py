"""The command of resjax that is to run elsewhere: one run, or a table."""

import argparse
import dataclasses
import os
import shlex
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from resjax.__main__ import parse
from resjax.errors import UserError

if TYPE_CHECKING:
    from resjax.config import Config

VERBS = ("train", "table")
# On every machine, in the folder of the source. Images of TPU machines have an older Python than is needed.
ENVIRONMENT = "~/resjax-env"
SETUP = f"""\
python3 -m pip install --quiet uv
python3 -m uv venv --quiet --allow-existing --python 3.12 {ENVIRONMENT}
python3 -m uv pip install --quiet --python {ENVIRONMENT}/bin/python -e {{package}} -c constraints.txt"""


@dataclasses.dataclass(frozen=True)
class Command:
    """Attributes:
    words: of the command line, behind `resjax`.
    args: what they mean.
    files: that it reads and that must be there: of the config or the table, and of nets of one's own.
    """

    words: tuple[str, ...]
    args: argparse.Namespace
    files: tuple[Path, ...]

    @property
    def is_table(self) -> bool:
        return self.args.verb == "table"

    def joined(self) -> tuple[str, ...]:
        """-> the words for each of several processes, which find each other by what the machines tell."""
        there = "--distributed" in self.words
        return self.words if there else (self.words[0], "--distributed", *self.words[1:])

    def package(self, kind: str) -> str:
        """-> of this folder, for pip: with the extra `kind`, and those of the trackers."""
        from resjax import tracking

        return f"'.[{','.join((kind, *tracking.known(self.args.track)))}]'"

    def shell(self, python: str, words: Sequence[str] | None = None) -> str:
        """-> for a shell; `python` is no single word, but what the shell makes of it."""
        return f"{python} -m resjax {shlex.join(self.words if words is None else words)}"


def read(words: Sequence[str]) -> Command:
    """-> the command, if it can run; raises UserError for what would be refused where it is to run."""
    if not words or words[0] not in VERBS:
        found = f", not '{words[0]}'" if words else ""
        raise UserError(f"behind -- comes what resjax is to do, {' or '.join(VERBS)}{found}")
    args = parse(list(words))
    from resjax import tracking

    tracking.known(args.track)
    files = _of_table(args) if words[0] == "table" else _of_run(args)
    return Command(tuple(words), args, tuple(dict.fromkeys(files)))


def _of_run(args: argparse.Namespace) -> list[Path]:
    """-> the files of a run; raises UserError where it cannot run."""
    from resjax import assemble, budget, config

    loaded = config.load(args.config, args.overrides)
    assemble.check(budget.shorten(loaded, args.budget))
    return list(_files(args.config, loaded))


def _of_table(args: argparse.Namespace) -> list[Path]:
    """-> the files of a table's cells, its own first; raises UserError where it has no such cells."""
    from resjax import table

    if args.engine != "plain":
        raise UserError(f"--engine {args.engine} is not for a launch: the target chooses what runs the cells")
    if not args.file:
        raise UserError("resjax table needs a table's file; resjax table --list shows those in experiments")
    loaded, (file, _) = table.load(args.file), table.split(args.file)
    chosen = table.choose(loaded, file, args.row, args.seed)
    named = (path for cell in chosen for path in _files(cell.flags[1], cell.recipe))
    return [Path(os.path.normpath(file)), *named]


def _files(spec: str, config: "Config") -> Iterator[Path]:
    """-> those that a config is read from, which `spec` names as `--config` does."""
    from resjax import families

    own = [config.model.name] if families.is_own(config.model.name) else []
    for name in (spec, *own):
        yield Path(os.path.normpath(name.partition(":")[0]))
