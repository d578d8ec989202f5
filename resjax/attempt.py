"""One start of `resjax train`, which may be sent a signal on its way; a run may take several.

It is one process, or several on this machine that share the work; then one of them is sent the signal.
"""

import contextlib
import dataclasses
import json
import re
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import IO

from resjax.errors import RunFailed

LOG, RESULT = "metrics.jsonl", "result.json"
LOOK_EVERY = 0.002  # seconds


@dataclasses.dataclass(frozen=True)
class Kill:
    """A signal for a process of a run: when the run's log has `size` bytes, and `wait` seconds later."""

    signal: signal.Signals
    size: int
    wait: float
    process: int = 0


@dataclasses.dataclass(frozen=True)
class Attempt:
    """One start of a run, whose processes have ended.

    Attributes:
      kill: what one of them was to be sent.
      code: the exit code of that one, or else of process 0; less than 0, the signal that ended it.
      others: exit codes of the others.
      stderr: what process 0 said.
      step: of the newest report when the signal was sent, or else at the end.
      seconds: from the signal to the end of all.
      finished: the run has its result.
    """

    kill: Kill | None
    code: int
    others: list[int]
    stderr: str
    step: int
    seconds: float
    finished: bool

    @property
    def resumed_from(self) -> int:
        """-> a step; 0 where there was no checkpoint yet."""
        found = re.search(r"^resuming .* at step (\d+) of", self.stderr, re.MULTILINE)
        return int(found[1]) if found else 0

    def failure(self, when: str) -> RunFailed:
        """-> what to raise where nobody asked it to end; the last line that it said gives the reason."""
        if {*self.others} - {self.code}:
            return RunFailed(f"{when} failed: its processes ended with {self.code} and {self.others}", 1)
        if self.code < 0:
            return RunFailed(f"{when} failed: it was ended by {signal.Signals(-self.code).name}", 1)
        said = self.stderr.strip().splitlines() or ["it said nothing"]
        return RunFailed(f"{when} failed: {said[-1].removeprefix('resjax: ')}", self.code)


def attempt(
    flags: Sequence[str],
    workdir: Path,
    kill: Kill | None = None,
    tell: Callable[[int], None] = lambda step: None,
    several: int = 1,
) -> Attempt:
    """Starts a run, or goes on with it, in processes of its own; `tell` is told the steps of its reports."""
    command = [sys.executable, "-m", "resjax", "train", *flags, "--workdir", str(workdir)]
    log, step, sent = _Log(workdir / LOG), 0, 0.0
    with contextlib.ExitStack() as stack:
        stderr = stack.enter_context(tempfile.TemporaryFile("w+"))
        started = [
            stack.enter_context(_start([*command, *place], stderr if number == 0 else None))
            for number, place in enumerate(_places(several))
        ]
        while any(process.poll() is None for process in started):
            if log.grew():
                tell(log.step())
            if kill and not sent and log.size >= kill.size:
                time.sleep(kill.wait)
                step, sent = log.step(), time.monotonic()
                started[kill.process].send_signal(kill.signal)
            time.sleep(LOOK_EVERY)
        seconds = time.monotonic() - sent if sent else 0.0
        finished = (workdir / RESULT).exists()
        step = step if sent and not finished else log.step()
        stderr.seek(0)
        codes = [process.returncode for process in started]
        code = codes.pop(kill.process if kill else 0)
        return Attempt(kill, code, codes, stderr.read(), step, seconds, finished)


@contextlib.contextmanager
def _start(command: Sequence[str], stderr: IO[str] | None) -> Iterator[subprocess.Popen[bytes]]:
    told = subprocess.DEVNULL if stderr is None else stderr
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=told) as process:
        try:
            yield process
        finally:
            process.kill()  # where it is us who are stopped; behind the end of the process it does nothing


def _places(several: int) -> list[list[str]]:
    """-> what tells each process which one it is."""
    if several == 1:
        return [[]]
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    common = ["--coordinator", f"127.0.0.1:{port}", "--processes", str(several)]
    return [[*common, "--process", str(number)] for number in range(several)]


class _Log:
    """The log of a process that is about to start; it replaces that of the process before as it opens it."""

    def __init__(self, path: Path):
        self.path, self.size = path, -1
        self._former = path.stat().st_ino if path.exists() else None

    def grew(self) -> bool:
        """Looks at the file; `size` is that of the new one, -1 before there is one."""
        if not self.path.exists():
            return False
        status, before = self.path.stat(), self.size
        self.size = status.st_size if status.st_ino != self._former else -1
        return self.size > before

    def step(self) -> int:
        """-> the step of the newest whole line; 0 where there is none."""
        lines = self.path.read_text().rpartition("\n")[0].splitlines() if self.path.exists() else []
        return json.loads(lines[-1])["step"] if lines else 0
