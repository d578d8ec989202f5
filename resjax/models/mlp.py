"""Residual nets of fully connected layers, Dense - BN - ReLU, and their plain twins."""

from functools import partial

import flax.linen as nn
from jaxtyping import Array, Float

from resjax import checks
from resjax.models.blocks import BoundLayers, Layer, Layers, looks_linear
from resjax.models.shortcuts import IdentityShortcut, LearnedScale, Mixing
from resjax.models.trunk import MAIN, Part, Trunk
from resjax.models.units import UNITS, Order


class ResidualMLP(Trunk):
    """Flattened input, a first layer, units of two layers of one width, classifier.

    Attributes:
      mixing: how shortcut and branch are put together.
      mirrored: the initial values are those of `looks_linear`.
      bias_std: standard deviation of initial biases, but for the classifier's.
    """

    units: int
    width: int
    order: str
    skip: bool
    mixing: Mixing = Mixing()
    mirrored: bool = False
    bias_std: float = 0.0

    def parts(self, layers: BoundLayers) -> list[tuple[str, Part]]:
        found: list[tuple[str, Part]] = [("stem", partial(self._stem, layers))]
        for number in range(1, self.units + 1):
            name = f"block{number}"
            survival = self.mixing.survival_of(number, self.units)
            found.append((name, partial(self._unit, layers, number == 1, survival, name)))
        return [*found, (MAIN, partial(self._classify, layers))]

    def chains(self) -> list[tuple[str, ...]]:
        """The units behind the first one; random ones differ in what they draw."""
        if self.mixing.random:
            return []
        return [tuple(f"block{number}" for number in range(2, self.units + 1))]

    def recomputable(self) -> list[str]:
        return [f"block{number}" for number in range(1, self.units + 1)]

    def _stem(self, layers: BoundLayers, x: Float[Array, "b h w c"]) -> Float[Array, "b d"]:
        dense = self._dense(layers, read=False)
        x = dense(name="stem_dense")(x.reshape(x.shape[0], -1).astype(layers.dtype))
        return UNITS[self.order].after_stem(layers, x)

    def _unit(self, layers: BoundLayers, first: bool, survival: float, name: str, x: Array) -> Array:
        branch = tuple((f"dense{i}", self._dense(layers)) for i in (1, 2))
        shortcut = IdentityShortcut(parent=None) if self.skip else None
        mix = self.mixing.bind(layers, 1) if self.skip else None
        return UNITS[self.order](branch, layers, shortcut, first, mix, survival, name=name)(x)

    def _classify(self, layers: BoundLayers, x: Array) -> Array:
        x = UNITS[self.order].before_classifier(layers, x)
        return self._mirror(layers.classifier(self.classes), written=False)(name="classifier")(x)

    def _dense(self, layers: BoundLayers, *, read: bool = True) -> Layer:
        layer = layers.dense(self.width)
        if self.bias_std:
            layer = partial(layer, bias_init=nn.initializers.normal(self.bias_std))
        return self._mirror(layer, read=read)

    def _mirror(self, layer: Layer, *, read: bool = True, written: bool = True) -> Layer:
        if not self.mirrored:
            return layer
        return partial(layer, kernel_init=partial(looks_linear, read=read, written=written))


def residual_mlp(
    classes: int,
    layers: Layers,
    /,
    *,
    depth: int = 20,
    width: int = 64,
    order: Order = "original",
    skip: bool = True,
    branch_scale: float = 1.0,
    learned_scale: LearnedScale = "none",
    survival: float = 1.0,
    looks_linear: bool = False,
    bias_std: float = 0.0,
) -> ResidualMLP:
    """`depth` counts the layers with weights: first, two in each unit, classifier; so it is even.

    Args:
      branch_scale: that of `Mixing`; Balduzzi et al. 2017 (1702.08591), section 3, call it beta.
      learned_scale, survival: as in `cifar_resnet`.
      looks_linear: mirrored orthogonal weights in place of `init`, by which a plain net is linear before
        training, and with batch norm affine. Balduzzi et al. 2017, section 4.

      bias_std: standard deviation of the initial biases of a net without norms, the classifier's not counted;
        where they are 0, its output is proportional to an input's size. Balduzzi et al. 2017 draw them.

    Raises:
      ValueError: an odd depth or one below 4, a width below 1, a scale of branches that a net without
        shortcuts cannot have, mirrored weights where the width is odd or there are shortcuts, or biases that
        are drawn where weights are mirrored, or where norms stand in their place.
    """
    if depth < 4 or depth % 2:
        near = max(4, depth + depth % 2)
        raise ValueError(f"depth is {depth}; it must be even and at least 4, such as {near}")
    checks.at_least(1, width=width)
    if looks_linear and skip:
        raise ValueError(
            "looks_linear is True, but skip is True; only a plain net is linear: set skip to False"
        )
    if looks_linear and width % 2:
        raise ValueError(f"width is {width}; it must be even where looks_linear is True, for pairs of units")
    checks.at_least(0, bias_std=bias_std)
    if bias_std and (looks_linear or layers.norm != "none"):
        raise ValueError(
            f"bias_std is {bias_std}; it must be 0 where looks_linear is True or there are norms"
        )
    mixing = Mixing(branch_scale=branch_scale, learned_scale=learned_scale, survival=survival).checked(skip)
    return ResidualMLP(classes, layers, (depth - 2) // 2, width, order, skip, mixing, looks_linear, bias_std)
