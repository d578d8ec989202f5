"""The time that a run takes, and its progress: bars on a terminal, elsewhere a line now and then."""

import contextlib
import dataclasses
import sys
import time
from collections.abc import Callable, Iterator
from typing import Any

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    Task,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)

Update = Callable[[int, str], None]  # (how many are done, a note)
LINE_EVERY = 10.0  # seconds, where there is no terminal


@dataclasses.dataclass
class Clock:
    """Seconds of a run over all its processes.

    Attributes:
      seconds: of everything, compilation included.
      compiling: until the first steps of each program were done, initial values included.
      images, training: examples and seconds of training steps alone, after the first dispatch.
    """

    seconds: float = 0.0
    images: int = 0
    training: float = 0.0
    compiling: float = 0.0

    def __post_init__(self) -> None:
        self._mark = time.monotonic()

    def tick(self) -> float:
        """-> seconds since the tick before."""
        now = time.monotonic()
        passed, self._mark = now - self._mark, now
        self.seconds += passed
        return passed

    def trained(self, images: int) -> None:
        self.training += self.tick()
        self.images += images

    def compiled(self) -> None:
        self.compiling += self.tick()

    @property
    def images_per_second(self) -> float:
        return self.images / self.training if self.training else 0.0


class Display:
    """A context manager; nested tasks show as one bar each, all on stderr."""

    def __init__(self, *, quiet: bool = False):
        self._quiet = quiet
        self._console = Console(stderr=True)
        self._live = self._console.is_terminal and not quiet
        self._progress = Progress(
            TextColumn("{task.description}"),
            BarColumn(bar_width=24),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            TextColumn("left"),
            TimeRemainingColumn(),
            TextColumn("{task.fields[note]}"),
            console=self._console,
            disable=not self._live,
        )
        self._last_line = time.monotonic()
        self._entered = 0
        self._tasks: list[Task] = []

    def __enter__(self) -> "Display":
        if not self._entered:
            self._progress.start()
        self._entered += 1
        return self

    def __exit__(self, *_: Any) -> None:
        self._entered -= 1
        if not self._entered:
            self._progress.stop()

    def say(self, text: str) -> None:
        """A line that stays, above the bars."""
        if self._live:
            self._progress.print(text, markup=False, highlight=False)
        elif not self._quiet:
            print(text, file=sys.stderr, flush=True)

    @contextlib.contextmanager
    def task(self, label: str, total: int, done: int = 0) -> Iterator[Update]:
        """A bar; a task within a task moves the outer one by its own share of one unit."""
        outer = self._tasks[-1] if self._tasks else None
        started = outer.completed if outer else 0.0
        with self.bar(label, total, done) as move:
            self._tasks.append(self._progress.tasks[-1])

            def update(completed: int, note: str) -> None:
                if outer is not None:
                    self._progress.update(outer.id, completed=started + completed / total)
                move(completed, note)

            try:
                yield update
            finally:
                self._tasks.pop()

    @contextlib.contextmanager
    def bar(self, label: str, total: int, done: int = 0) -> Iterator[Update]:
        """A bar that moves no other one; several may be there side by side."""
        bar = self._progress.add_task(label, total=total, completed=done, note="")

        def update(completed: int, note: str) -> None:
            self._progress.update(bar, completed=completed, note=note)
            if not self._live and time.monotonic() - self._last_line > LINE_EVERY:
                self._last_line = time.monotonic()
                self.say(self._line())

        try:
            yield update
        finally:
            self._progress.remove_task(bar)

    def _line(self) -> str:
        parts = []
        for task in self._progress.tasks:
            left = "" if task.time_remaining is None else f" {task.time_remaining:.0f} s left"
            parts.append(
                f"{task.description} {task.completed:.4g}/{task.total:g}{left} {task.fields['note']}"
            )
        return " | ".join(parts)
