"""Heads that regress: modules from an endpoint's activations to a target of any shape."""

import math

import flax.linen as nn
from jaxtyping import Array, Float

from resjax.models.blocks import INITIALIZERS
from resjax.models.classifiers import classifier
from resjax.models.convolution import Conv, conv_transpose

LINEAR = INITIALIZERS["lecun"]  # of layers without a ReLU behind
Shape = tuple[int, ...]  # of one example's target


class FlattenedLinear(nn.Module):
    """A linear map of all activations to a target of any shape.

    To classes, it is the companion of Lee et al. 2014 (1409.5185), released code; to activations, the
    decoder of a fully connected autoencoder.
    """

    target: Shape

    @nn.compact
    def __call__(self, x: Float[Array, "b *hw c"], *, train: bool) -> Float[Array, "b *target"]:
        x = classifier(math.prod(self.target), x.reshape(x.shape[0], -1))
        return x.reshape(x.shape[0], *self.target)


class ConvDecoder(nn.Module):
    """A transposed convolution to an image plane as large as its own, or larger by a whole factor.

    Its kernel is 3 x 3, and 2 s - 1 where the stride s is above 2, so that it leaves no gaps.
    """

    target: Shape

    @nn.compact
    def __call__(self, x: Float[Array, "b h w c"], *, train: bool) -> Float[Array, "b *target"]:
        strides = _factors(x.shape[1:], self.target)
        kernel = tuple(max(3, 2 * stride - 1) for stride in strides)
        layer = conv_transpose(
            self.target[-1], kernel, strides, dtype=x.dtype, kernel_init=LINEAR, name="decoder"
        )
        height, width, _ = self.target
        return layer(x)[:, :height, :width]


class ConvRegressor(nn.Module):
    """One convolution without padding, whose kernel is as large as the planes' difference asks for.

    FitNets' map from a student's layer to a teacher's smaller one: Romero et al. 2015 (1412.6550), sec. 2.2.
    """

    target: Shape

    @nn.compact
    def __call__(self, x: Float[Array, "b h w c"], *, train: bool) -> Float[Array, "b *target"]:
        if x.ndim != 4 or len(self.target) != 3 or x.shape[1] < self.target[0] or x.shape[2] < self.target[1]:
            raise ValueError(
                f"form is 'conv_regressor', which maps an image plane to one of its size or smaller, not"
                f" {text(x.shape[1:])} to {text(self.target)}"
            )
        kernel = (x.shape[1] - self.target[0] + 1, x.shape[2] - self.target[1] + 1)
        layer = Conv(
            self.target[-1], kernel, padding="VALID", dtype=x.dtype, kernel_init=LINEAR, name="regressor"
        )
        return layer(x)


class Identity(nn.Module):
    """What it reads, unchanged; the target must have its shape."""

    target: Shape

    @nn.compact
    def __call__(self, x: Float[Array, "b *hw c"], *, train: bool) -> Float[Array, "b *target"]:
        if x.shape[1:] != self.target:
            raise ValueError(
                f"form is 'identity', but the endpoint is {text(x.shape[1:])} and the target"
                f" {text(self.target)}"
            )
        return x


def _factors(source: Shape, target: Shape) -> tuple[int, int]:
    """-> by what height and width grow. A plane of 7 comes from 14 as well as from 13."""
    if len(source) == len(target) == 3:
        up = tuple(-(-target[i] // source[i]) for i in (0, 1))
        if all(-(-target[i] // up[i]) == source[i] for i in (0, 1)):
            return up[0], up[1]
    raise ValueError(
        f"form is 'conv_decoder', which maps an image plane to one of its size or a multiple, not"
        f" {text(source)} to {text(target)}"
    )


def text(shape: Shape) -> str:
    return "x".join(map(str, shape))
