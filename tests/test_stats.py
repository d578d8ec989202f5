"""Statistics over seeds against SciPy's own tests."""

import math

import numpy as np
import pytest
from scipy import stats as scipy_stats

from resjax import stats

RNG = np.random.default_rng(0)
CONTROL = dict(enumerate(RNG.normal(0.9, 0.01, 6).tolist()))
TREATED = {seed: value + float(RNG.normal(0.02, 0.005)) for seed, value in CONTROL.items()}


@pytest.mark.parametrize("n", [2, 3, 30])
def test_the_standard_deviation_is_the_sample_s(n: int) -> None:
    values = RNG.normal(3, 2, n).tolist()
    found = stats.summarize(values)
    assert found.n == n
    assert found.mean == pytest.approx(np.mean(values), rel=1e-12)
    assert found.std == pytest.approx(np.std(values, ddof=1), rel=1e-12)


def test_one_value_has_no_spread() -> None:
    assert stats.summarize([0.25]) == stats.Summary(1, 0.25, None)


def test_equal_values_have_a_spread_of_zero() -> None:
    assert stats.summarize([0.25, 0.25, 0.25]) == stats.Summary(3, 0.25, 0.0)


def test_no_values_are_an_error() -> None:
    with pytest.raises(ValueError, match="values"):
        stats.summarize([])


@pytest.mark.parametrize("seeds", [2, 3, 6])
def test_a_paired_difference_has_student_s_interval(seeds: int) -> None:
    treated, control = ({seed: values[seed] for seed in range(seeds)} for values in (TREATED, CONTROL))
    found = stats.paired_difference(treated, control)
    paired = scipy_stats.ttest_rel(list(treated.values()), list(control.values()))
    interval = paired.confidence_interval(0.95)
    assert found is not None
    assert found.n == seeds
    assert found.mean == pytest.approx(np.mean(list(treated.values())) - np.mean(list(control.values())))
    assert (found.low, found.high) == pytest.approx((interval.low, interval.high), rel=1e-9)


def test_pairs_are_of_one_seed_in_whatever_order_they_come() -> None:
    backwards = dict(reversed(TREATED.items()))
    assert stats.paired_difference(backwards, CONTROL) == stats.paired_difference(TREATED, CONTROL)


def test_seeds_that_one_side_lacks_are_left_out() -> None:
    some = {seed: TREATED[seed] for seed in (1, 2, 5)}
    only = {seed: CONTROL[seed] for seed in (1, 2, 5)}
    found = stats.paired_difference(some | {99: 0.5}, CONTROL)
    assert found == stats.paired_difference(some, only)
    assert found is not None
    assert found.n == 3


def test_without_a_shared_seed_there_is_no_difference() -> None:
    assert stats.paired_difference({0: 1.0}, {1: 1.0}) is None
    assert stats.paired_difference({}, CONTROL) is None


def test_one_pair_has_a_difference_and_no_interval() -> None:
    assert stats.paired_difference({4: 0.75, 5: 1.0}, {4: 0.5}) == stats.Difference(1, 0.25, None, None, None)


def test_swapping_the_sides_turns_the_interval_round() -> None:
    found, swapped = (stats.paired_difference(a, b) for a, b in ((TREATED, CONTROL), (CONTROL, TREATED)))
    assert found is not None
    assert swapped is not None
    assert (found.low, found.high) == pytest.approx((-(swapped.high or math.nan), -(swapped.low or math.nan)))
