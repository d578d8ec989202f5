"""Singular values by products alone against known ones and NumPy's."""

from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from resjax.probes import lanczos

KEY = jax.random.key(0, impl="rbg")


def known(values: list[float], rows: int, columns: int, seed: int = 0) -> np.ndarray:
    """-> a matrix of these singular values between random bases, in float64."""
    rng, size = np.random.default_rng(seed), len(values)
    left, right = (np.linalg.qr(rng.normal(size=(n, size)))[0] for n in (rows, columns))
    return (left * np.array(values)) @ right.T


@partial(jax.jit, static_argnums=(0, 2))
def run(method: Any, matrix: jax.Array, count: int) -> jax.Array:
    found: Any = method(lambda v: matrix @ v, lambda u: matrix.T @ u, *matrix.shape, count, KEY)
    return found


def values_of(matrix: jax.Array, steps: int) -> np.ndarray:
    return lanczos.singular_values(run(lanczos.bidiagonalize, matrix, steps))


def narrow(matrix: np.ndarray) -> jax.Array:
    return jnp.asarray(matrix, jnp.float32)


@pytest.mark.parametrize(("rows", "columns"), [(6, 6), (6, 11), (11, 6)])
@pytest.mark.parametrize(
    "values",
    [
        [5.0, 4.0, 3.0, 2.0, 1.0, 0.5],
        [1.0] * 6,  # orthogonal: Lanczos breaks down at every step
        [3.0, 3.0, 3.0, 2.0, 2.0, 1.0],
        [2.0, 2.0, 1.0, 0.0, 0.0, 0.0],
        [0.0] * 6,
    ],
    ids=str,
)
def test_as_many_steps_as_the_smaller_side_give_every_value_as_often_as_it_is(
    values: list[float], rows: int, columns: int
) -> None:
    matrix = known(values, rows, columns)
    got = values_of(narrow(matrix), 20)
    np.testing.assert_allclose(got, values, rtol=0, atol=1e-5 * max(values))


def test_fewer_steps_give_the_largest_first_and_stay_within_the_range() -> None:
    values = [30.0, 10.0, *np.linspace(2, 1, 60)]
    got = values_of(narrow(known(values, 80, 62)), 12)
    assert got.shape == (12,)
    np.testing.assert_allclose(got[:2], values[:2], rtol=1e-5)
    assert 1 - 1e-5 < float(got[-1]) < 1.3
    assert (np.diff(got) <= 0).all()


def test_hutchinson_is_exact_where_columns_are_orthogonal() -> None:
    matrix = np.diag([3.0, 2.0, 1.0, 0.0])
    assert float(run(lanczos.mean_square, narrow(matrix), 1)) == pytest.approx(14 / 4, rel=1e-6)


@pytest.mark.parametrize(("rows", "columns"), [(5, 9), (9, 5)])
def test_hutchinson_estimates_the_mean_square_over_the_smaller_side(rows: int, columns: int) -> None:
    matrix = np.random.default_rng(1).normal(size=(rows, columns))
    want = np.square(np.linalg.svd(matrix, compute_uv=False)).mean()
    assert want == pytest.approx(np.square(matrix).sum() / 5)
    got = float(run(lanczos.mean_square, narrow(matrix), 4000))
    assert got == pytest.approx(want, rel=0.03)
