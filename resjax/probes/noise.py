"""Autocorrelation and correlation of sequences, and the two noises that gradients are compared with."""

from collections.abc import Callable, Mapping

import numpy as np
from jaxtyping import Float


def autocorrelation(values: Float[np.ndarray, "n d"], lags: int) -> Float[np.ndarray, " lags"]:
    """-> of a sequence of vectors, at lags 1, 2, ...: the mean cosine of what lies so far apart, weighted.

    R(l) = sum_i <g_i, g_(i+l)> / sqrt(sum_i |g_i|^2 sum_i |g_(i+l)|^2), i from 1 to n - l, in [-1, 1]. No
    mean is taken off, so a constant has 1. NaN where the sequence is zero.
    """
    squares = np.square(values).sum(1)
    found = np.full(lags, np.nan)
    for lag in range(1, lags + 1):
        scale = np.sqrt(squares[:-lag].sum() * squares[lag:].sum())
        if scale > 0:
            found[lag - 1] = (values[:-lag] * values[lag:]).sum() / scale
    return found


def correlation(draws: Float[np.ndarray, "m n"]) -> Float[np.ndarray, "n n"]:
    """-> of n places over m draws: C(s, t) / sqrt(C(s, s) C(t, t)), C(s, t) = E g_s g_t; 0 where C(s, s) is.

    The mean is not taken off: that of a net's gradient over its initial values is zero, for the last layer's
    sign is random.
    """
    found = draws.T @ draws / len(draws)
    scale = np.sqrt(np.diag(found))
    scale = np.outer(scale, scale)
    return np.where(scale > 0, found / np.where(scale > 0, scale, 1), 0)


def white(draws: int, places: int) -> Float[np.ndarray, "m n"]:
    """-> independent normal numbers: C(s, t) = 1 where s = t, and else 0."""
    return np.random.default_rng(0).normal(size=(draws, places))


def brown(draws: int, places: int) -> Float[np.ndarray, "m n"]:
    """-> their running sums, a random walk from 0: C(s, t) = min(s, t), s from 1."""
    return white(draws, places).cumsum(1)


NOISES: Mapping[str, Callable[[int, int], np.ndarray]] = {"brown noise": brown, "white noise": white}
