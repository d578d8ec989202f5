"""resjax as a user runs it: the loop behind `resjax train`, stopped between rounds by its own display.

At a multiple of `log_every` the loop waits for the device before it tells the display how far it is, so
the display can tell the time there and then keep the loop waiting. Batches, metrics, the log with its
TensorBoard events and the progress are all inside the time; evaluation lies beyond the end, and so do
checkpoints but with `--saves`.
"""

import argparse
import contextlib
import json
import os
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from experiments.benchmarks.sides.protocol import Channel, arguments
from resjax import backend
from resjax.progress import Display, Update


class PausingDisplay(Display):
    """Speaks the protocol at every `steps`-th step; the steps before the first stop warm up.

    The facts are gathered at that stop, for no user's first step waits for them.
    """

    def __init__(self, channel: Channel, steps: int, facts: Callable[[], dict[str, Any]]):
        super().__init__()
        self._channel, self._steps, self._facts, self._cold = channel, steps, facts, True

    @contextlib.contextmanager
    def task(self, label: str, total: int, done: int = 0) -> Iterator[Update]:
        with super().task(label, total, done) as update:

            def update_and_pause(completed: int, note: str) -> None:
                update(completed, note)
                if self._cold:  # the loop has waited for the first thing that it compiled
                    self._channel.tell("first step")
                    self._cold = False
                if completed % self._steps == 0:
                    self._pause(warm=completed > self._steps)

            yield update_and_pause

    def _pause(self, warm: bool) -> None:
        if warm:
            self._channel.tell({"seconds": time.perf_counter() - self._start})
        else:
            self._channel.tell({"ready": self._facts()})
        self._channel.wait()
        self._start = time.perf_counter()


def facts() -> dict[str, str]:
    import jax

    flags, options = os.environ.get("XLA_FLAGS", ""), json.dumps(backend.compiler_options() or {})
    return {"platform": jax.default_backend(), "xla_flags": flags, "compiler_options": options}


def multiply_adds(loaded: Any) -> int:
    """-> of an image's forward pass, without heads that are discarded."""
    from resjax import job

    net, anatomy, _ = job.preview(loaded)
    gone = {head.name for head, _ in net.heads if head.discard_at}
    return sum(layer.multiply_adds for layer in anatomy.layers if layer.part not in gone)


def main() -> None:
    args, channel = arguments(__doc__, "--saves"), Channel()
    backend.configure()  # before JAX is imported, as in the command line
    from resjax import training

    loaded = recipe(args)
    with tempfile.TemporaryDirectory() as workdir:
        display = PausingDisplay(
            channel, args.steps, lambda: facts() | {"multiply_adds": multiply_adds(loaded)}
        )
        training.train(loaded, Path(workdir), display)


def recipe(args: argparse.Namespace) -> Any:
    """-> the config; with `--saves` there is a checkpoint in every turn."""
    from resjax import config

    settings = {
        "data.name": f"npz:{args.images}",
        "train.log_every": args.steps,
        "train.eval_every": 1e6,
        "train.checkpoint_every": args.steps if args.saves else 10**9,
    }
    return config.load(args.config, [f"--config.{key}={value}" for key, value in settings.items()])


if __name__ == "__main__":
    main()
