"""Statistics over seeds: mean, standard deviation, and paired differences with their intervals."""

import dataclasses
import math
import statistics
from collections.abc import Mapping, Sequence

from scipy import stats


@dataclasses.dataclass(frozen=True)
class Summary:
    """Mean and sample standard deviation (n - 1 in the denominator); std is None for n = 1."""

    n: int
    mean: float
    std: float | None


@dataclasses.dataclass(frozen=True)
class Difference:
    """Mean of paired differences with its two-sided 95 % Student interval; None for n = 1."""

    n: int
    mean: float
    low: float | None
    high: float | None


def summarize(values: Sequence[float]) -> Summary:
    """Raises ValueError where there are no values."""
    if not values:
        raise ValueError("no values to summarize")
    std = statistics.stdev(values) if len(values) > 1 else None
    return Summary(len(values), statistics.fmean(values), std)


def paired_difference(treated: Mapping[int, float], control: Mapping[int, float]) -> Difference | None:
    """-> treated minus control over the seeds that both have, or None where they share none."""
    seeds = sorted(treated.keys() & control.keys())
    if not seeds:
        return None
    found = summarize([treated[seed] - control[seed] for seed in seeds])
    if found.std is None:
        return Difference(found.n, found.mean, None, None)
    half = float(stats.t.ppf(0.975, found.n - 1)) * found.std / math.sqrt(found.n)
    return Difference(found.n, found.mean, found.mean - half, found.mean + half)
