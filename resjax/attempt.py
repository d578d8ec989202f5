"""One process of `resjax train`, which may be sent a signal on its way; a run may take several."""

import dataclasses
import json
import re
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from resjax.errors import RunFailed

LOG, RESULT = "metrics.jsonl", "result.json"
LOOK_EVERY = 0.002  # seconds


@dataclasses.dataclass(frozen=True)
class Kill:
    """A signal for a run: when its log has `size` bytes, and `wait` seconds later."""

    signal: signal.Signals
    size: int
    wait: float


@dataclasses.dataclass(frozen=True)
class Attempt:
    """One process of a run, that has ended.

    Attributes:
      kill: what it was to be sent.
      code: its exit code; less than 0, the signal that ended it.
      stderr: what it said.
      step: of the newest report when the signal was sent, or else at the end.
      seconds: from the signal to the end of the process.
      finished: the run has its result.
    """

    kill: Kill | None
    code: int
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
        if self.code < 0:
            return RunFailed(f"{when} failed: it was ended by {signal.Signals(-self.code).name}", 1)
        said = self.stderr.strip().splitlines() or ["it said nothing"]
        return RunFailed(f"{when} failed: {said[-1].removeprefix('resjax: ')}", self.code)


def attempt(
    flags: Sequence[str],
    workdir: Path,
    kill: Kill | None = None,
    tell: Callable[[int], None] = lambda step: None,
) -> Attempt:
    """Starts a run, or goes on with it, in a process of its own; `tell` is told the steps of its reports."""
    command = [sys.executable, "-m", "resjax", "train", *flags, "--workdir", str(workdir)]
    log, step, sent = _Log(workdir / LOG), 0, 0.0
    with (
        tempfile.TemporaryFile("w+") as stderr,
        subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=stderr) as process,
    ):
        try:
            while process.poll() is None:
                if log.grew():
                    tell(log.step())
                if kill and not sent and log.size >= kill.size:
                    time.sleep(kill.wait)
                    step, sent = log.step(), time.monotonic()
                    process.send_signal(kill.signal)
                time.sleep(LOOK_EVERY)
        finally:
            process.kill()  # where it is us who are stopped; behind the end of the process it does nothing
        seconds = time.monotonic() - sent if sent else 0.0
        finished = (workdir / RESULT).exists()
        step = step if sent and not finished else log.step()
        stderr.seek(0)
        return Attempt(kill, process.returncode, stderr.read(), step, seconds, finished)


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
