"""The trunks of Deeply-Supervised Nets: Lee et al. 2014 (1409.5185), as their released code has them."""

from functools import partial
from typing import Literal

import flax.linen as nn
from jaxtyping import Array, Float

from resjax import checks
from resjax.models.blocks import BoundLayers, Layers
from resjax.models.trunk import MAIN, Part, Trunk

# Of each of three groups: kernel of the first convolution, widths of it and of the two 1 x 1 behind it.
# The last width is that of the classes. `cifar` is the released prototxt; no description of the MNIST net
# was found but its size, about 350K parameters, which these widths meet.
GROUPS = {
    "cifar": ((5, 192, 160, 96), (5, 192, 192, 192), (3, 192, 192, 0)),
    "mnist": ((5, 104, 88, 64), (5, 112, 112, 112), (3, 112, 112, 0)),
}


class DSN(Trunk):
    """Three groups of convolution and two 1 x 1 layers; max-pool and dropout between, average pool behind.

    Endpoints are the raw outputs of each group's first convolution, before the ReLU: there the companions
    of the released code attach.
    """

    groups: tuple[tuple[int, int, int, int], ...]
    dropout: float

    def parts(self, layers: BoundLayers) -> list[tuple[str, Part]]:
        found: list[tuple[str, Part]] = []
        for number, (kernel, width, *_) in enumerate(self.groups, 1):
            found.append((f"conv{number}", partial(self._enter, layers, number, kernel, width)))
        return [*found, (MAIN, partial(self._classify, layers))]

    def _enter(self, layers: BoundLayers, number: int, kernel: int, width: int, x: Array) -> Array:
        """The first convolution of a group, and before it the rest of the group below."""
        if number == 1:
            x = x.astype(layers.dtype)
        else:
            x = nn.max_pool(nn.relu(self._mix(layers, number - 1, x)), (3, 3), (2, 2), "SAME")
            x = nn.Dropout(self.dropout, deterministic=not layers.train)(x)
        return layers.conv(width, kernel)(name=f"conv{number}")(x)

    def _mix(self, layers: BoundLayers, number: int, x: Array) -> Array:
        """The two 1 x 1 convolutions of a group."""
        _, _, second, third = self.groups[number - 1]
        x = nn.relu(layers.conv(second, 1)(name=f"conv{number}_mix1")(nn.relu(x)))
        return layers.conv(third or self.classes, 1)(name=f"conv{number}_mix2")(x)

    def _classify(self, layers: BoundLayers, x: Float[Array, "b h w c"]) -> Float[Array, "b k"]:
        return self._mix(layers, len(self.groups), x).mean((1, 2))


def dsn(
    classes: int, layers: Layers, /, *, trunk: Literal["cifar", "mnist"] = "cifar", dropout: float = 0.5
) -> DSN:
    """Without norms: `norm` must be `none`.

    Raises:
      ValueError: a norm, or a dropout that is not from 0 to below 1.
    """
    if layers.norm != "none":
        raise ValueError(f"norm is {layers.norm!r}; this net has none: 'none'")
    checks.share(dropout=dropout)
    return DSN(classes, layers, GROUPS[trunk], dropout)
