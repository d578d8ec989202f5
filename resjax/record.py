"""What a run leaves behind: its folder, the log of its metrics, and a result that says where it came from."""

import contextlib
import json
import math
import os
import platform
import secrets
import subprocess
from importlib import metadata
from pathlib import Path
from typing import Any

import filelock
import jax

from resjax import backend, processes
from resjax import config as configs
from resjax.config import Config
from resjax.errors import FolderBusy, UserError
from resjax.events import Events, Sink
from resjax.storage import is_seen

PROBE = "probe/"  # begins the log's keys of what probes measure: probe/gradients/activations/main/block1
PACKAGES = ("resjax", "jax", "jaxlib", "flax", "optax", "orbax-checkpoint", "ml-collections", "numpy")


def write_atomically(path: Path, text: str) -> None:
    """The file is the old one or the new one, never half of one."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        with temporary.open("w") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


class RunFolder:
    """A run's folder, held by one run at a time and belonging to one config; process 0 has the lock."""

    def __init__(self, path: Path, config: Config):
        self.path, self.config = path, config
        self._lock = filelock.FileLock(path / ".lock", blocking=False)

    def __enter__(self) -> "RunFolder":
        try:
            with processes.agreeing():
                if processes.is_first():
                    self._hold()
                    self._claim()
            if processes.count() > 1:
                self._check_shared()
        except BaseException:
            self._lock.release()
            raise
        return self

    def __exit__(self, *_: Any) -> None:
        self._lock.release()

    def _hold(self) -> None:
        try:
            self.path.mkdir(parents=True, exist_ok=True)
            self._lock.acquire()
        except OSError as error:  # a filelock.Timeout is one too
            if not isinstance(error, filelock.Timeout):
                raise UserError(
                    f"--workdir {self.path} cannot be written ({error.strerror}); choose another folder"
                ) from error
            raise FolderBusy(
                f"--workdir {self.path} is in use by another process; wait for it, or use another folder"
            ) from error

    def _check_shared(self) -> None:
        """Raises UserError where the folder is not the same one for all processes."""
        mark, text = self.path / ".shared", processes.tell(secrets.token_hex())
        with processes.agreeing():
            if processes.is_first():
                write_atomically(mark, text)
        with processes.agreeing():
            if not is_seen(lambda: mark.exists() and mark.read_text() == text):
                raise UserError(
                    f"--workdir {self.path} is another folder in process {processes.index()} than in"
                    " process 0; it must be one that all hosts share, under the same name"
                )
        if processes.is_first():
            mark.unlink()

    def _claim(self) -> None:
        file = self.path / "config.json"
        if not file.exists():
            write_atomically(file, configs.to_json(self.config) + "\n")
            return
        changes = configs.difference(read_config(self.path), self.config)
        if changes:
            key, (old, new) = next(iter(changes.items()))
            more = f" ({len(changes)} keys differ)" if len(changes) > 1 else ""
            raise UserError(
                f"--workdir {self.path} holds a run with config.{key} = {old!r}, not {new!r}{more}; use"
                " another folder, or the same config"
            )

    def result(self) -> dict[str, Any] | None:
        """Raises UserError where there is a result that cannot be read."""
        file = self.path / "result.json"
        if not file.exists():
            return None
        try:
            found = json.loads(file.read_text())
            if not (isinstance(found, dict) and {"metrics", "steps", "seconds"} <= found.keys()):
                raise ValueError("it lacks metrics, steps or seconds")
        except (ValueError, OSError) as error:
            raise UserError(
                f"{file} is damaged ({error}); remove it, and the run makes it anew from its last checkpoint"
            ) from error
        return found


def read_config(workdir: Path) -> Config:
    """Raises UserError where the folder holds no readable run."""
    file = workdir / "config.json"
    try:
        return configs.from_json(file.read_text())
    except FileNotFoundError as error:
        raise UserError(f"--workdir {workdir} holds no run: there is no {file}") from error
    except (ValueError, OSError, UserError) as error:
        raise UserError(f"{file} is damaged ({error}); restore it or use another --workdir") from error


class MetricsLog:
    """metrics.jsonl, one line a report, and the same numbers as TensorBoard events, and in any other sinks;
    process 0 writes them.

    `keep` lines stay, those of the checkpoint that the run resumes from; what a killed run wrote behind
    them is dropped, for the resumed run writes it again.

    Raises:
      UserError: lines that should stay are missing or damaged, or the disk is full.
    """

    def __init__(self, workdir: Path, keep: int, *sinks: Sink):
        self._path = workdir / "metrics.jsonl"
        lines = self._path.read_text().splitlines(keepends=True) if self._path.exists() else []
        try:
            self.rows = [json.loads(line) for line in lines[:keep]]
            if not all(isinstance(row, dict) and "step" in row for row in self.rows):
                raise ValueError("a line is no report of a step")
        except ValueError as error:
            raise UserError(f"{self._path} is damaged ({error}); restore it or remove the folder") from error
        if len(lines) < keep:
            raise UserError(
                f"{self._path} has {len(lines)} lines, but the checkpoint was made after {keep}; restore"
                " the file or remove the folder"
            )
        if processes.is_first():
            write_atomically(self._path, "".join(lines[:keep]))
            self._file = self._path.open("a")
            self._sinks = (Events(workdir / "tensorboard"), *sinks)
            for sink in self._sinks:
                sink.begin([_scalars(row) for row in self.rows])

    def __enter__(self) -> "MetricsLog":
        return self

    def __exit__(self, *_: Any) -> None:
        if processes.is_first():
            for sink in self._sinks:
                sink.close()
            with contextlib.suppress(OSError):  # a full disk has been told by `write`
                self._file.close()

    def write(self, step: int, values: dict[str, float], phase: str = "") -> None:
        """`phase` is that of pretraining: rows of the last phase have none."""
        row: dict[str, Any] = {"step": step, **({"phase": phase} if phase else {}), **values}
        self.rows.append(row)
        if not processes.is_first():
            return
        try:
            self._file.write(json.dumps(row) + "\n")
            self._file.flush()
            for sink in self._sinks:
                sink.write(*_scalars(row))
        except OSError as error:
            raise UserError(
                f"{self._path} cannot be written ({error.strerror}); make room, then start again: the run"
                " goes on from its last checkpoint"
            ) from error

    def has(self, step: int, name: str) -> bool:
        return any(row["step"] == step and name in row for row in reversed(self.rows))


def _scalars(row: dict[str, Any]) -> tuple[int, dict[str, float]]:
    """-> the step, and the finite numbers of a report; the phase begins their names."""
    phase = f"{row['phase']}/" if "phase" in row else ""
    numbers = ((name, value) for name, value in row.items() if name not in ("step", "phase"))
    return row["step"], {f"{phase}{name}": value for name, value in numbers if math.isfinite(value)}


def provenance() -> dict[str, Any]:
    """-> versions, device and commit, with nothing that names a person, a host or a folder."""
    device = jax.devices()[0]
    kind = _cpu_name() if device.platform == "cpu" else device.device_kind
    return {
        "versions": {"python": platform.python_version()}
        | {name: metadata.version(name) for name in PACKAGES},
        "device": {"platform": device.platform, "kind": kind, "count": jax.device_count()},
        "cpu_count": os.cpu_count(),
        "xla_flags": os.environ.get("XLA_FLAGS", ""),
        "compiler_options": backend.compiler_options() or {},
        "commit": commit(),
    }


def _cpu_name() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        return next(line.split(":", 1)[1].strip() for line in lines if line.startswith("model name"))
    except (OSError, StopIteration):
        return platform.processor() or platform.machine()


def commit() -> str | None:
    """-> the commit of the source, "+" behind it where files differ from it, None outside a checkout."""
    git = ["git", "-C", str(Path(__file__).parent)]
    try:
        head = subprocess.run([*git, "rev-parse", "HEAD"], capture_output=True, text=True, check=True)
        status = [
            *git,
            "status",
            "--porcelain",
            "--untracked-files=no",
            "--",
            "..",
            ":!../experiments/results",
        ]
        changed = subprocess.run(status, capture_output=True, text=True, check=True)
    except (OSError, subprocess.CalledProcessError):
        return None
    return head.stdout.strip() + ("+" if changed.stdout.strip() else "")
