"""A run that is followed by a tracker, and may be stopped, for the tests of trackers."""

import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from resjax.checkpoint import Checkpoints
from resjax.config import Config
from resjax.errors import Interrupted
from resjax.progress import Display
from resjax.tracking import FILE, Tracking
from resjax.training import train

Numbers = dict[tuple[int, str], list[float]]


def logged(run: Path) -> Numbers:
    """-> {(step, name): values} of a run's log: one value each."""
    rows = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    found: Numbers = {}
    for row in rows:
        step, phase = row.pop("step"), row.pop("phase", "")
        for name, value in row.items():
            assert math.isfinite(value)
            found.setdefault((step, f"{phase}/{name}" if phase else name), []).append(value)
    assert {len(values) for values in found.values()} == {1}
    return found


def entry(run: Path, tracker: str) -> dict[str, Any]:
    return json.loads((run / FILE).read_text())[tracker]


def stopped(
    config: Config,
    run: Path,
    tracking: Tracking,
    at: int,
    patch: pytest.MonkeyPatch,
    error: type[BaseException] = Interrupted,
    before: Callable[[int], None] = lambda step: None,
) -> None:
    """Trains until checkpoint `at` has been made, and raises `error` there; `before` is called at each."""
    save = Checkpoints.save

    def save_then_stop(self: Checkpoints, step: int, *rest: Any) -> None:
        save(self, step, *rest)
        before(step)
        if step == at:
            self.wait()
            raise error("SIGTERM")

    with patch.context() as patched:
        patched.setattr(Checkpoints, "save", save_then_stop)
        with pytest.raises(error):
            train(config, run, Display(quiet=True), tracking=tracking)
