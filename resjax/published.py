"""A paper's number, and what our runs say of it.

A paper's value is one statistic of its k runs: one run, their mean, their median, the best. Seen from our n
runs, with mean m and standard deviation s, a statistic of k normal runs has the mean m + shift * s and the
variance spread * s**2; shift and spread are those of order statistics of k standard normal numbers.
"""

import dataclasses
import math
from collections.abc import Sequence
from typing import Literal

import numpy as np
from scipy import special
from scipy import stats as distributions

from resjax import stats

Statistic = Literal["one run", "mean", "median", "best", "unstated"]
Verdict = Literal[
    "reproduced", "differs", "too few runs to tell", "diverged", "some diverged", "shortened run", "not run",
    "unverified number", "other protocol", ""
]  # fmt: skip


@dataclasses.dataclass(frozen=True, kw_only=True)
class Published:
    """A number that a paper prints.

    Attributes:
      value: in percent, an accuracy or an error as the table reports.
      statistic: what it is of the paper's runs; `unstated` is compared as one run.
      runs: how many; 1 where it is one run or not stated.
      std: of the runs, in points, where the paper prints it.
      source: paper and table.
      verified: False for a number read off a figure or not found in a source; it is shown, not judged.
      protocol: what the paper did otherwise than our runs, in a few words; it is shown, not judged.
      above: the paper prints no more than that its number is above the value.
    """

    value: float
    source: str
    statistic: Statistic = "unstated"
    runs: int = 1
    std: float | None = None
    verified: bool = True
    protocol: str = ""
    above: bool = False

    def __post_init__(self) -> None:
        if not 0 <= self.value <= 100:
            raise ValueError(f"a published value is {self.value}; it must be in percent, 0 to 100")
        alone = self.statistic in ("one run", "unstated")
        if self.runs < 1 or alone != (self.runs == 1):
            raise ValueError(f"a published value is '{self.statistic}' of {self.runs} runs; that cannot be")
        if self.statistic == "median" and self.runs % 2 == 0:
            raise ValueError(
                f"a published value is the median of {self.runs} runs; it must be of an odd number"
            )

    def __str__(self) -> str:
        """-> "6.61 ± 0.16 (mean of 5)"."""
        std = "" if self.std is None else f" ± {self.std:g}"
        how = f"{self.statistic} of {self.runs}" if self.runs > 1 else self.statistic
        how = "runs unstated" if how == "unstated" else how
        said = [how if self.verified else "unverified", *([self.protocol] if self.protocol else [])]
        sign = ("" if self.verified else "≈ ") + ("> " if self.above else "")
        return f"{sign}{self.value:g}{std} ({', '.join(said)})"

    @property
    def judged(self) -> bool:
        """It is known, and of runs that ours can be held against."""
        return self.verified and not self.protocol


@dataclasses.dataclass(frozen=True)
class Comparison:
    """Ours less the published value, in points, with its two-sided 95 % interval; None for n = 1."""

    difference: float
    low: float | None
    high: float | None
    verdict: Verdict


def compare(
    published: Published, values: Sequence[float], tolerance: float, lower_is_better: bool
) -> Comparison:
    """-> how our runs stand to a published value.

    `reproduced`: the whole interval lies within the tolerance; of a bound, above zero. `differs`: it leaves
    out zero; of a bound, it lies below. Else n runs cannot tell. The interval is Student's; where the paper
    prints its own deviation, Welch's.

    Args:
      values: ours, in percent, as the published value is.
      tolerance: in points.
    """
    ours = stats.summarize(values)
    if ours.std is None:
        verdict = "too few runs to tell" if published.judged else _unjudged(published)
        return Comparison(values[0] - published.value, None, None, verdict)
    shift, spread = order_statistic(published.statistic, published.runs, lower_is_better)
    difference = ours.mean + shift * ours.std - published.value
    own = ours.std**2 / ours.n
    if published.std is None or published.statistic != "mean":
        own += (spread + shift**2 / (2 * (ours.n - 1))) * ours.std**2  # the shift is as unsure as s is
        error, freedom = math.sqrt(own), ours.n - 1.0
    else:
        theirs = published.std**2 / published.runs
        error = math.sqrt(own + theirs)
        squares = own**2 / (ours.n - 1) + theirs**2 / (published.runs - 1)
        freedom = (own + theirs) ** 2 / squares if squares else ours.n - 1.0
    half = float(distributions.t.ppf((1 + stats.LEVEL) / 2, freedom)) * error
    low, high = difference - half, difference + half
    return Comparison(difference, low, high, _verdict(published, low, high, tolerance))


def _verdict(published: Published, low: float, high: float, tolerance: float) -> Verdict:
    if not published.judged:
        return _unjudged(published)
    if published.above and low > 0:
        return "reproduced"
    if not published.above and -tolerance <= low and high <= tolerance:
        return "reproduced"
    return "differs" if low > 0 or high < 0 else "too few runs to tell"


def _unjudged(published: Published) -> Verdict:
    return "other protocol" if published.verified else "unverified number"


def order_statistic(statistic: Statistic, runs: int, lower_is_better: bool = False) -> tuple[float, float]:
    """-> mean and variance of a statistic of `runs` standard normal numbers."""
    if statistic in ("one run", "mean", "unstated"):
        return 0.0, 1 / runs
    best = 1 if lower_is_better else runs
    rank = best if statistic == "best" else (runs + 1) // 2
    x = np.linspace(-9, 9, 20_001)
    below = special.ndtr(x)
    density = below ** (rank - 1) * (1 - below) ** (runs - rank) * np.exp(-(x**2) / 2)
    density /= np.trapezoid(density, x)
    mean = float(np.trapezoid(x * density, x))
    return mean, float(np.trapezoid((x - mean) ** 2 * density, x))
