"""Batch normalisation, an addition and ReLU as one function with a gradient of its own.

Differentiated by JAX, the three keep the normalised activations and a mask beside their input and output.
Here the backward pass needs input and output alone, and both passes are one multiplication and one
addition for every element, by factors of each channel:

    y = max(0, a x + c + add)                       a = scale / std, c = bias - mean a
    dx = a g + k2 x + k3,  g = dy where y > 0       k2, k3 from the sums of g and of g x

That is Ioffe and Szegedy 2015 (1502.03167), section 3, rearranged.
"""

from functools import partial
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jaxtyping import Array, Float

from resjax import backend


def norm_relu(
    x: Float[Array, "*b c"],
    scale: Float[Array, " c"],
    bias: Float[Array, " c"],
    add: Float[Array, "*b c"] | None,
    epsilon: float,
) -> tuple[Array, Array, Array]:
    """-> relu(norm(x) + add), of x's type, and the batch's mean and biased variance, which have no gradient.

    Statistics are of all axes but the last, in float32 at least.
    """
    found: Any = _norm_relu(x, scale, bias, add, epsilon)
    return found


@partial(jax.custom_vjp, nondiff_argnums=(4,))
def _norm_relu(x: Array, scale: Array, bias: Array, add: Array | None, epsilon: float) -> Any:
    return _forward(x, scale, bias, add, epsilon)[0]


def _forward(x: Array, scale: Array, bias: Array, add: Array | None, epsilon: float) -> tuple[Any, Any]:
    wide = x.astype(_wide(x.dtype))
    axes, count = tuple(range(x.ndim - 1)), x.size // x.shape[-1]
    mean = wide.sum(axes) / count
    variance = jnp.maximum(jnp.square(wide).sum(axes) / count - jnp.square(mean), 0)
    inverse = lax.rsqrt(variance + epsilon)
    y = affine_relu(x, scale * inverse, bias - mean * scale * inverse, add)
    return (y, mean, variance), (x, y, scale, mean, inverse, add)


def _backward(epsilon: float, kept: Any, grads: Any) -> tuple[Array, Array, Array, Array | None]:
    x, y, scale, mean, inverse, add = kept
    axes, count = tuple(range(x.ndim - 1)), x.size // x.shape[-1]
    wide = x.astype(mean.dtype)
    grad = jnp.where(y > 0, grads[0], jnp.zeros_like(y)).astype(mean.dtype)
    to_bias = grad.sum(axes)
    to_scale = ((grad * wide).sum(axes) - mean * to_bias) * inverse
    factor = scale * inverse
    slope = -factor * inverse * to_scale / count
    factor, slope, offset = _once((factor, slope, -factor * to_bias / count - mean * slope))
    to_x = (_spread(factor, x) * grad + _spread(slope, x) * wide + _spread(offset, x)).astype(x.dtype)
    return to_x, to_scale, to_bias, None if add is None else grad.astype(add.dtype)


_norm_relu.defvjp(_forward, _backward)


def affine_relu(x: Array, factor: Array, offset: Array, add: Array | None) -> Array:
    """-> relu(factor x + offset + add), of x's type."""
    factor, offset = _once((factor, offset))
    y = x.astype(factor.dtype) * _spread(factor, x) + _spread(offset, x)
    return nn.relu(y if add is None else y + add.astype(y.dtype)).astype(x.dtype)


def _wide(dtype: Any) -> Any:
    """-> the type of statistics."""
    return jnp.float32 if jnp.finfo(dtype).bits < 32 else dtype


def _once(arrays: tuple[Array, ...]) -> tuple[Array, ...]:
    """Keeps XLA:CPU from computing factors of channels anew for, or writing them out at, every element."""
    return lax.optimization_barrier(arrays) if backend.favours_cpu() else arrays


def _spread(channels: Array, like: Array) -> Array:
    return channels.reshape((1,) * (like.ndim - 1) + (-1,))


def _filled(key: Array | None, value: float, shape: tuple[int, ...], dtype: Any) -> Array:
    """By NumPy: JAX would compile a program for each shape."""
    return jnp.asarray(np.full(shape, value, dtype))


def in_groups(norm: nn.Module, examples: int, x: Float[Array, "b ..."], *rest: Array | None) -> Array:
    """-> norm(x, *rest) with the batch norm `norm` in training, each group of so many `examples` for itself.

    A group are examples that follow each other in the batch. The running statistics move towards the means
    over the groups, of their means and of their biased variances: what copies of the net with a batch each,
    on devices of their own, would have on average.

    Raises:
      ValueError: the batch is not made of such groups.
    """
    if len(x) % examples:
        raise ValueError(f"examples is {len(x)}; it must be a multiple of norm_examples, {examples}")
    variables, alone = norm.variables, norm.clone(parent=None, name=None)

    def of_group(*parts: Array | None) -> Any:
        return alone.apply(variables, *parts, mutable=["batch_stats"])

    split = [part if part is None else part.reshape(-1, examples, *part.shape[1:]) for part in (x, *rest)]
    y, changed = jax.vmap(of_group)(*split)
    for name, value in changed["batch_stats"].items():
        norm.put_variable("batch_stats", name, value.mean(0))
    return y.reshape(x.shape)


class BatchNormReLU(nn.Module):
    """relu(norm(x) + add); parameters and running statistics are those of `nn.BatchNorm`.

    Attributes:
      momentum: the running statistics keep this share of themselves at each step.
    """

    train: bool
    momentum: float
    epsilon: float
    dtype: Any
    param_dtype: Any

    @nn.compact
    def __call__(self, x: Float[Array, "*b c"], add: Float[Array, "*b c"] | None = None) -> Array:
        features, x = x.shape[-1:], x.astype(self.dtype)
        wide = _wide(self.dtype)
        scale = self.param("scale", _filled, 1, features, self.param_dtype)
        bias = self.param("bias", _filled, 0, features, self.param_dtype)
        mean = self.variable("batch_stats", "mean", _filled, None, 0, features, jnp.float32)
        variance = self.variable("batch_stats", "var", _filled, None, 1, features, jnp.float32)
        if self.is_initializing():  # only the shape of what follows is of use, and eager steps take time
            return nn.relu(x)
        scale, bias = scale.astype(wide), bias.astype(wide)
        if not self.train:
            factor = scale * lax.rsqrt(variance.value + self.epsilon)
            return affine_relu(x, factor, bias - mean.value * factor, add)
        y, *found = norm_relu(x, scale, bias, add, self.epsilon)
        for running, new in zip((mean, variance), found, strict=True):
            running.value = self.momentum * running.value + (1 - self.momentum) * new
        return y
