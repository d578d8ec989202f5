"""The missing cells of several tables, in order of value, within a given time.

    python -m experiments.queue --seconds 1800                        all in ORDER
    python -m experiments.queue --seconds 1800 he2015_table6 dsn      these, in this order
    python -m experiments.queue --budget 0.05                         shortened runs, without an end

Every cell leaves its record as it ends. Behind the time the running one is saved, and the same command goes
on with it: exit code 75. A cell that diverges is recorded as such; a table that cannot run says why, and the
next one's turn comes.
"""

import argparse
import contextlib
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from resjax import backend, table
from resjax.__main__ import one_voice
from resjax.errors import Interrupted, ResjaxError, UserError, did_you_mean
from resjax.options import Parser
from resjax.progress import Display
from resjax.stop import interruptible, time_limit

FOLDER = Path(__file__).parent
# Of most value first: the paper that all others are held against, the grid that no paper has, then the rest;
# what needs days on one card, or data that few have, comes last.
ORDER = (
    "he2015_table6",
    "skip_heads_pretraining:cifar10",
    "he2016_table1",
    "he2016_table2",
    "mnist_resnet18",
    "vincent2010",
    "dsn:mnist",
    "fitnets",
    "googlenet_heads",
    "dsn",
    "belilovsky2019",
    "supervision_rates:cifar10",
    "he2016_table3",
    "stochastic_depth",
    "he2016_table3:cifar100",
    "stochastic_depth:cifar100",
    "time_to_accuracy:card",
    "layer_norm_place",
    "segmentation",
    "skips_through_time:rates",
    "skips_through_time",
    "families:digits",
    "families",
    "families:published",
    "skips_through_time:pixels",
    "segmentation:mnist",
    "neural_ode",
    "he2015_table6:1202",
    "he2015_imagenet",
)
ENOUGH = 10.0  # seconds: with fewer left, no further table is begun


def main(argv: Sequence[str] | None = None) -> int:
    """-> exit code: 0 all done, 2 a table could not run, 75 stopped and resumable."""
    args = _parser().parse_args(argv)
    backend.configure()
    end = time.monotonic() + args.seconds if args.seconds else None
    try:
        with one_voice(), interruptible():
            return _all(args, [_spec(name) for name in args.tables or ORDER], end)
    except ResjaxError as error:
        print(f"resjax: {error}", file=sys.stderr)
        return error.exit_code


def _all(args: argparse.Namespace, specs: Sequence[str], end: float | None) -> int:
    code = 0
    for spec in specs:
        left = None if end is None else end - time.monotonic()
        if left is not None and left < ENOUGH:
            raise Interrupted(f"time is up before {spec}; the same command goes on")
        try:
            _one(args, spec, left)
        except UserError as error:
            print(f"resjax: {spec}: {error}", file=sys.stderr)
            code = error.exit_code
    return code


def _one(args: argparse.Namespace, spec: str, left: float | None) -> None:
    """Runs one table, and publishes what it has, also where it is stopped on the way."""
    loaded, (file, _) = table.load(spec), table.split(spec)
    results = args.results / loaded.name if args.results else loaded.results(file)
    work = table.Work(loaded, table.choose(loaded, file), args.budget, results, args.workdir)
    try:
        with time_limit(left):
            table.run(work, Display(quiet=args.quiet))
    finally:
        with contextlib.suppress(UserError):  # there is nothing yet; why it ended is what counts
            print(table.publish(loaded, file, results), flush=True)


def _spec(name: str) -> str:
    """-> the path of the table `NAME[:ARG]`."""
    stem, colon, argument = name.partition(":")
    known = [path.stem for path in sorted(FOLDER.glob("*.py"))]
    if stem not in known:
        raise UserError(f"there is no table '{stem}' in experiments{did_you_mean(stem, known)}")
    return f"{FOLDER / stem}.py{colon}{argument}"


def _parser() -> Parser:
    parser = Parser(
        prog="python -m experiments.queue", description=__doc__, allow_abbrev=False,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )  # fmt: skip
    parser.add_argument("tables", nargs="*", metavar="TABLE[:ARG]", help="default: all, in order of value")
    parser.add_argument("--seconds", type=float, metavar="N", help="stop behind this time, saved")
    parser.add_argument("--budget", type=float, default=1.0, metavar="SHARE", help="shorten all schedules")
    parser.add_argument("--results", type=Path, metavar="DIR", help="default: that of each table")
    parser.add_argument("--workdir", type=Path, default=Path("runs"), metavar="DIR", help="default: runs")
    parser.add_argument("--quiet", action="store_true", help="no progress, just the tables")
    return parser


if __name__ == "__main__":
    sys.exit(main())
