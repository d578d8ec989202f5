"""Verdicts against SciPy and against simulated laboratories."""

import numpy as np
import pytest
from scipy import stats

from resjax.published import Published, compare, order_statistic

OURS = [8.6, 8.9, 8.75, 8.8, 8.7]


def published(value: float, **settings) -> Published:
    return Published(value=value, source="a paper", **settings)


def test_against_a_mean_with_its_deviation_it_is_welch_s_test() -> None:
    found = compare(published(8.5, statistic="mean", runs=5, std=0.16), OURS, 0.1, True)
    paper = stats.norm.ppf((np.arange(5) + 0.5) / 5)  # any five numbers of that mean and deviation
    paper = 8.5 + 0.16 * (paper - paper.mean()) / paper.std(ddof=1)
    interval = stats.ttest_ind(OURS, paper, equal_var=False).confidence_interval(0.95)
    assert (found.low, found.high) == pytest.approx((interval.low, interval.high))
    assert found.difference == pytest.approx(np.mean(OURS) - 8.5)


def test_against_one_run_it_is_the_interval_of_prediction() -> None:
    found = compare(published(8.75, statistic="one run"), OURS, 1.0, True)
    half = stats.t.ppf(0.975, 4) * np.std(OURS, ddof=1) * np.sqrt(1 + 1 / 5)
    assert found.high == pytest.approx(np.mean(OURS) - 8.75 + half)


@pytest.mark.parametrize(
    ("statistic", "runs", "lower"),
    [("best", 5, True), ("best", 3, False), ("median", 5, True), ("mean", 7, True)],
)
def test_statistics_of_k_runs_are_those_of_many_drawn_ones(statistic, runs, lower) -> None:
    drawn = np.random.default_rng(0).standard_normal((200_000, runs))
    of = {"best": np.min if lower else np.max, "median": np.median, "mean": np.mean}[statistic]
    found = of(drawn, axis=1)
    assert order_statistic(statistic, runs, lower) == pytest.approx((found.mean(), found.var()), abs=0.01)


@pytest.mark.parametrize(
    ("value", "settings", "verdict"),
    [
        (8.75, dict(statistic="mean", runs=5), "reproduced"),
        (9.75, dict(statistic="mean", runs=5), "differs"),
        (8.45, dict(statistic="one run"), "too few runs to tell"),
        (8.75, dict(statistic="one run", verified=False), "unverified number"),
        (8.75, dict(statistic="mean", runs=5, protocol="10 crops"), "other protocol"),
        (8.0, dict(statistic="mean", runs=5, above=True), "reproduced"),
        (9.75, dict(statistic="mean", runs=5, above=True), "differs"),
        (8.75, dict(statistic="mean", runs=5, above=True), "too few runs to tell"),
    ],
)
def test_verdicts(value, settings, verdict) -> None:
    assert compare(published(value, **settings), OURS, 0.3, True).verdict == verdict


def test_one_run_cannot_tell() -> None:
    found = compare(published(8.75), OURS[:1], 0.3, True)
    assert (found.verdict, found.low, found.high) == ("too few runs to tell", None, None)
    assert found.difference == pytest.approx(-0.15)


@pytest.mark.parametrize(
    ("settings", "verdict"),
    [(dict(verified=False), "unverified number"), (dict(protocol="10 crops"), "other protocol")],
)
def test_of_one_run_too_a_number_that_is_not_judged_says_why(settings, verdict) -> None:
    assert compare(published(8.75, **settings), OURS[:1], 0.3, True).verdict == verdict


@pytest.mark.slow
def test_nineteen_of_twenty_intervals_hold_a_true_reproduction() -> None:
    rng, held = np.random.default_rng(1), 0
    for _ in range(2000):
        paper, ours = rng.normal(7, 0.2, 5).min(), rng.normal(7, 0.2, 5)
        found = compare(published(paper, statistic="best", runs=5), list(ours), 1.0, True)
        assert found.low is not None
        assert found.high is not None
        held += found.low <= 0 <= found.high
    assert 0.93 < held / 2000 < 0.985


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        (dict(value=108.0), "108"),
        (dict(value=8.0, statistic="mean"), "mean"),
        (dict(value=8.0, statistic="one run", runs=3), "one run"),
        (dict(value=8.0, statistic="median", runs=4), "median"),
    ],
)
def test_numbers_that_cannot_be_are_refused(settings, said) -> None:
    with pytest.raises(ValueError, match=said):
        Published(source="a paper", **settings)


def test_it_is_told_as_the_paper_has_it() -> None:
    assert str(published(6.61, statistic="mean", runs=5, std=0.16)) == "6.61 ± 0.16 (mean of 5)"
    assert str(published(13.5, verified=False)) == "≈ 13.5 (unverified)"
    assert str(published(27.94, protocol="10 crops")) == "27.94 (runs unstated, 10 crops)"
    assert str(published(20.0, statistic="median", runs=5, above=True)) == "> 20 (median of 5)"
