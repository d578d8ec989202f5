"""Squeeze-and-excitation: channels scaled by what all channels are on average over the image plane.

Hu et al. 2018 (1709.01507), section 3 and figure 3: it stands behind a unit's branch, before the addition.
"""

import flax.linen as nn
from jaxtyping import Array, Float

from resjax.models.blocks import BoundLayers


class SqueezeExcitation(nn.Module):
    """x times sigmoid(dense(relu(dense(means over the image plane)))), a factor for each channel.

    Attributes:
      ratio: the layer between has 1 / `ratio` of the channels; the paper has 16.
    """

    ratio: int
    layers: BoundLayers

    @nn.compact
    def __call__(self, x: Float[Array, "b h w c"]) -> Float[Array, "b h w c"]:
        squeeze, excite = (self.layers.dense(n) for n in (x.shape[-1] // self.ratio, x.shape[-1]))
        narrow = nn.relu(squeeze(use_bias=True, name="squeeze")(x.mean((1, 2))))
        factors = nn.sigmoid(excite(use_bias=True, name="excite")(narrow))
        return x * factors[:, None, None, :]


def check_ratio(excitation: int, narrowest: int) -> None:
    """Raises ValueError where a ratio leaves nothing of the narrowest unit's channels; 0: there is none."""
    if not 0 <= excitation <= narrowest:
        raise ValueError(
            f"excitation is {excitation}; it must be from 1 to {narrowest}, the features of the narrowest"
            " unit, or 0 to leave it out"
        )
