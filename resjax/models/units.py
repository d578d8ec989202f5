"""The residual unit in five orders, and with stochastic depth; without a shortcut it is the plain twin's.

A unit's branch is a list of layers; the orders differ in where norm and ReLU stand around each layer:

    original              layer - norm - relu - layer - norm - (+) - relu
    norm_after_addition   layer - norm - relu - layer - (+) - norm - relu
    relu_before_addition  layer - norm - relu - layer - norm - relu - (+)
    relu_preactivation    relu - layer - norm - relu - layer - norm - (+)
    preactivation         norm - relu - layer - norm - relu - layer - (+)

He et al. 2015 (1512.03385), figure 2, for the first; He et al. 2016 (1603.05027), figure 4 and table 2, for
all. Bottlenecks have one layer, norm and ReLU more in the middle.
"""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, ClassVar, Literal

import flax.linen as nn
from jaxtyping import Array, Float

from resjax.models.blocks import BoundLayers, Layer
from resjax.models.shortcuts import Mix
from resjax.models.survival import survive

Order = Literal[
    "original", "norm_after_addition", "relu_before_addition", "relu_preactivation", "preactivation"
]


class Unit(nn.Module):
    """end(shortcut(x) + branch(x)), and without a shortcut end(branch(x)); an order is a subclass.

    Attributes:
      branch: (name, layer) pairs; the layers' names end in their number.
      shortcut: a module, or None for the plain twin.
      shared: what comes before the first layer serves the shortcut too. So it is in the first unit of a
        net, whose input is the stem's, and wherever the shape changes (1603.05027, appendix, and its
        authors' code).
      mix: what is done to shortcut and branch before they are added.
      survival: probability that the branch is there in training; below 1 there must be a shortcut.
      excitation: a module from what the branch adds to the same with its channels scaled.
    """

    branch: tuple[tuple[str, Layer], ...]
    layers: BoundLayers
    shortcut: nn.Module | None
    shared: bool = False
    mix: Mix | None = None
    survival: float = 1.0
    excitation: nn.Module | None = None

    norms_before: ClassVar[int] = 0  # how many norms stand before the first layer
    normed: ClassVar[bool] = True  # a norm stands between the last layer and the addition

    @nn.compact
    def __call__(self, x: Float[Array, "..."]) -> Float[Array, "..."]:
        x = self.begin(x) if self.shared else x
        if self.survival == 1:
            return self.close(self.run(x), *self.along(x))
        shortcut, factor = self.along(x)
        return self.end(add(survive(self, self.survival, _branch, x, shortcut), shortcut, factor))

    def begin(self, x: Array) -> Array:
        """-> what the first layer reads."""
        return x

    def run(self, x: Array) -> Array:
        """-> what the last layer gives."""
        y = x if self.shared else self.begin(x)
        for number, (name, layer) in enumerate(self.branch):
            y = layer(name=name)(self.between(number, y) if number else y)
        return y

    def between(self, number: int, y: Array) -> Array:
        """-> what the layer behind layer `number`, from 1, reads, from what that one gives."""
        return self.layers.activate(f"norm{number + self.norms_before}", y)

    def term(self, y: Array) -> Array:
        """-> the branch's end, from what its last layer gives."""
        return y

    def added(self, y: Array) -> Array:
        """-> what is added, from what the last layer gives."""
        y = self.term(y)
        return y if self.excitation is None else self.excitation(y)

    def end(self, y: Array) -> Array:
        """-> the unit's output, from the sum."""
        return y

    def close(self, y: Array, shortcut: Array | None, factor: Array | float | None) -> Array:
        return self.end(add(self.added(y), shortcut, factor))

    def along(self, x: Array) -> tuple[Any, Any]:
        """-> what is added to the branch, and what the branch is multiplied by; None: nothing."""
        if self.shortcut is None:
            return None, None
        shortcut = self.shortcut(x)
        return (shortcut, None) if self.mix is None else self.mix(x, shortcut)

    @property
    def last_norm(self) -> str:
        return f"norm{len(self.branch)}"

    @staticmethod
    def after_stem(layers: BoundLayers, x: Array) -> Array:
        """-> what the first unit reads, from what the net's first layer gives."""
        return layers.activate("stem_norm", x)

    @staticmethod
    def before_classifier(layers: BoundLayers, x: Array) -> Array:
        """-> what is pooled and classified, from what the last unit gives."""
        return x


class OriginalUnit(Unit):
    def term(self, y: Array) -> Array:
        return self.layers.normalize(self.last_norm)(y)

    def end(self, y: Array) -> Array:
        return nn.relu(y)

    def close(self, y: Array, shortcut: Array | None, factor: Array | float | None) -> Array:
        if factor is not None or self.excitation is not None:
            return super().close(y, shortcut, factor)
        return self.layers.activate(self.last_norm, y, shortcut)


class NormAfterAdditionUnit(Unit):
    normed: ClassVar[bool] = False

    def end(self, y: Array) -> Array:
        return self.layers.activate(self.last_norm, y)


class ReLUBeforeAdditionUnit(Unit):
    def term(self, y: Array) -> Array:
        return self.layers.activate(self.last_norm, y)


class ReLUPreactivationUnit(Unit):
    """The stem's ReLU, which the first unit shares, is the stem's own here: a second one changes nothing."""

    def begin(self, x: Array) -> Array:
        return nn.relu(x)

    def term(self, y: Array) -> Array:
        return self.layers.normalize(self.last_norm)(y)

    @staticmethod
    def before_classifier(layers: BoundLayers, x: Array) -> Array:
        return nn.relu(x)


class PreactivationUnit(Unit):
    norms_before: ClassVar[int] = 1
    normed: ClassVar[bool] = False

    def begin(self, x: Array) -> Array:
        return self.layers.activate("norm1", x)

    @staticmethod
    def after_stem(layers: BoundLayers, x: Array) -> Array:
        return x

    @staticmethod
    def before_classifier(layers: BoundLayers, x: Array) -> Array:
        return layers.activate("final_norm", x)


UNITS: Mapping[str, type[Unit]] = MappingProxyType(
    {
        "original": OriginalUnit,
        "norm_after_addition": NormAfterAdditionUnit,
        "relu_before_addition": ReLUBeforeAdditionUnit,
        "relu_preactivation": ReLUPreactivationUnit,
        "preactivation": PreactivationUnit,
    }
)


def add(y: Array, shortcut: Array | None, factor: Array | float | None) -> Array:
    """-> y, times the factor, plus the shortcut; None leaves either out."""
    y = y if factor is None else factor * y
    return y if shortcut is None else y + shortcut


def _branch(unit: Unit, x: Array, like: Array) -> Array:
    return unit.added(unit.run(x))
