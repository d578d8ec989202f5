"""Highway networks: Srivastava et al. 2015 (1505.00387; 1507.06228, section 2.1), convolutional.

A unit is g H(x) + (1 - g) x, where H is a convolution and a ReLU, and the gate g the sigmoid of a convolution
of its own. So it is the exclusive gate of `shortcuts`, on a unit of one layer.
"""

from functools import partial

import flax.linen as nn
from jaxtyping import Array, Float

from resjax import checks
from resjax.models.blocks import BoundLayers, Layers
from resjax.models.shortcuts import ExclusiveGate, IdentityShortcut
from resjax.models.trunk import MAIN, Part, Trunk
from resjax.models.units import ReLUBeforeAdditionUnit

KERNEL = 3


class Highway(Trunk):
    """A convolution, stages of highway units of one width, a 2 x 2 max-pool behind each, classifier.

    Attributes:
      stages: units in each stage.
      gate_bias: of all gates, before training.
      skip: False builds the plain twin, without shortcuts and so without gates: H alone.
    """

    stages: tuple[int, ...]
    width: int
    gate_bias: float
    skip: bool

    def parts(self, layers: BoundLayers) -> list[tuple[str, Part]]:
        found: list[tuple[str, Part]] = [("stem", partial(self._stem, layers))]
        for stage, names in enumerate(self.chains(), 1):
            found += [(name, partial(self._unit, layers, name)) for name in names]
            found.append((f"pool{stage}", _halve))
        return [*found, (MAIN, partial(self._classify, layers))]

    def chains(self) -> list[tuple[str, ...]]:
        numbered = enumerate(self.stages, 1)
        return [tuple(f"stage{stage}_block{n}" for n in range(1, size + 1)) for stage, size in numbered]

    def recomputable(self) -> list[str]:
        return [name for chain in self.chains() for name in chain]

    def _stem(self, layers: BoundLayers, x: Float[Array, "b h w c"]) -> Float[Array, "b h w d"]:
        x = layers.conv(self.width, KERNEL)(name="stem_conv")(x.astype(layers.dtype))
        return layers.activate("stem_norm", x)

    def _unit(self, layers: BoundLayers, name: str, x: Array) -> Array:
        branch = (("conv1", layers.conv(self.width, KERNEL)),)
        shortcut = IdentityShortcut(parent=None) if self.skip else None
        gate = ExclusiveGate(layers, 1, self.gate_bias, KERNEL, parent=None) if self.skip else None
        return ReLUBeforeAdditionUnit(branch, layers, shortcut, mix=gate, name=name)(x)

    def _classify(self, layers: BoundLayers, x: Float[Array, "b h w c"]) -> Float[Array, "b k"]:
        return layers.classifier(self.classes)(name="classifier")(x.reshape(x.shape[0], -1))


def _halve(x: Float[Array, "b h w c"]) -> Float[Array, "b i j c"]:
    """-> the maximum of each 2 x 2 pixels; an odd last row or column is left out.

    Not as in `resnet9`: by the equality of elements with their maximum, which XLA:CPU computes twice where
    elementwise operations come before, and not always to the same bits, the gradient can be NaN.
    """
    return nn.max_pool(x, (2, 2), (2, 2))


def highway(
    classes: int,
    layers: Layers,
    /,
    *,
    stages: tuple[int, ...] = (3, 3, 2),
    width: int = 16,
    gate_bias: float = -2.0,
    skip: bool = True,
) -> Highway:
    """Ten layers with weights, gates not counted, are the paper's nets for MNIST; it has no norms.

    Args:
      stages: units in each stage, whose image plane a 2 x 2 max-pool halves at its end.
      gate_bias: of all gates, before training; below 0, so that units begin near the identity. The paper
        takes -1 to -10, deeper nets lower ones.

    Raises:
      ValueError: a number below 1, no stage, or a bias that is not finite.
    """
    if not stages or min(stages) < 1:
        raise ValueError(f"stages is {stages}; it must be of one stage at least, each of 1 unit or more")
    checks.at_least(1, width=width)
    checks.finite(gate_bias=gate_bias)
    return Highway(classes, layers, stages, width, gate_bias, skip)
