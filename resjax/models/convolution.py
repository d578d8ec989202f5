"""Convolutions whose gradients XLA compiles to fast kernels on the CPU, in loops too.

JAX writes a convolution's gradients as convolutions of permuted dimensions. XLA:CPU brings those into the
order that its fast kernels take, but not inside a loop, where they are tens of times slower. Here
the arrays are transposed instead, so that every convolution is in that order from the start; the results
have the same bits. And many features of a plane of four pixels or fewer, as deep nets have on small images,
miss XLA:CPU's fast kernels altogether: there the convolution is a product of matrices, equal to rounding. An
accelerator's compiler knows the gradients by their form, so it is given JAX's own.
"""

import math
from collections.abc import Sequence
from functools import partial
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
from jax import lax
from jax.ad_checkpoint import checkpoint_name
from jaxtyping import Array, Float

from resjax import backend

ORDER = ("NHWC", "HWIO", "NHWC")
SAVED = "convolution"  # what rematerialisation may keep, by this name
FEW, MANY = 4, 64 * 128  # output pixels, and pairs of features: a product of matrices is several times faster
Pair = tuple[int, int]
Pads = tuple[Pair, Pair]


def convolve(
    inputs: Float[Array, "b h w c"], kernel: Float[Array, "p q i d"], strides: Pair, padding: Any, **rest: Any
) -> Float[Array, "b i j d"]:
    """`lax.conv_general_dilated` as `nn.Conv` calls it, and with a dilated kernel just that."""
    plain, groups = inputs.ndim == 4 and set(rest["rhs_dilation"]) == {1}, rest["feature_group_count"]
    if plain and backend.favours_cpu():
        dilation: Any = tuple(rest["lhs_dilation"])
        if isinstance(padding, str):
            sides = [(size - 1) * by + 1 for size, by in zip(inputs.shape[1:3], dilation, strict=True)]
            padding = lax.padtype_to_pads(sides, kernel.shape[:2], strides, padding)
        pads: Any = tuple(map(tuple, padding))
        if dilation == (1, 1) and groups == 1 and _is_tiny(inputs, kernel, strides, pads):
            found = _multiply(inputs, kernel, strides, pads)
        else:
            found = _convolve(inputs, kernel, tuple(strides), pads, dilation, groups)
    else:
        found = lax.conv_general_dilated(inputs, kernel, strides, padding, **rest)
    return checkpoint_name(found, SAVED)


def _outputs(x: Array, kernel: Array, strides: Pair, pads: Pads) -> Pair:
    """-> height and width of what a convolution gives."""
    high, wide = ((x.shape[1 + i] + sum(pads[i]) - kernel.shape[i]) // strides[i] + 1 for i in (0, 1))
    return high, wide


def _is_tiny(x: Array, kernel: Array, strides: Pair, pads: Pads) -> bool:
    return math.prod(_outputs(x, kernel, strides, pads)) <= FEW and math.prod(kernel.shape[2:]) >= MANY


def _multiply(x: Array, kernel: Array, strides: Pair, pads: Pads) -> Array:
    """The convolution as one product: what each output pixel reads, side by side, times the weights.

    Weights that meet nothing but padding are left out: of a 3 x 3 kernel on one pixel, eight of nine.
    """
    outputs = _outputs(x, kernel, strides, pads)
    high, wide = outputs
    padded = jnp.pad(x, ((0, 0), *pads, (0, 0)))
    down, right = strides
    rows, columns = (_reaching(x, kernel, strides, pads, outputs, axis) for axis in (0, 1))
    read = [
        padded[:, i : i + down * (high - 1) + 1 : down, j : j + right * (wide - 1) + 1 : right]
        for i in rows
        for j in columns
    ]
    used = kernel[rows.start : rows.stop, columns.start : columns.stop]
    return jnp.concatenate(read, -1) @ used.reshape(-1, kernel.shape[-1])


def _reaching(x: Array, kernel: Array, strides: Pair, pads: Pads, outputs: Pair, axis: int) -> range:
    """-> the kernel's rows (axis 0) or columns (1) that meet the image for any output."""
    first = pads[axis][0]
    image = range(first, first + x.shape[1 + axis])
    starts = range(0, strides[axis] * outputs[axis], strides[axis])
    met = [k for k in range(kernel.shape[axis]) if any(start + k in image for start in starts)]
    return range(met[0], met[-1] + 1) if met else range(1)  # then the whole output is padding's


def _conv(
    x: Array, kernel: Array, strides: Pair, pads: Pads, into: Pair, out: Pair = (1, 1), groups: int = 1
) -> Array:
    """`into` and `out`: steps between the elements of input and kernel."""
    return lax.conv_general_dilated(x, kernel, strides, pads, into, out, ORDER, groups)


@partial(jax.custom_vjp, nondiff_argnums=(2, 3, 4, 5))
def _convolve(x: Array, kernel: Array, strides: Pair, pads: Pads, dilation: Pair, groups: int) -> Array:
    return _conv(x, kernel, strides, pads, dilation, groups=groups)


def _forward(
    x: Array, kernel: Array, strides: Pair, pads: Pads, dilation: Pair, groups: int
) -> tuple[Array, Any]:
    return _conv(x, kernel, strides, pads, dilation, groups=groups), (x, kernel)


def _backward(
    strides: Pair, pads: Pads, dilation: Pair, groups: int, kept: Any, grad: Array
) -> tuple[Array, Array]:
    """The input's gradient: the kernel turned over the dilated gradient; the kernel's: input over gradient.

    Padding follows from the sizes: along an axis of n dilated inputs and o outputs, a kernel of k whose
    stride is s, and p zeros before, covers (o - 1) s + k - p elements from the first input on.
    """
    x, kernel = kept
    back, over = [], []
    for axis in (0, 1):
        size = (x.shape[1 + axis] - 1) * dilation[axis] + 1
        reach = (grad.shape[1 + axis] - 1) * strides[axis]
        before, length = pads[axis][0], kernel.shape[axis]
        back.append((length - 1 - before, size - 1 - reach + before))
        over.append((before, length + reach - size - before))
    turned = _swap(lax.rev(kernel, (0, 1)), groups, (0, 1, 4, 3, 2))
    to_input = _conv(grad, turned, dilation, tuple(back), strides, groups=groups)
    images, window = _swap(x, groups, (4, 1, 2, 3, 0)), grad.transpose(1, 2, 0, 3)
    to_kernel = _conv(images, window, (1, 1), tuple(over), dilation, strides, groups)
    return to_input, to_kernel.transpose(1, 2, 0, 3)


def _swap(x: Array, groups: int, order: tuple[int, ...]) -> Array:
    """-> x with its last axis parted in groups, the five axes in another order, and the last two as one."""
    parted = x.reshape(*x.shape[:-1], groups, -1).transpose(order)
    return parted.reshape(*parted.shape[:-2], -1)


_convolve.defvjp(_forward, _backward)

Conv = partial(nn.Conv, conv_general_dilated=convolve)


class ConvTranspose(nn.Conv):
    """A convolution of an image plane whose pixels have been moved apart: Linen's, but by `convolve`."""


def conv_transpose(features: int, kernel: Sequence[int], strides: Pair, **settings: Any) -> nn.Module:
    """A plane `strides` times as large as its input's, as `nn.ConvTranspose` gives with padding SAME."""
    pads = []
    for length, stride in zip(kernel, strides, strict=True):
        total = length + stride - 2
        before = length - 1 if stride > length - 1 else -(-total // 2)
        pads.append((before, total - before))
    return ConvTranspose(
        features, kernel, padding=pads, input_dilation=strides, conv_general_dilated=convolve, **settings
    )
