"""Norm, addition and ReLU as one function: Linen's values, and gradients against finite differences."""

from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import Array
from jax.test_util import check_grads
from selection import parametrize_sampled

from resjax.models.norm import BatchNormReLU, norm_relu


class Reference(nn.Module):
    """Of Linen's own parts."""

    train: bool
    dtype: Any = jnp.float32

    @nn.compact
    def __call__(self, x: Array, add: Array | None = None) -> Array:
        y = nn.BatchNorm(not self.train, momentum=0.9, epsilon=1e-3, dtype=self.dtype, name="norm")(x)
        return nn.relu(y if add is None else y + add)


class Ours(nn.Module):
    train: bool
    dtype: Any = jnp.float32

    @nn.compact
    def __call__(self, x: Array, add: Array | None = None) -> Array:
        return BatchNormReLU(self.train, 0.9, 1e-3, self.dtype, jnp.float32, name="norm")(x, add)


def example(shape: tuple[int, ...], *, adds: bool) -> tuple[Any, Array, Array | None]:
    """-> variables away from their initial values, an input whose mean is not 0, and what is added."""
    keys = jax.random.split(jax.random.key(0), 6)
    x = 2 * jax.random.normal(keys[0], shape) + jnp.arange(shape[-1], dtype=jnp.float32).reshape(
        (1,) * (len(shape) - 1) + (-1,)
    )
    variables = Reference(True).init(keys[1], x)
    names = jax.tree.structure(variables)
    variables = names.unflatten([0.5 + jax.random.uniform(key, shape[-1:]) for key in keys[2:]])
    return variables, x, jax.random.normal(keys[1], shape) if adds else None


@parametrize_sampled("shape", [(16, 5), (4, 6, 3, 5)], ids=str, default=[(4, 6, 3, 5)])
@pytest.mark.parametrize("adds", [False, True])
@pytest.mark.parametrize("train", [False, True])
def test_values_statistics_and_gradients_are_those_of_linen(
    shape: tuple[int, ...], adds: bool, train: bool
) -> None:
    variables, x, add = example(shape, adds=adds)

    def run(net: nn.Module) -> Any:
        def loss(params: Any, x: Array, add: Array | None) -> tuple[Array, Any]:
            given = {**variables, "params": params}
            y, changed = net.apply(given, x, add, mutable=["batch_stats"])
            return (y * jnp.cos(jnp.arange(y.size, dtype=y.dtype)).reshape(y.shape)).sum(), (y, changed)

        return jax.value_and_grad(loss, (0, 1, 2), has_aux=True)(variables["params"], x, add)

    found, expected = (jax.tree.leaves(run(net)) for net in (Ours(train), Reference(train)))
    assert len(found) == len(expected) == 7 + adds  # loss, output, 2 statistics; 2 parameters, x, add
    for mine, theirs in zip(found, expected, strict=True):
        np.testing.assert_allclose(mine, theirs, rtol=0, atol=3e-6 * float(jnp.abs(theirs).max()))


@parametrize_sampled("adds", [False, True], default=[True])
def test_gradients_are_finite_differences(adds: bool) -> None:
    with jax.enable_x64(True):
        key = jax.random.key(1)
        x, add = (jax.random.normal(k, (6, 3, 4), jnp.float64) for k in jax.random.split(key))
        scale, bias = jnp.linspace(0.5, 2, 4), jnp.linspace(-0.3, 0.3, 4)

        def output(x: Array, scale: Array, bias: Array, add: Array | None) -> Array:
            y = norm_relu(x, scale, bias, add, 1e-3)
            return y[0] * jnp.cos(jnp.arange(y[0].size, dtype=jnp.float64)).reshape(y[0].shape)

        given = (x, scale, bias, add) if adds else (x, scale, bias)
        function = output if adds else lambda x, scale, bias: output(x, scale, bias, None)
        check_grads(function, given, order=1, modes=["rev"], atol=1e-6, rtol=1e-6, eps=1e-5)


def test_bfloat16_has_float32_statistics() -> None:
    variables, x, add = example((64, 4, 4, 5), adds=True)
    assert add is not None
    x, low = x + 100, jnp.bfloat16
    y, changed = Ours(True, low).apply(variables, x.astype(low), add.astype(low), mutable=["batch_stats"])
    _, exact = Ours(True).apply(variables, x.astype(low).astype(jnp.float32), add, mutable=["batch_stats"])
    assert y.dtype == low
    assert jax.tree.all(jax.tree.map(lambda a, b: jnp.allclose(a, b, rtol=1e-5), changed, exact))


def test_the_backward_pass_keeps_less_than_linens() -> None:
    variables, x, add = example((32, 16, 16, 8), adds=True)

    def kept(net: nn.Module) -> int:
        """-> bytes that cross from a forward pass of four to its backward pass."""

        def four(params: Any, x: Array) -> Array:
            for _ in range(4):
                x, _ = net.apply({**variables, "params": params}, jnp.sin(x), add, mutable=["batch_stats"])
            return x.sum()

        leaves = jax.tree.leaves(jax.eval_shape(lambda p, x: jax.vjp(four, p, x)[1], variables["params"], x))
        return sum(leaf.size * leaf.dtype.itemsize for leaf in leaves)

    assert kept(Ours(True)) < 0.8 * kept(Reference(True))
