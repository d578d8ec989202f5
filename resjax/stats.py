"""Statistics over seeds: mean, standard deviation, paired differences, and what n could have shown."""

import dataclasses
import math
import statistics
from collections.abc import Mapping, Sequence

LEVEL = 0.95  # of intervals, two-sided
POWER = 0.8  # chance to show a difference of the size that `detectable` gives


@dataclasses.dataclass(frozen=True)
class Summary:
    """Mean and sample standard deviation (n - 1 in the denominator); std is None for n = 1."""

    n: int
    mean: float
    std: float | None


@dataclasses.dataclass(frozen=True)
class Difference:
    """Mean of paired differences with its two-sided 95 % Student interval; None for n = 1.

    Attributes:
      detectable: the smallest true difference that n pairs with this spread would have shown, that is,
        whose interval would have left out zero, with 80 % probability; None for n = 1.
    """

    n: int
    mean: float
    low: float | None
    high: float | None
    detectable: float | None


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
        return Difference(found.n, found.mean, None, None, None)
    error = found.std / math.sqrt(found.n)
    half = _critical(found.n) * error
    detectable = error * _noncentrality(found.n)
    return Difference(found.n, found.mean, found.mean - half, found.mean + half, detectable)


def _critical(n: int) -> float:
    from scipy import stats  # most of a second, which a run that asks for no statistics does not wait for

    return float(stats.t.ppf((1 + LEVEL) / 2, n - 1))


def _noncentrality(n: int) -> float:
    """-> true difference / standard error at which Student's t passes its critical value with `POWER`."""
    from scipy import optimize, stats

    critical = _critical(n)

    def missing(shift: float) -> float:
        return float(stats.nct.sf(critical, n - 1, shift)) - POWER

    return float(optimize.brentq(missing, 0.0, 10 * critical))  # pyright: ignore[reportArgumentType]
