"""Random directions in the space of parameters, filter by filter as long as the parameters themselves."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array


def filter_normalized(params: Any, seed: int, axis: int) -> Any:
    """-> a direction of the shapes of `params`; twins with the same parameters' names get the same draws.

    Li et al. 2018 (1712.09913), section 4: each filter, all weights into one feature, is drawn from a normal
    distribution and scaled to the norm of the parameters' own filter. What has one axis or none, biases and
    the parameters of norms, does not move, as in the paper's figures and in its code ("biasbn").

    Args:
      axis: number of the direction; different ones are independent.
    """
    rng = np.random.default_rng([seed, axis])

    def draw(leaf: Array) -> Array:
        if leaf.ndim < 2:
            return jnp.zeros_like(leaf)
        drawn, own = rng.standard_normal(leaf.shape), np.asarray(leaf, np.float64)
        return jnp.asarray(drawn * filter_norms(own) / filter_norms(drawn), leaf.dtype)

    return jax.tree.map(draw, params)


def filter_norms(kernel: np.ndarray) -> np.ndarray:
    """-> of each feature that a kernel (..., features) gives, in the same number of axes."""
    return np.sqrt(np.square(kernel).sum(tuple(range(kernel.ndim - 1)), keepdims=True))
