"""GoogLeNet: Szegedy et al. 2014 (1409.4842), table 1; with BatchNorm as an option, and for 32 pixels."""

from functools import partial
from typing import Any, Literal

import flax.linen as nn
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from resjax import checks
from resjax.models.blocks import BoundLayers, Layers
from resjax.models.trunk import MAIN, Part, Trunk

# (1x1, 3x3 reduce, 3x3, 5x5 reduce, 5x5, pool projection): the columns of table 1.
WIDTHS = {
    "3a": (64, 96, 128, 16, 32, 32),
    "3b": (128, 128, 192, 32, 96, 64),
    "4a": (192, 96, 208, 16, 48, 64),
    "4b": (160, 112, 224, 24, 64, 64),
    "4c": (128, 128, 256, 24, 64, 64),
    "4d": (112, 144, 288, 32, 64, 64),
    "4e": (256, 160, 320, 32, 128, 128),
    "5a": (256, 160, 320, 32, 128, 128),
    "5b": (384, 192, 384, 48, 128, 128),
}
POOL_BEFORE = ("3a", "4a", "5a")


class Inception(nn.Module):
    """Four branches side by side, concatenated: 1x1; 1x1 - 3x3; 1x1 - 5x5; 3x3 max-pool - 1x1."""

    widths: tuple[int, int, int, int, int, int]
    kernel5: int
    layers: BoundLayers

    @nn.compact
    def __call__(self, x: Float[Array, "b h w c"]) -> Float[Array, "b h w d"]:
        one, reduce3, three, reduce5, five, projection = self.widths
        pooled = nn.max_pool(x, (3, 3), (1, 1), "SAME")
        branches = (
            self._conv(x, one, 1, "conv1x1"),
            self._conv(self._conv(x, reduce3, 1, "reduce3x3"), three, 3, "conv3x3"),
            self._conv(self._conv(x, reduce5, 1, "reduce5x5"), five, self.kernel5, "conv5x5"),
            self._conv(pooled, projection, 1, "projection"),
        )
        return jnp.concatenate(branches, -1)

    def _conv(self, x: Array, features: int, kernel: int, name: str) -> Array:
        return _conv_relu(x, self.layers, features, kernel, name)


class GoogLeNet(Trunk):
    """Stem, nine inception modules, average pool, dropout, classifier.

    Attributes:
      stem: `imagenet`, the paper's, 224 -> 28 pixels; `cifar`, one 3 x 3 convolution and a pool, 32 -> 16.
      local_norm: local response normalisation in the paper's stem.
      kernel5: of the "5 x 5" branch.
      last_pool: window of the max-pool before inception5a.
    """

    stem: str
    dropout: float
    local_norm: bool
    kernel5: int
    last_pool: int

    def parts(self, layers: BoundLayers) -> list[tuple[str, Part]]:
        found: list[tuple[str, Part]] = [("stem", partial(self._stem, layers))]
        found += [(f"inception{name}", partial(self._module, layers, name)) for name in WIDTHS]
        return [*found, (MAIN, partial(self._classify, layers))]

    def recomputable(self) -> list[str]:
        return [f"inception{name}" for name in WIDTHS]

    def _module(self, layers: BoundLayers, name: str, x: Array) -> Array:
        if name in POOL_BEFORE:
            x = _halve(x, self.last_pool if name == POOL_BEFORE[-1] else 3)
        return Inception(WIDTHS[name], self.kernel5, layers, name=f"inception{name}")(x)

    def _classify(self, layers: BoundLayers, x: Float[Array, "b h w c"]) -> Float[Array, "b k"]:
        x = nn.Dropout(self.dropout, deterministic=not layers.train)(x.mean((1, 2)))
        return layers.classifier(self.classes)(name="classifier")(x)

    def _stem(self, layers: BoundLayers, x: Float[Array, "b h w c"]) -> Float[Array, "b i j d"]:
        x = x.astype(layers.dtype)
        if self.stem == "cifar":
            return _conv_relu(x, layers, 192, 3, "stem_conv")
        x = _halve(_conv_relu(x, layers, 64, 7, "stem_conv1", stride=2))
        x = local_response(x) if self.local_norm else x
        x = _conv_relu(_conv_relu(x, layers, 64, 1, "stem_reduce"), layers, 192, 3, "stem_conv2")
        return local_response(x) if self.local_norm else x


def _conv_relu(
    x: Array, layers: BoundLayers, features: int, kernel: int, name: str, stride: int = 1
) -> Array:
    x = layers.conv(features, kernel, stride)(name=name)(x)
    return layers.activate(f"{name}_norm", x)


def _halve(x: Array, window: int = 3) -> Array:
    """Max-pool of stride 2; windows may hang over the right and lower border, as in Caffe."""
    padding: Any = ((0, 1), (0, 1))  # Flax types it as a str, but takes both
    return nn.max_pool(x, (window, window), (2, 2), padding)


def local_response(x: Float[Array, "b h w c"], size: int = 5) -> Float[Array, "b h w c"]:
    """x / (1 + 1e-4 / n * sum of squares over n = 5 channels)**0.75: Krizhevsky et al. 2012, in Caffe."""
    squares = jnp.square(x.astype(jnp.float32))
    half = size // 2
    summed = jax.lax.reduce_window(
        squares, 0.0, jax.lax.add, (1, 1, 1, size), (1, 1, 1, 1), ((0, 0),) * 3 + ((half, half),)
    )
    return (x * (1 + 1e-4 / size * summed) ** -0.75).astype(x.dtype)


def googlenet(
    classes: int,
    layers: Layers,
    /,
    *,
    stem: Literal["imagenet", "cifar"] = "imagenet",
    dropout: float = 0.4,
    local_norm: bool = True,
    five_as_three: bool = False,
    last_pool: Literal["3x3", "2x2"] = "3x3",
) -> GoogLeNet:
    """The paper's net where `norm` is `none`; with `norm` = `batch`, every convolution has one.

    Args:
      five_as_three: the 5 x 5 branches are 3 x 3, as in torchvision's port.
      last_pool: window of the max-pool before inception5a; torchvision's port has 2 x 2.

    Raises:
      ValueError: a dropout that is not from 0 to below 1.
    """
    checks.share(dropout=dropout)
    kernel5, window = 3 if five_as_three else 5, int(last_pool[0])
    return GoogLeNet(classes, layers, stem, dropout, local_norm, kernel5, window)
