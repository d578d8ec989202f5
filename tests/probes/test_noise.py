"""Autocorrelation and correlation of sequences for which they are known."""

import numpy as np
import pytest

from resjax.probes import noise


def test_white_noise_has_no_autocorrelation() -> None:
    """Up to 1/sqrt(n) for each sequence of n, and 1/sqrt(n m) for the mean of m."""
    each = np.stack([noise.autocorrelation(own, 20) for own in noise.white(200, 256)[..., None]])
    assert np.abs(each).max() < 5 / np.sqrt(236)
    assert np.abs(each.mean(0)).max() < 5 / np.sqrt(236 * 200)
    assert each.std() == pytest.approx(1 / np.sqrt(246), rel=0.05)


def test_brown_noise_has_the_covariance_of_a_random_walk() -> None:
    places = np.arange(1, 33)
    want = np.minimum.outer(places, places)
    draws = noise.brown(20_000, 32)
    np.testing.assert_allclose(draws.T @ draws / 20_000, want, rtol=0, atol=5 * 32 / np.sqrt(10_000))
    got = noise.correlation(draws)
    np.testing.assert_allclose(got, want / np.sqrt(np.outer(places, places)), rtol=0, atol=0.03)


def test_autocorrelation_is_its_sum_over_vectors() -> None:
    values = np.array([[1.0, 0.0], [0.0, 2.0], [3.0, 1.0]])
    lag1 = (0 + 2) / np.sqrt((1 + 4) * (4 + 10))
    np.testing.assert_allclose(noise.autocorrelation(values, 2), [lag1, 3 / np.sqrt(1 * 10)])


def test_a_constant_has_one_an_alternating_sequence_minus_one_and_zero_none() -> None:
    np.testing.assert_allclose(noise.autocorrelation(np.full((50, 1), -3.0), 10), 1)
    alternating = noise.autocorrelation((-1.0) ** np.arange(50)[:, None], 2)
    np.testing.assert_allclose(alternating, [-1, 1])
    assert np.isnan(noise.autocorrelation(np.zeros((50, 1)), 3)).all()


def test_a_place_that_is_always_zero_correlates_with_nothing() -> None:
    got = noise.correlation(np.array([[1.0, 0.0, 2.0], [-1.0, 0.0, -2.0]]))
    np.testing.assert_allclose(got, [[1, 0, 1], [0, 0, 0], [1, 0, 1]])
