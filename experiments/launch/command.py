"""The command of resjax that is to run elsewhere: one run, or a table."""

import argparse
import dataclasses
import shlex
from collections.abc import Sequence

from resjax.__main__ import parse
from resjax.errors import UserError

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
    """

    words: tuple[str, ...]
    args: argparse.Namespace

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
    if words[0] == "table":
        _check_table(args)
    else:
        _check_config(args)
    return Command(tuple(words), args)


def _check_config(args: argparse.Namespace) -> None:
    from resjax import assemble, budget, config

    assemble.check(budget.shorten(config.load(args.config, args.overrides), args.budget))


def _check_table(args: argparse.Namespace) -> None:
    from resjax import table

    if args.engine != "plain":
        raise UserError(f"--engine {args.engine} is not for a launch: the target chooses what runs the cells")
    if not args.file:
        raise UserError("resjax table needs a table's file; resjax table --list shows those in experiments")
    loaded, (file, _) = table.load(args.file), table.split(args.file)
    table.choose(loaded, file, args.row, args.seed)
