"""What images meet first in residual nets: the convolutions of a stem, and the pool behind its norm.

He et al. 2015 (1512.03385), table 1 and section 4.2; He et al. 2019 (1812.01187), figure 2b, for `deep`.
"""

from typing import Any, Literal

import flax.linen as nn
from jaxtyping import Array, Float

from resjax.models.blocks import BoundLayers

Stem = Literal["cifar", "imagenet", "deep"]


def convolve(
    stem: str, features: int, layers: BoundLayers, x: Float[Array, "b h w c"]
) -> Float[Array, "b i j d"]:
    """-> what the stem's norm reads.

    Args:
      stem: `cifar`, a 3 x 3 convolution; `imagenet`, one of 7 x 7 and stride 2; `deep`, three of 3 x 3 in its
        place, the first with the stride, the first two half as wide and with a norm and ReLU each.
    """
    if stem == "imagenet":
        return layers.conv(features, 7, 2)(name="stem_conv")(x)
    for number, stride in ((1, 2), (2, 1)) if stem == "deep" else ():
        x = layers.conv(max(1, features // 2), 3, stride)(name=f"stem_conv{number}")(x)
        x = layers.activate(f"stem_norm{number}", x)
    return layers.conv(features, 3)(name="stem_conv")(x)


def max_pool(x: Float[Array, "b h w c"]) -> Float[Array, "b i j c"]:
    """3 x 3 of stride 2, as it is behind all stems but `cifar`."""
    padding: Any = ((1, 1), (1, 1))  # Flax types it as a str, but takes both
    return nn.max_pool(x, (3, 3), (2, 2), padding)
