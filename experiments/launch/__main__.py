"""The command line of launches."""

import argparse
import sys
from collections.abc import Sequence

from experiments.launch import command, skypilot, slurm, steps, tpu_vm, xpk
from resjax.errors import ResjaxError, UserError
from resjax.options import Parser

TARGETS = {target.NAME: target for target in (tpu_vm, xpk, skypilot, slurm)}
TEXT = """\
Runs `resjax train` or `resjax table` on machines elsewhere: what is to run comes behind --. The config or the
table is read here first, so that what is wrong with it is told before anything is reserved.
"""


def main(argv: Sequence[str] | None = None) -> int:
    """Launches; -> exit code: 0 done, 2 bad input, that of a step which failed."""
    words = list(sys.argv[1:] if argv is None else argv)
    cut = words.index("--") if "--" in words else len(words)
    args = _parser().parse_args(words[:cut])
    try:
        if cut == len(words):
            raise UserError("what is to run comes behind --, such as -- train --config FILE --workdir DIR")
        plan = TARGETS[args.target].steps(args, command.read(words[cut + 1 :]))
        if args.dry_run:
            print(steps.show(plan))
        else:
            steps.perform(plan)
    except ResjaxError as error:
        return _fail(str(error), error.exit_code)
    except OSError as error:
        place = f"{error.filename}: " if error.filename else ""
        return _fail(f"{place}{error.strerror or error}", UserError.exit_code)
    except KeyboardInterrupt:
        return _fail("stopped; what was started elsewhere may still run there", 130)
    return 0


def _parser() -> Parser:
    parser = Parser(prog="python -m experiments.launch", description=TEXT, allow_abbrev=False)
    targets = parser.add_subparsers(dest="target", metavar="TARGET", required=True)
    for name, target in TARGETS.items():
        text = target.__doc__ or ""
        one = targets.add_parser(
            name,
            help=text.partition("\n")[0],
            description=text,
            allow_abbrev=False,
            formatter_class=argparse.RawDescriptionHelpFormatter,
        )
        one.add_argument("--dry-run", action="store_true", help="print what would be done, as a shell script")
        target.add_options(one)
    return parser


def _fail(message: str, code: int) -> int:
    print(f"resjax: {message}", file=sys.stderr)
    return code


if __name__ == "__main__":
    sys.exit(main())
