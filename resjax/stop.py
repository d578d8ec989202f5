"""SIGTERM, Ctrl-C, the end of a time or of a host, as a request that the loop reads now and then."""

import contextlib
import signal
import threading
from collections.abc import Iterator
from types import FrameType
from typing import Any, NoReturn, Self

from resjax.errors import Interrupted

TIME_IS_UP = "time is up"
MAINTENANCE = "the host is about to be taken away"  # see `maintenance`


class StopRequest:
    """While entered, the first signal sets `signal`; a second one acts as it would without us."""

    signals = (signal.SIGTERM, signal.SIGINT, signal.SIGALRM)

    def __init__(self) -> None:
        self.signal: str | None = None
        self._former: dict[int, Any] = {}

    def __enter__(self) -> Self:
        if threading.current_thread() is threading.main_thread():  # only there Python lets handlers be set
            self._former = {number: signal.signal(number, self._note) for number in self.signals}
        return self

    def __exit__(self, *_: Any) -> None:
        self._restore()

    def end_of_host(self) -> None:
        """As a signal, but from another thread."""
        self.signal = self.signal or MAINTENANCE

    def _note(self, number: int, frame: FrameType | None) -> None:
        self.signal = TIME_IS_UP if number == signal.SIGALRM else signal.Signals(number).name
        self._restore()

    def _restore(self) -> None:
        for number, handler in self._former.items():
            signal.signal(number, handler)
        self._former = {}


@contextlib.contextmanager
def time_limit(seconds: float | None) -> Iterator[None]:
    """Behind `seconds`, a run within is asked to save and stop; outside of a run, Interrupted is raised."""
    if seconds is None:
        yield
        return
    former = signal.signal(signal.SIGALRM, _interrupt)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, former)


@contextlib.contextmanager
def sigterm_interrupts() -> Iterator[None]:
    """SIGTERM raises KeyboardInterrupt, as Ctrl-C does, so that processes of ours do not outlive us."""
    former = signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, former)


def _interrupt(number: int, frame: FrameType | None) -> NoReturn:
    raise Interrupted(f"{TIME_IS_UP}; the same command goes on")
