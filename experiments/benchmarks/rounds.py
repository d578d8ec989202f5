"""Rounds: every side takes a turn, between probes of the machine's speed; what a slowed machine gave is void.

A virtual machine's speed moves from outside, and so does that of a machine on which something else runs.
Ratios are taken within a round, where the sides have run seconds apart, and only of rounds in which the
machine was about as fast as it ever was.
"""

import dataclasses
import statistics
import time
from collections.abc import Callable, Mapping, Sequence

import numpy as np

THRESHOLD = 0.8  # of the best probe: a round in which any probe is below it is discarded
ATTEMPTS = 3  # rounds are run up to this many times as often as good ones are wanted
PAUSE = 0.5  # seconds around a probe, in which the threads of whoever ran before come to rest
SIZE, REPEATS = 1024, 11  # of the probe's product


@dataclasses.dataclass(frozen=True)
class Round:
    """One turn of every side.

    Attributes:
      order: of the turns.
      probes: GFLOP/s before each turn and behind the last one.
      seconds: by side.
    """

    order: Sequence[str]
    probes: Sequence[float]
    seconds: Mapping[str, float]


def probe() -> float:
    """-> GFLOP/s of a matrix product by NumPy, on all cores; the median of several."""
    matrix = np.full((SIZE, SIZE), 0.5, np.float32)
    found = []
    for _ in range(REPEATS):
        start = time.perf_counter()
        np.matmul(matrix, matrix)
        found.append(2 * SIZE**3 / (time.perf_counter() - start) / 1e9)
    return round(statistics.median(found), 1)


def steady(rounds: Sequence[Round]) -> list[Round]:
    """-> the rounds that count."""
    best = max((max(each.probes) for each in rounds), default=0.0)
    return [each for each in rounds if min(each.probes) >= THRESHOLD * best]


def rotated(names: Sequence[str], by: int) -> list[str]:
    by %= len(names)
    return [*names[by:], *names[:by]]


def run(
    turns: Mapping[str, Callable[[], float]],
    wanted: int,
    probe: Callable[[], float] = probe,
    say: Callable[[str], None] = lambda _: None,
    pause: float = PAUSE,
) -> list[Round]:
    """-> all rounds, until `wanted` of them count or there have been `ATTEMPTS` times as many.

    Args:
      turns: by side, what takes its turn and gives the seconds of it.
    """
    rounds: list[Round] = []
    while len(steady(rounds)) < wanted and len(rounds) < ATTEMPTS * wanted:
        rounds.append(_round(turns, rotated(list(turns), len(rounds)), probe, pause))
        say(f"round {len(rounds)}, {len(steady(rounds))} of {wanted} good: {_told(rounds[-1])}")
    return rounds


def _round(
    turns: Mapping[str, Callable[[], float]], order: list[str], probe: Callable[[], float], pause: float
) -> Round:
    def rested_probe() -> float:
        time.sleep(pause)
        found = probe()
        time.sleep(pause)
        return found

    probes, seconds = [], {}
    for name in order:
        probes.append(rested_probe())
        seconds[name] = round(turns[name](), 6)
    return Round(order, [*probes, rested_probe()], seconds)


def _told(done: Round) -> str:
    times = ", ".join(f"{name} {seconds:.2f} s" for name, seconds in done.seconds.items())
    return f"{times}; probe {min(done.probes):.0f} to {max(done.probes):.0f} GFLOP/s"
