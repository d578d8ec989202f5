"""Residual nets of fully connected layers, Dense - BN - ReLU, and their plain twins."""

from functools import partial

from jaxtyping import Array, Float

from resjax import checks
from resjax.models.blocks import BoundLayers, Layers
from resjax.models.shortcuts import IdentityShortcut
from resjax.models.trunk import MAIN, Part, Trunk
from resjax.models.units import UNITS, Order


class ResidualMLP(Trunk):
    """Flattened input, a first layer, units of two layers of one width, classifier."""

    units: int
    width: int
    order: str
    skip: bool

    def parts(self, layers: BoundLayers) -> list[tuple[str, Part]]:
        found: list[tuple[str, Part]] = [("stem", partial(self._stem, layers))]
        for number in range(1, self.units + 1):
            name = f"block{number}"
            found.append((name, partial(self._unit, layers, number == 1, name)))
        return [*found, (MAIN, partial(self._classify, layers))]

    def chains(self) -> list[tuple[str, ...]]:
        return [tuple(f"block{number}" for number in range(2, self.units + 1))]

    def recomputable(self) -> list[str]:
        return [f"block{number}" for number in range(1, self.units + 1)]

    def _stem(self, layers: BoundLayers, x: Float[Array, "b h w c"]) -> Float[Array, "b d"]:
        x = layers.dense(self.width)(name="stem_dense")(x.reshape(len(x), -1).astype(layers.dtype))
        return UNITS[self.order].after_stem(layers, x)

    def _unit(self, layers: BoundLayers, first: bool, name: str, x: Array) -> Array:
        branch = tuple((f"dense{i}", layers.dense(self.width)) for i in (1, 2))
        shortcut = IdentityShortcut(parent=None) if self.skip else None
        return UNITS[self.order](branch, layers, shortcut, shared=first, name=name)(x)

    def _classify(self, layers: BoundLayers, x: Array) -> Array:
        x = UNITS[self.order].before_classifier(layers, x)
        return layers.classifier(self.classes)(name="classifier")(x)


def residual_mlp(
    classes: int,
    layers: Layers,
    /,
    *,
    depth: int = 20,
    width: int = 64,
    order: Order = "original",
    skip: bool = True,
) -> ResidualMLP:
    """`depth` counts the layers with weights: first, two in each unit, classifier; so it is even.

    Raises:
      ValueError: an odd depth or one below 4, or a width below 1.
    """
    if depth < 4 or depth % 2:
        near = max(4, depth + depth % 2)
        raise ValueError(f"depth is {depth}; it must be even and at least 4, such as {near}")
    checks.at_least(1, width=width)
    return ResidualMLP(classes, layers, (depth - 2) // 2, width, order, skip)
