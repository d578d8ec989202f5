"""Singular values of a linear map that is known by its products with vectors alone."""

from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

Product = Callable[[Array], Array]  # of one vector
ROUNDING = 1e-5  # of the largest number met so far: what is left of a vector below it is float32's rounding


def bidiagonalize(
    forward: Product, backward: Product, rows: int, columns: int, steps: int, key: Array
) -> Float[Array, "2 k"]:
    """-> diagonal, and what stands above each of its numbers: Golub-Kahan-Lanczos bidiagonalisation.

    k = min(steps, rows, columns).
    `forward` multiplies a vector of `columns` by J, `backward` one of `rows` by its transpose. Both bases are
    orthogonalised anew at each step, and a vector that vanishes, as where J is orthogonal, is replaced by a
    random one, so that values come as often as they are. Golub and Kahan 1965, doi:10.1137/0702016; Golub
    and Van Loan, Matrix Computations, 4th edition, section 10.4.
    """
    if rows < columns:  # exact at the end only where it starts at the smaller side
        forward, backward, rows, columns = backward, forward, columns, rows
    steps = min(steps, columns)
    spare = jax.random.normal(key, (steps, rows + columns))  # at once: drawn in the loop it compiles slowly
    right, left = jnp.zeros((steps, columns)), jnp.zeros((steps, rows))
    diagonal, above = jnp.zeros(steps), jnp.zeros(steps)

    def step(i: Array, state: tuple[Array, ...]) -> tuple[Array, ...]:
        right, left, diagonal, above = state
        scale = jnp.maximum(diagonal.max(), above.max())
        before = jnp.maximum(i - 1, 0)
        read = backward(left[before]) - diagonal[before] * right[before]
        beta, v = _next(read, right, scale, spare[i, :columns])
        beta = jnp.where(i == 0, jnp.zeros_like(beta), beta)  # `left` is zero there: v is random
        written = forward(v) - beta * left[before]
        alpha, u = _next(written, left, scale, spare[i, columns:])
        return right.at[i].set(v), left.at[i].set(u), diagonal.at[i].set(alpha), above.at[i].set(beta)

    *_, diagonal, above = jax.lax.fori_loop(0, steps, step, (right, left, diagonal, above))
    return jnp.stack([diagonal, above])


def singular_values(bidiagonal: Float[Array, "*b 2 k"]) -> np.ndarray:
    """-> (*b, k) singular values, falling, of what `bidiagonalize` gives; by NumPy, in float64.

    With as many steps as the smaller side they are all of J's; with fewer they lie between its smallest and
    its largest, and the largest converge first.
    """
    diagonal, above = np.moveaxis(np.asarray(bidiagonal, np.float64), -2, 0)
    here, before = np.eye(diagonal.shape[-1]), np.eye(diagonal.shape[-1], k=1)
    return np.linalg.svd(diagonal[..., None] * here + above[..., None, :] * before, compute_uv=False)


def _next(
    vector: Float[Array, " n"], basis: Float[Array, "k n"], scale: Float[Array, ""], spare: Float[Array, " n"]
) -> tuple[Float[Array, ""], Float[Array, " n"]]:
    """-> length, and direction orthogonal to the basis, whose unused rows are zero."""
    vector = _reject(vector, basis)
    length = jnp.linalg.norm(vector)
    gone = length <= ROUNDING * scale
    vector = jnp.where(gone, _reject(spare, basis), vector)
    return jnp.where(gone, jnp.zeros_like(length), length), vector / jnp.linalg.norm(vector)


def _reject(vector: Float[Array, " n"], basis: Float[Array, "k n"]) -> Float[Array, " n"]:
    """Twice: the first time leaves what rounding brought back in. Sums, for they are float32 everywhere."""
    for _ in range(2):
        inner = (basis * vector[None]).sum(1)
        vector = vector - (basis * inner[:, None]).sum(0)
    return vector


def mean_square(
    forward: Product, backward: Product, rows: int, columns: int, draws: int, key: Array
) -> Float[Array, ""]:
    """-> an unbiased estimate of the mean squared singular value, ||J||_F^2 / min(rows, columns).

    The mean over `draws` of ||J v||^2, v of independent signs, on the smaller side, divided by its size.
    Hutchinson 1990, doi:10.1080/03610919008812866.
    """
    product, size = (forward, columns) if columns <= rows else (backward, rows)
    signs = jax.random.rademacher(key, (draws, size), jnp.float32)
    return jax.lax.map(lambda v: jnp.square(product(v)).sum(), signs).mean() / size
