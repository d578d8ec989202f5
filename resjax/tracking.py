"""Runs in trackers: which of them follow a run, what they have of it, and what becomes of it where one fails.

A tracker says nothing about a run: it is no key of the config, and no bit depends on it. Once a run has
begun, no tracker can stop it: one that fails is left out with a warning.

`tracking.json` in the run's folder has the id by which each tracker knows the run, and how many rows of
`metrics.jsonl` it has been sent. A run that goes on sends those that are missing, and none twice: rows that
a killed run had sent from behind its checkpoint stay as they were, also where the resumed run, on other
devices, computes others. Whether the row that was under way as SIGKILL came has arrived, nobody knows: it is
not sent again.
"""

import contextlib
import importlib
import json
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from resjax import config as configs
from resjax import processes
from resjax.config import Config
from resjax.errors import Interrupted, UserError, did_you_mean
from resjax.progress import Display
from resjax.record import provenance, write_atomically
from resjax.storage import reason
from resjax.trackers import About, State, Tracker

NAMES = ("mlflow", "wandb")
FILE = "tracking.json"
Rows = Sequence[tuple[int, Mapping[str, float]]]  # (step, values)


@dataclass(frozen=True)
class Tracking:
    """Which trackers follow a run, and as what.

    Attributes:
      group: the table that the run belongs to; "": none.
      place: the folder of that table's runs.
    """

    names: tuple[str, ...]
    name: str
    group: str = ""
    place: Path | None = None

    def has_started(self, name: str, workdir: Path) -> bool:
        """-> whether a tracker has followed this run before, or another one of its table."""
        files = [] if self.place is None else self.place.glob(f"*/*/{FILE}")
        return any(name in _read(file) for file in (workdir / FILE, *files))


def parse(names: Sequence[str]) -> tuple[str, ...]:
    """-> the trackers that `--track` names; UserError where there is no such one, or it is not installed."""
    found = known(names)
    for name in found:
        _module(name)
    return found


def known(names: Sequence[str]) -> tuple[str, ...]:
    """-> the same, installed or not."""
    for name in names:
        if name not in NAMES:
            raise UserError(f"--track is '{name}'{did_you_mean(name, NAMES)}; give it once for each tracker")
    return tuple(dict.fromkeys(names))


def _module(name: str) -> Any:
    try:
        return importlib.import_module(f"resjax.trackers.{name}_tracker")
    except ImportError as error:
        raise UserError(
            f"--track {name} needs a package ({error}); python -m pip install 'resjax[{name}]'"
        ) from error


class Trackers:
    """Those of one run, as one sink of its log."""

    def __init__(self, file: Path):
        self._file, self._rows, self._step = file, 0, 0
        self._entries: dict[str, dict[str, Any]] = {}
        self._followed: list[_Followed] = []
        self._summary: dict[str, float] = {}

    def read(self) -> None:
        """Learns what trackers have of the run, before its log is opened, which drops lines."""
        self._entries = _settled(self._file)
        if self._entries:
            self._note()

    def start(self, name: str, make: Callable[[About, str | None], Tracker], about: About) -> str:
        """Has one more tracker follow the run; -> where it can be seen. Raises what the tracker raises."""
        entry = self._entries.get(name, {"run": None, "rows": 0})
        tracker = make(about, entry["run"])
        self._entries[name] = {"run": tracker.id, "rows": entry["rows"], "open": True}
        self._followed.append(_Followed(name, tracker, self._entries[name]))
        self._note()
        return tracker.place

    def begin(self, kept: Rows) -> None:
        for step, values in kept:
            self.write(step, values)

    def write(self, step: int, values: Mapping[str, float]) -> None:
        self._rows, self._step = self._rows + 1, step
        for each in self._followed:
            if not each.write(self._rows, step, values):
                self._note()

    def close(self) -> None:
        """The run may not be done: `finish` ends it."""

    def done(self, result: Mapping[str, Any]) -> None:
        """Has `finish` tell what the run amounts to, by the content of `result.json`."""
        found = {**result["metrics"], **{key: result[key] for key in ("seconds", "images_per_second")}}
        self._summary = {f"result/{name}": value for name, value in found.items()}

    def finish(self, state: State) -> None:
        for each in self._followed:
            each.finish(state, self._step, self._summary)
        if self._followed:
            self._note()

    def _note(self) -> None:
        with contextlib.suppress(OSError):  # a full disk is told by what the run itself writes
            write_atomically(self._file, json.dumps(self._entries, indent=2) + "\n")


class _Followed:
    """One tracker, which may fail; `entry` is its own of `tracking.json`."""

    def __init__(self, name: str, tracker: Tracker, entry: dict[str, Any]):
        self._name, self._tracker, self._entry = name, tracker, entry

    def write(self, row: int, step: int, values: Mapping[str, float]) -> bool:
        """Sends a row that was not sent before; -> False where that failed, now."""
        if not self._entry["open"] or row <= self._entry["rows"]:
            return True
        if self._try(lambda: self._tracker.write(step, values), f"at step {step}"):
            self._entry["rows"] = row
        return self._entry["open"]

    def finish(self, state: State, step: int, summary: Mapping[str, float]) -> None:
        if self._entry["open"]:
            self._try(lambda: self._tracker.finish(state, step, summary), "at the end")
            self._entry["open"] = False

    def _try(self, action: Callable[[], None], when: str) -> bool:
        try:
            action()
        except Exception as error:  # each library raises its own
            self._entry["open"] = False
            warnings.warn(
                f"--track {self._name} failed {when} ({reason(error)}); the run goes on without it",
                stacklevel=2,
            )
            return False
        return True


@contextlib.contextmanager
def follow(tracking: Tracking | None, workdir: Path, config: Config, display: Display) -> Iterator[Trackers]:
    """While entered, trackers follow a run; they are told in which state it is left. Process 0 alone has any.

    Raises:
      UserError: one cannot start, and has followed neither this run nor its table before.
    """
    trackers, state = Trackers(workdir / FILE), "failed"
    try:
        with processes.agreeing():
            if processes.is_first():
                trackers.read()
                if tracking is not None:
                    _start(trackers, tracking, workdir, config, display)
        yield trackers
        state = "finished"
    except (Interrupted, KeyboardInterrupt):
        state = "preempted"
        raise
    finally:
        trackers.finish(state)


def _start(trackers: Trackers, tracking: Tracking, workdir: Path, config: Config, display: Display) -> None:
    about = About(
        tracking.name, tracking.group, workdir, dict(flat(configs.portable(config))), dict(flat(provenance()))
    )
    for name in tracking.names:
        module = _module(name)
        try:
            place = trackers.start(name, module.Tracker, about)
        except Exception as error:  # each library raises its own
            said = f"--track {name} cannot start ({reason(error)})"
            if not tracking.has_started(name, workdir):
                raise UserError(f"{said}; {module.HINT}") from error
            warnings.warn(f"{said}; the run goes on without it", stacklevel=2)
        else:
            display.say(f"tracked by {name}: {place}")


def flat(values: Any, key: str = "") -> Iterator[tuple[str, Any]]:
    """-> (dotted key, value) of all that is in JSON values, entries of lists of sections by their numbers."""
    if isinstance(values, list) and any(isinstance(value, dict) for value in values):
        values = {str(number): value for number, value in enumerate(values)}
    if not isinstance(values, dict):
        yield key, values
        return
    for name, value in values.items():
        yield from flat(value, f"{key}.{name}" if key else name)


def _settled(file: Path) -> dict[str, dict[str, Any]]:
    """-> the entries of `tracking.json`, those of a killed run with as many rows as it had written."""
    entries, log = _read(file), file.parent / "metrics.jsonl"
    written = log.read_text().count("\n") if log.exists() else 0
    for entry in entries.values():
        if entry.pop("open"):
            entry["rows"] = max(entry["rows"], written)
    return {name: {**entry, "open": False} for name, entry in entries.items()}


def _read(file: Path) -> dict[str, dict[str, Any]]:
    """Raises UserError where the file is damaged."""
    if not file.exists():
        return {}
    try:
        found = json.loads(file.read_text())
        if not all(entry.keys() == {"run", "rows", "open"} for entry in found.values()):
            raise ValueError("an entry lacks run, rows or open")
    except (ValueError, AttributeError, OSError) as error:
        raise UserError(
            f"{file} is damaged ({error}); remove it, and trackers begin a new run at its next start"
        ) from error
    return found
