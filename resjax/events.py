"""TensorBoard event files, written line by line: without TensorFlow, and without a thread of their own."""

import contextlib
import math
import time
from pathlib import Path
from typing import Any

from tensorboardX.event_file_writer import EventsWriter
from tensorboardX.proto import event_pb2

_messages: Any = event_pb2  # generated code, whose names a type checker cannot see


class Events:
    """Scalars by step; what a former process wrote of steps from `first_step` on is hidden."""

    def __init__(self, folder: Path, first_step: int):
        folder.mkdir(exist_ok=True)
        self._writer = EventsWriter(str(folder / "events"))
        start = _messages.SessionLog(status=_messages.SessionLog.START)
        self._write(_messages.Event(wall_time=time.time(), step=first_step, session_log=start))

    def write(self, step: int, values: dict[str, float]) -> None:
        event = _messages.Event(wall_time=time.time(), step=step)
        for name, value in values.items():
            if math.isfinite(value):
                event.summary.value.add(tag=name, simple_value=value)
        self._write(event)

    def close(self) -> None:
        with contextlib.suppress(OSError):  # a full disk has been told by `write`
            self._writer.close()

    def _write(self, event: Any) -> None:
        self._writer.write_event(event)
        self._writer.flush()
