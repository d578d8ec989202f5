"""What a side and the harness say to each other: JSON lines over the side's stdin and stdout.

    side     "first step"            as soon as its first step is done, compilation included
    side     {"ready": facts}        when it is warm; it waits now, and takes no processor time
    harness  "go"
    side     {"seconds": 3.14}       for its next `--steps` steps; then it waits for the next "go"

A side that cannot run on this machine says {"cannot": why} instead and ends. At the end of its stdin
it ends too, so that no side outlives the harness. Only the standard library is imported here.
"""

import argparse
import json
import os
import re
import sys
import time
from collections.abc import Callable
from typing import Any, NoReturn

RECIPE = "configs/cifar10_resnet.py:20"


class Channel:
    """The side's end. Whatever a library prints goes to stderr: stdout is the protocol's alone."""

    def __init__(self) -> None:
        self._out = os.fdopen(os.dup(1), "w")
        os.dup2(2, 1)

    def tell(self, message: Any) -> None:
        print(json.dumps(message), file=self._out, flush=True)

    def cannot(self, why: str) -> NoReturn:
        """Tells why in a line without the folders of this machine, for it goes into a record; and ends."""
        first = why.strip().partition("\n")[0]
        self.tell({"cannot": re.sub(r"/(?:[^\s/]+/)+", "", first)[:200]})
        raise SystemExit

    def wait(self) -> None:
        """Until the harness says go; raises SystemExit where it has gone."""
        if not sys.stdin.readline():
            raise SystemExit


def arguments(description: str | None, *switches: str) -> argparse.Namespace:
    """-> the side's command line: what all sides take, and `switches` of its own."""
    parser = argparse.ArgumentParser(description=description, allow_abbrev=False)
    parser.add_argument("--images", required=True, metavar="PREFIX", help="reads PREFIX-train.npz")
    parser.add_argument("--steps", required=True, type=int, help="steps between two stops")
    parser.add_argument("--config", default=RECIPE, metavar="FILE[:ARG]", help="of the sides of resjax")
    for switch in switches:
        parser.add_argument(switch, action="store_true")
    return parser.parse_args()


def serve(channel: Channel, run: Callable[[int], None], steps: int, facts: dict[str, Any]) -> None:
    """A side's life. `run(k)` trains k steps and returns when the device has finished them."""
    run(1)
    channel.tell("first step")
    run(steps)
    channel.tell({"ready": facts})
    while True:
        channel.wait()
        start = time.perf_counter()
        run(steps)
        channel.tell({"seconds": time.perf_counter() - start})
