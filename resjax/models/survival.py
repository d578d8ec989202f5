"""Stochastic depth, a branch is there in some steps of training: Huang et al. 2016 (1603.09382)."""

from collections.abc import Callable
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
from jaxtyping import Array

Branch = Callable[[Any, Array, Array], Array]  # of a module, what it reads, and an array like what it gives


def survive(module: Any, survival: float, branch: Branch, x: Array, like: Array) -> Array:
    """-> the branch, or zeros; section 3.

    In training the whole batch keeps or loses the branch. A lost one is not computed, so the running
    statistics of its norms stay as they are, as in the paper's code. In evaluation it is always there,
    times its probability.

    Args:
      module: whose compact method this is called in; it has `layers`.
    """
    if module.is_initializing() or not module.layers.train:
        return survival * branch(module, x, like)
    kept = jax.random.bernoulli(module.make_rng("dropout"), survival)
    return nn.cond(kept, branch, _nothing, module, x, like)


def _nothing(module: Any, x: Array, like: Array) -> Array:
    return jnp.zeros_like(like)
