"""What a benchmark is, and one run of it: its sides are live processes that take turns."""

import contextlib
import dataclasses
import datetime
import importlib.util
import os
import tempfile
from collections.abc import Callable, Iterator, Sequence
from importlib import metadata
from pathlib import Path
from typing import Any

from experiments.benchmarks import rounds
from experiments.benchmarks.harness import Live, Side
from resjax.errors import ResjaxError, UserError, did_you_mean

# The load above which a run begins with a warning: a job that runs all the time slows every probe alike,
# so no round is discarded for it, and yet it does not slow all sides alike.
IDLE = 0.5


@dataclasses.dataclass(frozen=True)
class Benchmark:
    """Sides that do the same work, step by step.

    Attributes:
      note: what was measured and how; the record's settings, such as `{steps}`, are filled in.
      platform: JAX's name of the device that it is about.
      ours, baseline: names of sides; all speeds are relative to the baseline.
      images: in a step.
      prepare: writes what the sides read into a folder.
      sides: of that folder and the number of steps in a turn.
    """

    name: str
    title: str
    note: str
    platform: str
    ours: str
    baseline: str
    images: int
    prepare: Callable[[Path], None]
    sides: Callable[[Path, int], Sequence[Side]]

    def choose(self, only: Sequence[str], folder: Path, steps: int) -> list[Side]:
        """-> the sides named in `only`, or all; UserError where one is unknown or cannot be imported."""
        sides = {side.name: side for side in self.sides(folder, steps)}
        for name in only:
            if name not in sides:
                raise UserError(f"--only: '{name}' is not a side of {self.name}{did_you_mean(name, sides)}")
        found = [side for side in sides.values() if not only or side.name in only]
        for side in found:
            missing = [need for need in side.needs if importlib.util.find_spec(need) is None]
            if missing:
                raise UserError(
                    f"the side {side.name} needs {missing[0]}, which is not installed: pip install"
                    " 'resjax[bench]', or leave the side out with --only"
                )
        return found


def run(
    benchmark: Benchmark,
    *,
    wanted: int,
    steps: int,
    only: Sequence[str] = (),
    say: Callable[[str], None] = lambda _: None,
    probe: Callable[[], float] = rounds.probe,
    pause: float = rounds.PAUSE,
) -> dict[str, Any]:
    """-> the record of `wanted` good rounds, or of what there was."""
    from resjax.record import provenance  # imports JAX, a second that --help need not wait

    load = round(os.getloadavg()[0], 2)
    if load > IDLE:
        say(f"the load was {load} in the last minute; stop what else runs, it slows the sides unequally")
    origin = provenance()
    with tempfile.TemporaryDirectory(prefix="resjax-", ignore_cleanup_errors=True) as folder:
        benchmark.prepare(Path(folder))
        sides = benchmark.choose(only, Path(folder), steps)
        with contextlib.ExitStack() as stack:
            live = [stack.enter_context(each) for each in _started(sides, Path(folder), say)]
            found = rounds.run(_turns(live, benchmark), wanted, probe, say, pause)
    del origin["xla_flags"], origin["compiler_options"]  # of this process; each side tells its own
    origin["versions"] |= {need: metadata.version(need) for side in sides for need in side.needs}
    return {
        "benchmark": benchmark.name,
        "settings": _settings(wanted, steps),
        "load_before": load,
        "sides": {each.side.name: each.facts for each in live},
        "rounds": [dataclasses.asdict(each) for each in found],
        "discarded": len(found) - len(rounds.steady(found)),
        **origin,
        "date": datetime.date.today().isoformat(),
    }


def _started(sides: Sequence[Side], folder: Path, say: Callable[[str], None]) -> Iterator[Live]:
    """One by one: the next begins when the one before has been entered, which is when it is warm."""
    for side in sides:
        say(f"warming up {side.name}")
        yield Live(side, folder)


def _turns(live: Sequence[Live], benchmark: Benchmark) -> dict[str, Callable[[], float]]:
    """Raises ResjaxError where none can run, or one runs on another device than the benchmark is about."""
    for each in live:
        found = each.facts.get("platform", benchmark.platform)
        if found != benchmark.platform:
            raise ResjaxError(
                f"the side {each.side.name} runs on {found}, but {benchmark.name} is about"
                f" {benchmark.platform}; run it where there is no accelerator"
            )
    turns = {each.side.name: each.go for each in live if "cannot" not in each.facts}
    if not turns:
        raise ResjaxError(f"no side can run here: {live[0].facts['cannot']}")
    return turns


def _settings(wanted: int, steps: int) -> dict[str, float]:
    return {
        "rounds": wanted,
        "steps": steps,
        "threshold": rounds.THRESHOLD,
        "probe_size": rounds.SIZE,
        "probe_repeats": rounds.REPEATS,
    }
