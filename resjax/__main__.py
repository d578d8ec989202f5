"""The command line: what each process says and ends with. What it can do is in `options` and `verbs`."""

import argparse
import contextlib
import logging
import os
import re
import sys
import threading
import warnings
from collections.abc import Iterator, Sequence

from absl import logging as absl_logging

from resjax import backend, options
from resjax.errors import ResjaxError, UserError

OVERRIDE = re.compile(r"--(no)?config\.|--probe\.|[^-]|-[\d.]")  # a key, or a value behind a blank


def command() -> None:
    """The process: it ends at once behind a failure, where a failed save's threads would go on to print."""
    with one_voice():
        code = main()
        if code:
            with contextlib.suppress(OSError):
                sys.stdout.flush()
            os._exit(code)


def main(argv: Sequence[str] | None = None) -> int:
    """Runs one command; -> its exit code: 0 done, 2 bad input, 3 diverged, 75 stopped and resumable."""
    args = parse(argv)
    warnings.showwarning = lambda message, *_: print(f"resjax: warning: {message}", file=sys.stderr)
    try:
        backend.configure()
        with one_voice():
            args.run(args)
    except ResjaxError as error:
        return _fail(str(error), error.exit_code)
    except BrokenPipeError:  # the reader of our output, such as `head`, has gone
        sys.stderr.close()
        return 0
    except OSError as error:
        place = f"{error.filename}: " if error.filename else ""
        return _fail(f"{place}{error.strerror or error}; nothing saved before is lost", UserError.exit_code)
    except KeyboardInterrupt:
        return _fail("stopped", 130)
    return 0


def parse(argv: Sequence[str] | None = None) -> argparse.Namespace:
    """-> what a command line says, a config's overrides as `overrides`; leaves with 2 where it is bad."""
    parser = options.parser()
    args, rest = parser.parse_known_args(argv)
    stray = [part for part in rest if not (args.takes_overrides and OVERRIDE.match(part))]
    if stray:
        keys = "; a config's keys look like --config.model.depth=56" if args.takes_overrides else ""
        parser.error(f"'{stray[0]}' is not an option of resjax {args.verb}{keys}")
    args.overrides = rest
    return args


@contextlib.contextmanager
def one_voice() -> Iterator[None]:
    """Orbax and tensorstore tell a failed save many times over, in logs and threads; we raise it once."""
    absl_logging.set_verbosity(absl_logging.FATAL)
    logging.getLogger("asyncio").setLevel(logging.CRITICAL)
    hooks = threading.excepthook, sys.unraisablehook
    threading.excepthook = sys.unraisablehook = lambda _: None
    try:
        yield
    finally:
        threading.excepthook, sys.unraisablehook = hooks


def _fail(message: str, code: int) -> int:
    print(f"resjax: {message}", file=sys.stderr)
    return code


if __name__ == "__main__":
    command()
