"""Real processes of resjax that share a run over loopback, for the tests of several processes."""

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import IO, Any, NamedTuple

import numpy as np
import pytest

from resjax.checkpoint import Checkpoints

ROOT = Path(__file__).parent.parent
LONGEST = 300  # seconds, behind which a process hangs
CONFIG = """
from ml_collections import ConfigDict

def get_config():
    config = ConfigDict()
    config.data = dict(name="digits", holdout=37)
    config.input = dict(pad=1, flip=True)
    config.model = dict(name="residual_mlp", depth=4, width=8, norm_examples=10)
    config.schedule = dict(name="cosine", unit="steps", length=120, learning_rate=0.05)
    config.train = dict(batch_size=40, log_every=5, checkpoint_every=20, eval_every=2.5, ema_decay=0.9)
    config.train.update(steps_per_dispatch=5)
    return config
"""
STEPS = 120
BOUND = 2e-5  # of the largest value of each array, behind all steps in float32; measured: 1e-6


class Ended(NamedTuple):
    """What a process ended with, and what it said on stderr; the warnings of libraries are left out."""

    code: int
    said: str


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as free:
        return free.getsockname()[1]


def by_hand(count: int) -> list[list[str]]:
    """-> what tells each process which one it is."""
    common = ["--coordinator", f"127.0.0.1:{free_port()}", "--processes", str(count)]
    return [[*common, "--process", str(number)] for number in range(count)]


def slurm(count: int) -> list[dict[str, str]]:
    """-> what SLURM has in the environment of each task of a step on one node."""
    job = {"SLURM_JOB_ID": str(free_port()), "SLURM_STEP_NODELIST": "localhost", "SLURM_NTASKS": str(count)}
    job |= {"SLURM_STEP_NUM_NODES": "1", "JAX_COORDINATOR_PORT": str(free_port())}
    return [job | {"SLURM_PROCID": str(number), "SLURM_LOCALID": str(number)} for number in range(count)]


def _start(
    command: Sequence[object], environment: Mapping[str, str], stderr: IO[str], folder: Path
) -> subprocess.Popen[bytes]:
    everything = {**os.environ, "PYTHONPATH": str(ROOT), **environment}
    started = [sys.executable, "-m", "resjax", *map(str, command)]
    return subprocess.Popen(started, cwd=folder, env=everything, stdout=subprocess.DEVNULL, stderr=stderr)


class Processes:
    """Started together, each with a file for what it says."""

    def __init__(
        self,
        commands: Sequence[Sequence[object]],
        environments: Sequence[Mapping[str, str]],
        stderr: Sequence[IO[str]],
        folders: Sequence[Path],
    ):
        self._stderr = stderr
        each = zip(commands, environments, stderr, folders, strict=True)
        self.started = [_start(*settings) for settings in each]

    def kill(self, number: int, by: signal.Signals, log: Path, lines: int) -> float:
        """Sends one of them a signal when the log of the run has so many lines; -> when."""
        former = log.stat().st_ino if log.exists() else None
        until = time.monotonic() + LONGEST
        while not (log.exists() and log.stat().st_ino != former and _lines(log) >= lines):
            codes = [process.poll() for process in self.started]
            assert codes == [None] * len(codes), (codes, self._said())
            assert time.monotonic() < until, self._said()
            time.sleep(0.005)
        self.started[number].send_signal(by)
        return time.monotonic()

    def ended(self) -> list[Ended]:
        codes = [process.wait(LONGEST) for process in self.started]
        return [Ended(code, said) for code, said in zip(codes, self._said(), strict=True)]

    def _said(self) -> list[str]:
        found = []
        for stderr in self._stderr:
            stderr.seek(0)
            found.append(stderr.read())
        return found


def _lines(log: Path) -> int:
    return log.read_bytes().count(b"\n")


@contextlib.contextmanager
def start(
    commands: Sequence[Sequence[object]],
    environments: Sequence[Mapping[str, str]] = (),
    folders: Sequence[Path] = (),
) -> Iterator[Processes]:
    """Each in its folder, by default that of the source. Where a test fails within, they are ended."""
    with contextlib.ExitStack() as files:
        stderr = [files.enter_context(tempfile.TemporaryFile("w+")) for _ in commands]
        everywhere = folders or [ROOT] * len(commands)
        processes = Processes(commands, environments or [{}] * len(commands), stderr, everywhere)
        try:
            yield processes
        finally:
            for process in processes.started:
                process.kill()
                process.wait()


def pair(*command: object, count: int = 2) -> list[list[object]]:
    """-> one command for each process."""
    return [[*command, *place] for place in by_hand(count)]


def run(*command: object, count: int = 2) -> list[Ended]:
    """-> how they ended, all of them."""
    with start(pair(*command, count=count)) as processes:
        return processes.ended()


def assert_codes(ended: list[Ended], *codes: int) -> None:
    assert [each.code for each in ended] == list(codes), ended
    for each in ended:
        assert "Traceback" not in each.said, each.said


def result(folder: Path) -> dict[str, Any]:
    return json.loads((folder / "result.json").read_text())


def arrays(folder: Path, step: int = STEPS) -> dict[str, np.ndarray]:
    with Checkpoints(folder, read_only=True) as checkpoints:
        return checkpoints.arrays(step)


def distance(a: Path, b: Path, step: int = STEPS) -> float:
    """-> the greatest difference between two runs' arrays, in units of each array's largest value."""
    one, two = arrays(a, step), arrays(b, step)
    assert one.keys() == two.keys()
    floats = [name for name, x in one.items() if np.issubdtype(x.dtype, np.floating)]
    return max(float(np.abs(one[n] - two[n]).max() / max(np.abs(two[n]).max(), 1e-6)) for n in floats)


@pytest.fixture(scope="module")
def recipe(tmp_path_factory: pytest.TempPathFactory) -> Path:
    file = tmp_path_factory.mktemp("recipe") / "config.py"
    file.write_text(CONFIG)
    return file


@pytest.fixture(scope="module", autouse=True)
def shared_programs(tmp_path_factory: pytest.TempPathFactory) -> Any:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("JAX_ENABLE_COMPILATION_CACHE", "true")
        patch.setenv("JAX_COMPILATION_CACHE_DIR", str(tmp_path_factory.mktemp("programs")))
        yield
