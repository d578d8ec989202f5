"""TensorBoard event files, written line by line: without TensorFlow, and without a thread of their own."""

import contextlib
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol


class Sink(Protocol):
    """Where reports go beside the log: finite numbers by name, those of pretraining behind the phase's."""

    def begin(self, kept: Sequence[tuple[int, Mapping[str, float]]]) -> None:
        """Is called once, with (step, values) of what the log holds of former processes."""
        ...

    def write(self, step: int, values: Mapping[str, float]) -> None: ...

    def close(self) -> None: ...


class Events:
    """Scalars by step; what a former process wrote of steps behind those that are kept is hidden.

    Nothing is opened before there is something to write, for tensorboardX loads PyTorch where it is
    installed, which takes over a second: longer than the first step should wait.
    """

    def __init__(self, folder: Path):
        self._folder, self._first_step = folder, 0
        self._messages: Any = None  # generated code, whose names a type checker cannot see
        self._writer: Any = None

    def begin(self, kept: Sequence[tuple[int, Mapping[str, float]]]) -> None:
        self._first_step = kept[-1][0] + 1 if kept else 0

    def write(self, step: int, values: Mapping[str, float]) -> None:
        if self._writer is None:
            self._open()
        event = self._messages.Event(wall_time=time.time(), step=step)
        for name, value in values.items():
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
