"""Residual nets that train without norms from rescaled initial values: Fixup, Zhang et al. 2019 (1901.09321).

Of L units with m layers in each branch (section 3 of the paper): the last layer of a branch and the
classifier begin at 0, the other layers of branches at L^(-1 / (2m - 2)) times their ordinary values; each
branch is multiplied by a number that is learned, and a number that is learned is added before every layer
and every ReLU. So each unit begins as the identity, and at the first step the function changes as much
whatever the depth.
"""

from collections.abc import Callable
from functools import partial
from typing import Any, ClassVar

import flax.linen as nn
import jax.numpy as jnp
from jaxtyping import Array, Float

from resjax import checks
from resjax.models.blocks import INITIALIZERS, BoundLayers, Layer, Layers
from resjax.models.resnet import ResNet
from resjax.models.shortcuts import Mixing
from resjax.models.units import Unit

ZEROS = nn.initializers.zeros_init()


class Shift(nn.Module):
    """x plus one number, which is learned and begins at 0."""

    layers: BoundLayers

    @nn.compact
    def __call__(self, x: Float[Array, "..."]) -> Float[Array, "..."]:
        return x + self.param("bias", ZEROS, (), jnp.dtype(self.layers.param_dtype)).astype(x.dtype)


class FixupUnit(Unit):
    """Layers with a shift before each, and one with a ReLU behind; the last has a scale and a shift.

    In a unit that changes the shape the shortcut reads the shifted input too, as in the authors' code.
    """

    normed: ClassVar[bool] = False

    def begin(self, x: Array) -> Array:
        return self._shift("before1", x)

    def between(self, number: int, y: Array) -> Array:
        return self._shift(f"before{number + 1}", nn.relu(self._shift(f"behind{number}", y)))

    def term(self, y: Array) -> Array:
        ones = nn.initializers.ones_init()
        scale = self.param("scale", ones, (), jnp.dtype(self.layers.param_dtype)).astype(y.dtype)
        return self._shift(f"behind{len(self.branch)}", scale * y)

    def end(self, y: Array) -> Array:
        return nn.relu(y)

    def _shift(self, name: str, x: Array) -> Array:
        return Shift(self.layers, name=name)(x)


class FixupResNet(ResNet):
    """The nets of `cifar_resnet` in the original order with Fixup in place of norms."""

    @property
    def unit(self) -> Callable[..., Unit]:
        return FixupUnit

    def _shares(self, stride: int, number: int) -> bool:
        return stride > 1

    def _stem(self, layers: BoundLayers, x: Float[Array, "b h w c"]) -> Float[Array, "b i j d"]:
        conv = layers.conv(self.stem_features, 3)
        x = conv(use_bias=False, name="stem_conv")(x.astype(layers.dtype))
        return nn.relu(Shift(layers, name="stem_shift")(x))

    def _branch(
        self, features: int, stride: int, layers: BoundLayers
    ) -> tuple[tuple[tuple[str, Layer], ...], int]:
        branch, out = super()._branch(features, stride, layers)
        share = sum(self.stage_sizes) ** (-1 / (2 * len(branch) - 2))
        inits = [partial(_scaled, share, layers)] * (len(branch) - 1) + [ZEROS]
        paired = zip(branch, inits, strict=True)
        return tuple(
            (name, partial(layer, use_bias=False, kernel_init=init)) for (name, layer), init in paired
        ), out

    def _classify(self, layers: BoundLayers, x: Float[Array, "b h w c"]) -> Float[Array, "b k"]:
        x = Shift(layers, name="classifier_shift")(x.mean((1, 2)))
        return layers.classifier(self.classes)(kernel_init=ZEROS, name="classifier")(x)


def _scaled(share: float, layers: BoundLayers, key: Array, shape: Any, dtype: Any) -> Array:
    return share * INITIALIZERS[layers.init](key, shape, dtype)


def fixup_resnet(
    classes: int,
    layers: Layers,
    /,
    *,
    depth: int = 20,
    width: int = 16,
    survival: float = 1.0,
) -> FixupResNet:
    """Three stages at widths w, 2w, 4w, of depth 6n + 2, without norms: `norm` must be `none`.

    There is no plain twin: branches begin at 0, and without shortcuts nothing would go through.

    Args:
      survival: as in `cifar_resnet`.

    Raises:
      ValueError: a norm, a depth that is not of the form, or a width below 1.
    """
    if layers.norm != "none":
        raise ValueError(f"norm is {layers.norm!r}; this net has none: 'none'")
    n = checks.of_form(depth, 6, 2)
    checks.at_least(1, width=width)
    return FixupResNet(
        classes, layers, (n, n, n), (width, 2 * width, 4 * width), "basic", "1x1", "original", "A", True,
        "cifar", Mixing(survival=survival),
    )  # fmt: skip
