"""TensorBoard event files, written line by line: without TensorFlow, and without a thread of their own."""

import contextlib
import math
import time
from pathlib import Path
from typing import Any


class Events:
    """Scalars by step; what a former process wrote of steps from `first_step` on is hidden.

    Nothing is opened before there is something to write, for tensorboardX loads PyTorch where it is
    installed, which takes over a second: longer than the first step should wait.
    """

    def __init__(self, folder: Path, first_step: int):
        self._folder, self._first_step = folder, first_step
        self._messages: Any = None  # generated code, whose names a type checker cannot see
        self._writer: Any = None

    def write(self, step: int, values: dict[str, float]) -> None:
        if self._writer is None:
            self._open()
        event = self._messages.Event(wall_time=time.time(), step=step)
        for name, value in values.items():
            if math.isfinite(value):
                event.summary.value.add(tag=name, simple_value=value)
        self._write(event)

    def close(self) -> None:
        if self._writer is not None:
            with contextlib.suppress(OSError):  # a full disk has been told by `write`
                self._writer.close()

    def _open(self) -> None:
        from tensorboardX.event_file_writer import EventsWriter
        from tensorboardX.proto import event_pb2

        self._folder.mkdir(exist_ok=True)
        self._writer, self._messages = EventsWriter(str(self._folder / "events")), event_pb2
        start = self._messages.SessionLog(status=self._messages.SessionLog.START)
        self._write(self._messages.Event(wall_time=time.time(), step=self._first_step, session_log=start))

    def _write(self, event: Any) -> None:
        self._writer.write_event(event)
        self._writer.flush()
