"""The trunks of Deeply-Supervised Nets: Lee et al. 2014 (1409.5185), as their released code has them."""

from collections.abc import Collection
from typing import Literal

import flax.linen as nn
from jaxtyping import Array, Float

from resjax import checks
from resjax.models.blocks import Layers
from resjax.models.endpoints import Endpoints

# Of each of three groups: kernel of the first convolution, widths of it and of the two 1 x 1 behind it.
# The last width is that of the classes. `cifar` is the released prototxt; no description of the MNIST net
# was found but its size, about 350K parameters, which these widths meet.
GROUPS = {
    "cifar": ((5, 192, 160, 96), (5, 192, 192, 192), (3, 192, 192, 0)),
    "mnist": ((5, 104, 88, 64), (5, 112, 112, 112), (3, 112, 112, 0)),
}


class DSN(nn.Module):
    """Three groups of convolution and two 1 x 1 layers; max-pool and dropout between, average pool behind.

    Endpoints are the raw outputs of each group's first convolution, before the ReLU: there the companions
    of the released code attach.
    """

    classes: int
    groups: tuple[tuple[int, int, int, int], ...]
    dropout: float
    layers: Layers

    @nn.compact
    def __call__(
        self, x: Float[Array, "b h w c"], *, train: bool, cut: Collection[str] = ()
    ) -> tuple[Float[Array, "b k"], dict[str, Array]]:
        """-> logits, and the endpoints `conv1`, `conv2`, `conv3`."""
        layers, endpoints = self.layers.bind(train), Endpoints(cut)
        x = x.astype(layers.dtype)
        for number, (kernel, *widths) in enumerate(self.groups, 1):
            if number > 1:
                x = nn.max_pool(nn.relu(x), (3, 3), (2, 2), "SAME")
                x = nn.Dropout(self.dropout, deterministic=not train)(x)
            first, second, third = (width or self.classes for width in widths)
            x = layers.conv(first, kernel)(name=f"conv{number}")(x)
            x = nn.relu(endpoints.mark(f"conv{number}", x))
            x = nn.relu(layers.conv(second, 1)(name=f"conv{number}_mix1")(x))
            x = layers.conv(third, 1)(name=f"conv{number}_mix2")(x)
        return x.mean((1, 2)), dict(endpoints)


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
    return DSN(classes, GROUPS[trunk], dropout, layers)
