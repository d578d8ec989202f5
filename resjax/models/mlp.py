"""Residual nets of fully connected layers, Dense - BN - ReLU, and their plain twins."""

from collections.abc import Collection

import flax.linen as nn
from jaxtyping import Array, Float

from resjax import checks
from resjax.models.blocks import (
    BoundLayers,
    IdentityShortcut,
    Layers,
    Order,
    OriginalUnit,
    PreactivationUnit,
)
from resjax.models.endpoints import Endpoints


class ResidualMLP(nn.Module):
    """Flattened input, a first layer, units of two layers of one width, classifier."""

    classes: int
    units: int
    width: int
    order: str
    skip: bool
    layers: Layers

    @nn.compact
    def __call__(
        self, x: Float[Array, "b h w c"], *, train: bool, cut: Collection[str] = ()
    ) -> tuple[Float[Array, "b k"], dict[str, Array]]:
        """-> logits, and the outputs of the first layer and of every unit by name."""
        layers = self.layers.bind(train)
        x = x.reshape(len(x), -1).astype(layers.dtype)
        x = layers.dense(self.width)(name="stem_dense")(x)
        if self.order == "original":
            x = nn.relu(layers.normalize("stem_norm")(x))
        endpoints = Endpoints(cut)
        x = endpoints.mark("stem", x)
        for number in range(1, self.units + 1):
            name = f"block{number}"
            x = endpoints.mark(name, self._unit(x, layers, number == 1, name))
        if self.order == "preactivation":
            x = nn.relu(layers.normalize("final_norm")(x))
        return layers.classifier(self.classes)(name="classifier")(x), dict(endpoints)

    def _unit(self, x: Array, layers: BoundLayers, first: bool, name: str) -> Array:
        branch = tuple((f"dense{i}", layers.dense(self.width)) for i in (1, 2))
        shortcut = IdentityShortcut(parent=None) if self.skip else None
        if self.order == "original":
            return OriginalUnit(branch, layers, shortcut, name=name)(x)
        return PreactivationUnit(branch, layers, shortcut, shared=first, name=name)(x)


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
    return ResidualMLP(classes, (depth - 2) // 2, width, order, skip, layers)
