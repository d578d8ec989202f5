"""What the rounds that count amount to: medians, and ratios taken round by round."""

import dataclasses
import statistics
from collections.abc import Sequence

from experiments.benchmarks.rounds import Round


@dataclasses.dataclass(frozen=True)
class Spread:
    """Median, least and greatest of a ratio over rounds."""

    median: float
    low: float
    high: float


def milliseconds(rounds: Sequence[Round], side: str, steps: int) -> float:
    """-> of a step, the median over rounds."""
    return 1000 * statistics.median(each.seconds[side] for each in rounds) / steps


def speed(rounds: Sequence[Round], side: str, to: str) -> Spread:
    """-> how many times as fast a side is as another."""
    found = [each.seconds[to] / each.seconds[side] for each in rounds]
    return Spread(statistics.median(found), min(found), max(found))
