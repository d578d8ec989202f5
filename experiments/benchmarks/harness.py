"""The harness's end of a side: a live process, started, warmed up, and told to go, one at a time."""

import contextlib
import dataclasses
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from resjax.errors import ResjaxError

ROOT = Path(__file__).parents[2]
# What a side keeps of the user's environment. No flag of XLA, of threads or of malloc gets through.
KEPT = ("PATH", "HOME", "USER", "LANG", "TMPDIR", "VIRTUAL_ENV")
PATIENCE = 10.0  # seconds that a side has to end by itself


class SideFailed(ResjaxError):
    """A side ended, or said what the protocol does not know."""


@dataclasses.dataclass(frozen=True)
class Side:
    """One of those that are compared.

    Attributes:
      command: of its process, which speaks sides/protocol.py; run from the repository's root.
      label: its name in tables and figures.
      needs: packages beyond those of resjax.
    """

    name: str
    label: str
    command: Sequence[str]
    needs: tuple[str, ...] = ()


def module(name: str, *arguments: object) -> tuple[str, ...]:
    """-> the command that runs a file of `sides/` by this Python."""
    return (sys.executable, "-m", f"experiments.benchmarks.sides.{name}", *map(str, arguments))


def environment(folder: Path) -> dict[str, str]:
    """-> a side's environment: compilers keep their caches in `folder`, so all begin with empty ones."""
    kept = {name: os.environ[name] for name in KEPT if name in os.environ}
    return kept | {"XDG_CACHE_HOME": str(folder), "TORCHINDUCTOR_CACHE_DIR": str(folder / "inductor")}


class Live:
    """A side's process: warm once it is entered, ended behind that.

    Attributes:
      facts: what it said of itself; `cannot`, where it cannot run here, is all there is then.
    """

    def __init__(self, side: Side, folder: Path):
        self.side, self._log = side, folder / f"{side.name}.log"
        self._started = time.monotonic()
        with self._log.open("w") as log:
            # A session of its own: Ctrl-C is the harness's, and all that the side starts ends with it.
            self._process = subprocess.Popen(
                side.command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=log, text=True, cwd=ROOT,
                env=environment(folder), start_new_session=True,
            )  # fmt: skip

    def __enter__(self) -> "Live":
        try:
            self.facts = self._warm_up()
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(self, *_: Any) -> None:
        self.close()

    def go(self) -> float:
        """-> seconds of the side's next steps."""
        with contextlib.suppress(BrokenPipeError):  # it has ended; `_read` says how
            self._stdin.write(json.dumps("go") + "\n")
            self._stdin.flush()
        return float(self._expect("seconds", self._read()))

    def close(self) -> None:
        with contextlib.suppress(BrokenPipeError):
            self._stdin.close()
        try:
            self._process.wait(PATIENCE)
        except subprocess.TimeoutExpired:  # in the midst of its steps
            os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait()
        self._stdout.close()

    def _warm_up(self) -> dict[str, Any]:
        message = self._read()
        if isinstance(message, dict) and "cannot" in message:
            return message
        seconds = round(time.monotonic() - self._started, 2)
        if message != "first step":
            raise self._strange(message)
        return {"first_step_seconds": seconds, **self._expect("ready", self._read())}

    def _read(self) -> Any:
        line = self._stdout.readline()
        if not line:
            code = self._process.wait()
            said = [each.strip() for each in self._log.read_text(errors="replace").splitlines()]
            last = next((each for each in reversed(said) if each), "it said nothing")
            raise SideFailed(f"the side {self.side.name} ended with exit code {code}: {last}")
        try:
            return json.loads(line)
        except ValueError as error:
            raise self._strange(line) from error

    def _expect(self, key: str, message: Any) -> Any:
        if not isinstance(message, dict) or key not in message:
            raise self._strange(message)
        return message[key]

    def _strange(self, message: Any) -> SideFailed:
        return SideFailed(f"the side {self.side.name} said {message!r}, which the protocol does not know")

    @property
    def _stdin(self) -> Any:
        return self._process.stdin

    @property
    def _stdout(self) -> Any:
        return self._process.stdout
