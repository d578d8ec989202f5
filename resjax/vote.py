"""A vote of all processes, as a collective of one number, cheap enough for every dispatch: whether to stop.

JAX's own preemption service is not used: it hears SIGTERM alone, wants to be asked with numbers that rise by
one, and takes the signal from the handler that `stop` sets. So SIGTERM, with which clusters announce that a
host is taken away, a notice of `maintenance`, Ctrl-C and the end of a time are all heard in the same way.
"""

import collections
import functools
import signal
from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import AxisType, Mesh, NamedSharding, PartitionSpec

from resjax import processes
from resjax.stop import MAINTENANCE, TIME_IS_UP, StopRequest

NAMES = ("", TIME_IS_UP, MAINTENANCE, signal.SIGINT.name, signal.SIGTERM.name)  # as processes vote


class Vote:
    """A small number of each process, of which all learn the largest."""

    def __init__(self) -> None:
        self._asked: collections.deque[jax.Array] = collections.deque()

    def __call__(self, number: int, lag: int = 0) -> int:
        """-> the largest that anybody has given; all call it, in the same order, with the same lag.

        Args:
          lag: how many calls may be without an answer, so that no device waits for this one.
        """
        if processes.count() == 1:
            return number
        self._asked.append(_largest(number))
        answers = [int(self._asked.popleft()) for _ in range(len(self._asked) - lag)]
        return max(answers, default=0)


def _largest(number: int) -> jax.Array:
    """Dispatches a collective, and waits for nothing."""
    program, everywhere = _program()
    mine = np.full(1, number, np.int32)
    votes = jax.make_array_from_callback((jax.device_count(),), everywhere, lambda _: mine)
    return program(votes)


@functools.cache
def _program() -> tuple[Callable[[jax.Array], jax.Array], NamedSharding]:
    mesh = Mesh(np.asarray(jax.devices()), ("all",), axis_types=(AxisType.Auto,))
    everywhere, whole = (NamedSharding(mesh, PartitionSpec(*axes)) for axes in (("all",), ()))
    return jax.jit(jnp.max, out_shardings=whole), everywhere


class CommonStop(StopRequest):
    """A request to stop that any process may have been sent, and that stops all at the same place."""

    def __init__(self) -> None:
        super().__init__()
        self._vote = Vote()

    def asked(self, lag: int = 0) -> str:
        """-> the signal that a process was sent, "" where none was; see `Vote`."""
        return NAMES[self._vote(NAMES.index(self.signal or ""), lag)]
