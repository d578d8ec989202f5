"""A batch in parts: what is found of each, one after the other, and its mean and sum for one update.

The activations of one part are in memory at a time. Part j of k has the examples j, j + k, j + 2k, ... of
the batch: those that a mesh has shared out over its devices stay where they are, and the parts are the same
ones on any mesh.
"""

from collections.abc import Callable
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array

Found = tuple[Any, Any]  # two trees of arrays: means over examples, and sums over them


def over_parts(find: Callable[[Any, Array], Found], parts: int, batch: Any, key: Array, like: Found) -> Found:
    """-> what `find` finds of a batch: the mean over its parts of the former tree, the sum of the latter.

    Both are added up in float32 at least, whatever the type of the arrays.

    Args:
      find: takes a part, and a key of its own.
      batch: tree of arrays [b, ...]; `parts` divides b.
      like: arrays of the shapes and types of what is found.
    """
    if parts == 1:
        return find(batch, key)

    def add(total: Found, given: tuple[Any, Array]) -> tuple[Found, None]:
        return jax.tree.map(lambda a, b: a + b.astype(a.dtype), total, find(*given)), None

    zeros = jax.tree.map(_zeros, like)
    shared = jax.tree.map(partial(shares, parts=parts), batch)
    (totals, sums), _ = jax.lax.scan(add, zeros, (shared, jax.random.split(key, parts)))
    return jax.tree.map(lambda total, x: (total / parts).astype(x.dtype), totals, like[0]), sums


def _zeros(like: Array) -> Array:
    return jnp.zeros(like.shape, jnp.float32 if jnp.finfo(like.dtype).bits < 32 else like.dtype)


def shares(x: Array, parts: int) -> Array:
    """-> [parts, b / parts, ...] of [b, ...], every so-many-th of it in each."""
    return x.reshape(-1, parts, *x.shape[1:]).swapaxes(0, 1)
