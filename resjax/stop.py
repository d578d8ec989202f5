"""SIGTERM and Ctrl-C as a request that the loop reads between two pieces of work."""

import signal
import threading
from types import FrameType
from typing import Any


class StopRequest:
    """While entered, the first signal sets `signal`; a second one acts as it would without us."""

    signals = (signal.SIGTERM, signal.SIGINT)

    def __init__(self) -> None:
        self.signal: str | None = None
        self._former: dict[int, Any] = {}

    def __enter__(self) -> "StopRequest":
        if threading.current_thread() is threading.main_thread():  # only there Python lets handlers be set
            self._former = {number: signal.signal(number, self._note) for number in self.signals}
        return self

    def __exit__(self, *_: Any) -> None:
        self._restore()

    def _note(self, number: int, frame: FrameType | None) -> None:
        self.signal = signal.Signals(number).name
        self._restore()

    def _restore(self) -> None:
        for number, handler in self._former.items():
            signal.signal(number, handler)
        self._former = {}
