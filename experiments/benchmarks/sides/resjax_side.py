"""resjax as a user runs it: the loop behind `resjax train`, stopped between rounds by its own display.

At a multiple of `log_every` the loop waits for the device before it tells the display how far it is, so
the display can tell the time there and then keep the loop waiting. Batches, metrics, the log with its
TensorBoard events and the progress are all inside the time; evaluation and checkpoints lie beyond the end.
"""

import contextlib
import os
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from experiments.benchmarks.sides.protocol import Channel, arguments
from experiments.benchmarks.workload import DEPTH
from resjax import backend
from resjax.progress import Display, Update


class PausingDisplay(Display):
    """Speaks the protocol at every `steps`-th step; the steps before the first stop warm up."""

    def __init__(self, channel: Channel, steps: int):
        super().__init__()
        self._channel, self._steps, self._cold = channel, steps, True

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
            self._channel.tell({"ready": facts()})
        self._channel.wait()
        self._start = time.perf_counter()


def facts() -> dict[str, str]:
    import jax

    return {"platform": jax.default_backend(), "xla_flags": os.environ.get("XLA_FLAGS", "")}


def main() -> None:
    args, channel = arguments(__doc__), Channel()
    backend.configure()  # before JAX is imported, as in the command line
    from resjax import config, train

    settings = {
        "data.name": f"npz:{args.images}",
        "train.log_every": args.steps,
        "train.eval_every": 1e6,
        "train.checkpoint_every": 10**9,
    }
    overrides = [f"--config.{key}={value}" for key, value in settings.items()]
    with tempfile.TemporaryDirectory() as workdir:
        loaded = config.load(f"configs/cifar10_resnet.py:{DEPTH}", overrides)
        train.train(loaded, Path(workdir), PausingDisplay(channel, args.steps))


if __name__ == "__main__":
    main()
