"""The command line of the benchmarks."""

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path

from experiments.benchmarks import cpu, loop, own
from resjax.errors import ResjaxError, UserError
from resjax.options import Parser

RESULTS = Path(__file__).parents[1] / "results" / "benchmarks"
BENCHMARKS = {each.name: each for each in (cpu.BENCHMARK, loop.BENCHMARK, own.HEADS, own.DEPTH)}


def main(argv: Sequence[str] | None = None) -> int:
    """Runs one benchmark; -> its exit code: 0 done, 1 a side failed, 2 bad input."""
    args = _parser().parse_args(argv)
    try:
        _run(args)
    except ResjaxError as error:
        return _fail(str(error), error.exit_code)
    except OSError as error:
        place = f"{error.filename}: " if error.filename else ""
        return _fail(f"{place}{error.strerror or error}", UserError.exit_code)
    except KeyboardInterrupt:
        return _fail("stopped; nothing was recorded", 130)
    return 0


def _run(args: argparse.Namespace) -> None:
    from experiments.benchmarks import benchmark, render
    from resjax.record import write_atomically

    chosen = BENCHMARKS[args.benchmark]
    path = args.results / f"{chosen.name}.json"
    if not args.render:
        chosen.choose(args.only, Path(), args.steps)  # what is wrong is told before a folder is made
        args.results.mkdir(parents=True, exist_ok=True)
        record = benchmark.run(chosen, wanted=args.rounds, steps=args.steps, only=args.only, say=_say)
        render.markdown(chosen, record)  # fails where no round counts, before a former record is replaced
        write_atomically(path, json.dumps(record, indent=2) + "\n")
    print(render.publish(chosen, path))


def _parser() -> Parser:
    parser = Parser(
        prog="python -m experiments.benchmarks",
        description="Speed, measured against the peers in one run.",
        epilog="Run it from the repository's root, on a machine on which nothing else runs. The sides on"
        " PyTorch need pip install 'resjax[bench]'.",
        allow_abbrev=False,
    )
    names = parser.add_subparsers(dest="benchmark", metavar="BENCHMARK", required=True)
    for benchmark in BENCHMARKS.values():
        sides = ", ".join(side.name for side in benchmark.sides(Path(), 1))
        _add(names, benchmark.name, benchmark.title, sides)
    return parser


def _add(names: "argparse._SubParsersAction[Parser]", name: str, title: str, sides: str) -> None:
    one = names.add_parser(
        name, help=title, allow_abbrev=False, description=f"{title}. Writes {name}.json, .md and .png."
    )
    one.add_argument("--rounds", type=_count, default=10, metavar="N", help="good rounds (default: 10)")
    one.add_argument(
        "--steps", type=_count, default=20, metavar="N", help="steps of each side in a round (default: 20)"
    )
    one.add_argument(
        "--only", type=_list, default=[], metavar="SIDE,...", help=f"these sides only, of {sides}"
    )
    one.add_argument(
        "--results", type=Path, default=RESULTS, metavar="DIR", help="default: experiments/results/benchmarks"
    )
    one.add_argument("--render", action="store_true", help="measure nothing, render from the record there is")


def _count(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"it is '{text}'; give a whole number above 0")
    return int(text)


def _list(text: str) -> list[str]:
    names = [name.strip() for name in text.split(",") if name.strip()]
    if not names:
        raise argparse.ArgumentTypeError("it names no side")
    return names


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def _fail(message: str, code: int) -> int:
    print(f"resjax: {message}", file=sys.stderr)
    return code


if __name__ == "__main__":
    sys.exit(main())
