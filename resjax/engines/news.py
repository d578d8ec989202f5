"""The progress of cells that run elsewhere: sent by each one, shown in one place."""

import contextlib
import dataclasses
import time
from collections.abc import Callable, Iterable, Iterator
from typing import Any

from resjax.progress import Display, Update

LOOK_EVERY = 0.5  # seconds: how often a cell tells, and how often it is shown


@dataclasses.dataclass(frozen=True)
class Said:
    """A line of a cell."""

    text: str


@dataclasses.dataclass(frozen=True)
class Moved:
    """How far a cell is."""

    label: str
    done: int
    total: int
    note: str


class Reporter(Display):
    """Where a cell runs: has its progress sent."""

    def __init__(self, label: str, send: Callable[[Said | Moved], None]):
        super().__init__(quiet=True)
        self._label, self._send, self._last = label, send, 0.0

    def say(self, text: str) -> None:
        self._send(Said(text))

    @contextlib.contextmanager
    def task(self, label: str, total: int, done: int = 0) -> Iterator[Update]:
        def update(completed: int, note: str) -> None:
            if time.monotonic() - self._last > LOOK_EVERY:
                self._last = time.monotonic()
                self._send(Moved(self._label, completed, total, note))

        update(done, "")
        yield update


class View:
    """Where they are shown: a bar for each cell that runs. A context manager, which removes the bars.

    `receive` gives what has been sent since it was last called.
    """

    def __init__(self, display: Display, receive: Callable[[], Iterable[Said | Moved]]):
        self.say, self._display, self._receive = display.say, display, receive
        self._bars: dict[str, tuple[contextlib.ExitStack, Update]] = {}

    def __enter__(self) -> "View":
        return self

    def __exit__(self, *_: Any) -> None:
        for label in list(self._bars):
            self.close(label)

    def show(self) -> None:
        """Shows what has been sent since the last time."""
        for item in self._receive():
            if isinstance(item, Said):
                self.say(item.text)
            else:
                self._move(item)

    def _move(self, item: Moved) -> None:
        if item.label not in self._bars:
            bar = contextlib.ExitStack()
            self._bars[item.label] = bar, bar.enter_context(self._display.bar(item.label, item.total))
        _, update = self._bars[item.label]
        update(item.done, item.note)

    def close(self, label: str) -> None:
        """Removes the bar of a cell, if it has one."""
        if label in self._bars:
            self._bars.pop(label)[0].close()
