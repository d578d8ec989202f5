"""The layers of blocks against NumPy."""

from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from reference import assert_close, random_like, wide
from selection import parametrize_sampled

from resjax.models.blocks import BoundLayers, Layers


class Normed(nn.Module):
    layers: BoundLayers
    activates: bool = False

    @nn.compact
    def __call__(self, x: jax.Array, add: jax.Array | None = None) -> jax.Array:
        return self.layers.activate("norm", x, add) if self.activates else self.layers.normalize("norm")(x)


def test_group_norm_is_over_eight_channels_of_one_image() -> None:
    x = np.random.default_rng(0).normal(2, 3, size=(3, 4, 5, 16)).astype(np.float32)
    norm = Normed(Layers(norm="group").bind(train=True))
    variables = random_like(jax.eval_shape(lambda: norm.init(jax.random.key(0), x)))
    groups = x.astype(np.float64).reshape(3, 20, 2, 8)
    mean, var = groups.mean((1, 3), keepdims=True), groups.var((1, 3), keepdims=True)
    exact = wide(variables["params"]["norm"])
    want = ((groups - mean) / np.sqrt(var + 1e-5)).reshape(x.shape) * exact["scale"] + exact["bias"]
    assert_close(norm.apply(variables, x), want)


GROUPED = Layers(norm_examples=4)


def grouped_example(activates: bool) -> tuple[Normed, Any, jax.Array]:
    """-> a batch norm of groups of 4, variables in no special place, and three groups that differ."""
    rng = np.random.default_rng(0)
    x = rng.normal(size=(3, 4, 2, 3, 5)) * [[[[[1]]]], [[[[2]]]], [[[[3]]]]] + rng.normal(
        size=(3, 1, 1, 1, 5)
    )
    norm, x = Normed(GROUPED.bind(train=True), activates), jnp.asarray(x.reshape(12, 2, 3, 5), jnp.float32)
    return norm, random_like(jax.eval_shape(lambda: norm.init(jax.random.key(0), x))), x


@pytest.mark.parametrize("activates", [False, True])
def test_batch_norm_takes_each_group_of_examples_for_itself(activates: bool) -> None:
    norm, variables, x = grouped_example(activates)
    add = x[::-1] if activates else None
    y, changed = norm.apply(variables, x, add, mutable=["batch_stats"])
    groups, exact = np.asarray(x, np.float64).reshape(3, -1, 5), wide(variables)
    mean, var = groups.mean(1, keepdims=True), groups.var(1, keepdims=True)
    affine, running = exact["params"]["norm"], exact["batch_stats"]["norm"]
    want = ((groups - mean) / np.sqrt(var + 1e-5) * affine["scale"] + affine["bias"]).reshape(x.shape)
    assert_close(y, want if add is None else np.maximum(want + np.asarray(add, np.float64), 0))
    for name, statistic in (("mean", mean), ("var", var)):
        assert_close(changed["batch_stats"]["norm"][name], 0.9 * running[name] + 0.1 * statistic.mean((0, 1)))
    still = Normed(GROUPED.bind(train=False), activates)
    whole = Normed(Layers().bind(train=False), activates)
    np.testing.assert_array_equal(still.apply(variables, x, add), whole.apply(variables, x, add))


@parametrize_sampled("activates", [False, True], default=[True])
def test_gradients_of_groups_are_those_of_batches_of_their_own(activates: bool) -> None:
    norm, variables, x = grouped_example(activates)
    alone, rest = Normed(Layers().bind(train=True), activates), {"batch_stats": variables["batch_stats"]}

    def loss(params: Any, x: jax.Array, parts: int) -> jax.Array:
        net = norm if parts == 1 else alone
        each = [net.apply({"params": params, **rest}, part, mutable=["batch_stats"])[0] for part in
                x.reshape(parts, -1, *x.shape[1:])]  # fmt: skip
        y = jnp.concatenate(each)
        return (y * jnp.cos(jnp.arange(y.size, dtype=y.dtype)).reshape(y.shape)).sum()

    found, expected = (jax.grad(loss, (0, 1))(variables["params"], x, parts) for parts in (1, 3))
    for mine, theirs in zip(jax.tree.leaves(found), jax.tree.leaves(expected), strict=True):
        assert_close(mine, np.asarray(theirs, np.float64))


def test_a_batch_that_is_not_made_of_groups_is_refused() -> None:
    norm, variables, x = grouped_example(activates=True)
    with pytest.raises(ValueError, match="norm_examples"):
        norm.apply(variables, x[:10], mutable=["batch_stats"])
