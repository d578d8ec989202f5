"""Heads that classify: modules from an endpoint's activations to logits."""

import math
from typing import Any

import flax.linen as nn
import jax
from jaxtyping import Array, Float

from resjax.models.blocks import CLASSIFIER_INIT, INITIALIZERS
from resjax.models.convolution import Conv

HE = INITIALIZERS["he_fan_in"]


class PooledLinear(nn.Module):
    """Global average pool where there is an image plane, then a linear classifier."""

    classes: int

    @nn.compact
    def __call__(self, x: Float[Array, "b *hw c"], *, train: bool) -> Float[Array, "b k"]:
        x = x.mean(range(1, x.ndim - 1)) if x.ndim > 2 else x
        return classifier(self.classes, x)


class NormedLinear(nn.Module):
    """A PooledLinear of features that are brought to mean 0 and variance 1, so that one rate suits all."""

    classes: int

    @nn.compact
    def __call__(self, x: Float[Array, "b *hw c"], *, train: bool) -> Float[Array, "b k"]:
        x = x.mean(range(1, x.ndim - 1)) if x.ndim > 2 else x
        norm = nn.BatchNorm(
            not train, momentum=0.9, use_scale=False, use_bias=False, dtype=x.dtype, name="norm"
        )
        return classifier(self.classes, norm(x))


class GoogLeNetHead(nn.Module):
    """5 x 5 average pool of stride 3, 1 x 1 convolution, hidden layer, dropout, classifier.

    Szegedy et al. 2014 (1409.4842), section 5: 128 filters, 1,024 units, 70 % dropout. BatchNorm behind
    the convolution and the hidden layer is the variant of Szegedy et al. 2015 (1512.00567), section 4.
    """

    classes: int
    filters: int
    hidden: int
    dropout: float
    batch_norm: bool

    @nn.compact
    def __call__(self, x: Float[Array, "b h w c"], *, train: bool) -> Float[Array, "b k"]:
        _needs_plane("googlenet", x, 5)
        x = nn.pooling.pool(x, 0.0, jax.lax.add, (5, 5), (3, 3), "VALID") / 25.0
        x = self._layer(Conv(self.filters, (1, 1), **self._settings(x), name="conv")(x), train, "conv_norm")
        x = x.reshape(x.shape[0], -1)
        x = self._layer(nn.Dense(self.hidden, **self._settings(x), name="hidden")(x), train, "hidden_norm")
        x = nn.Dropout(self.dropout, deterministic=not train)(x)
        return classifier(self.classes, x)

    def _settings(self, x: Array) -> dict[str, Any]:
        return {"dtype": x.dtype, "kernel_init": HE, "use_bias": not self.batch_norm}

    def _layer(self, x: Array, train: bool, name: str) -> Array:
        if self.batch_norm:
            x = nn.BatchNorm(not train, momentum=0.9, dtype=x.dtype, name=name)(x)
        return nn.relu(x)


class ConvHead(nn.Module):
    """3 x 3 convolution, hidden layer, classifier: Wang et al. 2015 (1505.02496)."""

    classes: int
    filters: int
    hidden: int

    @nn.compact
    def __call__(self, x: Float[Array, "b h w c"], *, train: bool) -> Float[Array, "b k"]:
        _needs_plane("conv", x, 1)
        x = nn.relu(Conv(self.filters, (3, 3), dtype=x.dtype, kernel_init=HE, name="conv")(x))
        x = nn.Dense(self.hidden, dtype=x.dtype, kernel_init=HE, name="hidden")(x.reshape(x.shape[0], -1))
        return classifier(self.classes, nn.relu(x))


class ConvHidden(nn.Module):
    """k - 1 convolutions, averages over a 2 x 2 grid, classifier: the problems of a greedy phase.

    Belilovsky et al. 2019 (1812.11446), section 3: with k = 1 the part that is trained and a linear
    classifier make a net of one hidden layer. For vectors the hidden layers are dense, without a grid.
    """

    classes: int
    k: int
    features: int
    batch_norm: bool

    @nn.compact
    def __call__(self, x: Float[Array, "b *hw c"], *, train: bool) -> Float[Array, "b k"]:
        for number in range(1, self.k):
            settings = {"use_bias": not self.batch_norm, "kernel_init": HE, "dtype": x.dtype}
            layer = Conv(self.features, (3, 3), **settings, name=f"conv{number}") if x.ndim == 4 else (
                nn.Dense(self.features, **settings, name=f"dense{number}")
            )  # fmt: skip
            x = layer(x)
            if self.batch_norm:
                x = nn.BatchNorm(not train, momentum=0.9, dtype=x.dtype, name=f"norm{number}")(x)
            x = nn.relu(x)
        return classifier(self.classes, grid_means(x).reshape(x.shape[0], -1))


def grid_means(x: Float[Array, "b *hw c"], cells: int = 2) -> Float[Array, "b *ij c"]:
    """Averages over `cells` x `cells` parts of the image plane, which overlap where they must."""
    if x.ndim != 4:
        return x
    window = tuple(-(-size // cells) for size in x.shape[1:3])
    strides = tuple(max(1, size // cells) for size in x.shape[1:3])
    return nn.pooling.pool(x, 0.0, jax.lax.add, window, strides, "VALID") / float(math.prod(window))


def classifier(classes: int, x: Array) -> Array:
    return nn.Dense(classes, dtype=x.dtype, kernel_init=CLASSIFIER_INIT, name="classifier")(x)


def _needs_plane(form: str, x: Array, least: int) -> None:
    if x.ndim != 4 or min(x.shape[1:3]) < least:
        raise ValueError(
            f"form is '{form}', which reads an image plane of {least} x {least} at least; this endpoint's"
            f" output is {'x'.join(map(str, x.shape[1:]))}"
        )
