"""U-Nets: a way down that halves the plane again and again, a way up that doubles it, long skips between.

Ronneberger et al. 2015 (1505.04597), section 2 and figure 1. Convolutions are padded here, so that every
pixel of the image is labelled; theirs are not, and lose the border.
"""

from functools import partial

import flax.linen as nn
import jax.numpy as jnp
from jaxtyping import Array, Float

from resjax import checks
from resjax.models.blocks import INITIALIZERS, BoundLayers, Layers
from resjax.models.convolution import conv_transpose
from resjax.models.trunk import MAIN, Part, Trunk

Plane = Float[Array, "b h w c"]


class UNet(Trunk):
    """Two convolutions at each scale, down and up again, and a 1 x 1 convolution to each pixel's classes.

    Attributes:
      scales: how often the plane is halved, the width being doubled.
      skip: on the way up, each scale reads what the way down had there, concatenated; else it does not.
    """

    scales: int
    width: int
    skip: bool

    def parts(self, layers: BoundLayers) -> list[tuple[str, Part]]:
        down = [(f"down{n}", partial(self._down, layers, n)) for n in range(self.scales + 1)]
        up = [(f"up{n}", partial(self._up, layers, n)) for n in reversed(range(self.scales))]
        return [*down, *up, (MAIN, partial(self._classify, layers))]

    def long_skips(self) -> dict[str, str]:
        return {f"up{n}": f"down{n}" for n in range(self.scales)} if self.skip else {}

    def _down(self, layers: BoundLayers, scale: int, x: Plane) -> Plane:
        if scale == 0:
            _check_plane(x.shape[1], x.shape[2], self.scales)
        x = nn.max_pool(x, (2, 2), (2, 2)) if scale else x.astype(layers.dtype)
        return self._convolve(layers, f"down{scale}", scale, x)

    def _up(self, layers: BoundLayers, scale: int, x: Plane, beside: Plane | None = None) -> Plane:
        up = conv_transpose(
            self.width << scale,
            (2, 2),
            (2, 2),
            dtype=jnp.dtype(layers.dtype),
            param_dtype=jnp.dtype(layers.param_dtype),
            kernel_init=INITIALIZERS[layers.init],
            name=f"up{scale}_up",
        )
        x = up(x) if beside is None else jnp.concatenate([beside, up(x)], -1)
        return self._convolve(layers, f"up{scale}", scale, x)

    def _convolve(self, layers: BoundLayers, name: str, scale: int, x: Plane) -> Plane:
        for number in (1, 2):
            x = layers.conv(self.width << scale, 3)(name=f"{name}_conv{number}")(x)
            x = layers.activate(f"{name}_norm{number}", x)
        return x

    def _classify(self, layers: BoundLayers, x: Plane) -> Float[Array, "b h w k"]:
        return layers.classifier(self.classes)(name="classifier")(x)


def _check_plane(height: int, width: int, scales: int) -> None:
    if height % 2**scales or width % 2**scales:
        raise ValueError(
            f"scales is {scales}, which needs a plane whose sides are multiples of {2**scales}; the image's"
            f" is {height}x{width}"
        )


def unet(classes: int, layers: Layers, /, *, scales: int = 3, width: int = 16, skip: bool = True) -> UNet:
    """The paper's has 4 scales, is 64 wide, and has no norm.

    Raises:
      ValueError: a number below 1, or, once it is run, a plane that cannot be halved so often.
    """
    checks.at_least(1, scales=scales, width=width)
    return UNet(classes, layers, scales, width, skip)
