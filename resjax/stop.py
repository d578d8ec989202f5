"""SIGTERM, Ctrl-C, the end of a time or of a host, as a request that the loop reads now and then."""

import contextlib
import signal
import threading
from collections.abc import Iterator
from types import FrameType
from typing import Any, ClassVar, NoReturn, Self

from resjax.errors import Interrupted, Stopped

TIME_IS_UP = "time is up"
MAINTENANCE = "the host is about to be taken away"  # see `maintenance`


class StopRequest:
    """While entered, the first signal sets `signal`; a second one acts as it would without any of us."""

    signals: tuple[signal.Signals, ...] = (signal.SIGTERM, signal.SIGINT, signal.SIGALRM)
    _entered: ClassVar[list["StopRequest"]] = []  # the outermost first

    def __init__(self) -> None:
        self.signal: str | None = None
        self._former: dict[int, Any] = {}

    def __enter__(self) -> Self:
        self._entered.append(self)
        if threading.current_thread() is threading.main_thread():  # only there Python lets handlers be set
            self._former = {number: signal.signal(number, self._note) for number in self.signals}
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: Any) -> None:
        self._entered.remove(self)
        self._restore()
        if self.signal and kind is None and self._entered:  # too late for what has ended here
            self._entered[-1]._hear(self.signal)

    def end_of_host(self) -> None:
        """As a signal, but from another thread."""
        self._hear(MAINTENANCE)

    def _note(self, number: int, frame: FrameType | None) -> None:
        for request in reversed(self._entered):
            request._restore()
        self._hear(TIME_IS_UP if number == signal.SIGALRM else signal.Signals(number).name)

    def _hear(self, name: str) -> None:
        self.signal = self.signal or name

    def _restore(self) -> None:
        for number, handler in self._former.items():
            signal.signal(number, handler)
        self._former = {}


class _Outside(StopRequest):
    """Of all runs."""

    signals = (signal.SIGTERM, signal.SIGINT)

    def _hear(self, name: str) -> NoReturn:
        raise Stopped(
            f"{name}: no run was training, and what was saved before stays; the same command goes on"
        )


@contextlib.contextmanager
def interruptible() -> Iterator[None]:
    """While entered, SIGTERM and Ctrl-C raise Interrupted where no run hears them: while it reads its data,
    say, or between two cells of a table.
    """
    with _as_interrupted(), _Outside():
        yield


@contextlib.contextmanager
def _as_interrupted() -> Iterator[None]:
    try:
        yield
    except Stopped as stopped:
        raise Interrupted(str(stopped)) from None


@contextlib.contextmanager
def time_limit(seconds: float | None) -> Iterator[None]:
    """Behind `seconds`, a run within is asked to save and stop; outside of a run, Interrupted is raised."""
    if seconds is None:
        yield
        return
    former = signal.signal(signal.SIGALRM, _interrupt)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        with _as_interrupted():
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
    raise Stopped(f"{TIME_IS_UP}; the same command goes on")
