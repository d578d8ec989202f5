"""The residual net of the races to an accuracy: Page 2018, "How to Train Your ResNet" (DAWNBench).

A stem and three stages; each begins with a convolution and a max-pool, and the first and the last one have a
residual unit of two convolutions behind that. Page 2019, the same series, part 8, pools before the norm, for
a quarter of its cost, and so does this net.
"""

from functools import partial, reduce

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from resjax import checks
from resjax.models.blocks import BoundLayers, Layers
from resjax.models.shortcuts import IdentityShortcut
from resjax.models.trunk import MAIN, Part, Trunk
from resjax.models.units import ReLUBeforeAdditionUnit


class ResNet9(Trunk):
    """Attributes:
    widths: of the stem and of each stage.
    residual: numbers of the stages, from 1, that end with a residual unit.
    skip: False builds the plain twin, the same net without shortcuts.
    scale: of the logits; the maximum over the image plane makes them large.
    """

    widths: tuple[int, ...]
    residual: tuple[int, ...]
    skip: bool
    scale: float

    def parts(self, layers: BoundLayers) -> list[tuple[str, Part]]:
        found: list[tuple[str, Part]] = [("stem", partial(self._stem, layers))]
        for stage, width in enumerate(self.widths[1:], 1):
            found.append((f"stage{stage}_conv", partial(self._halve, layers, stage, width)))
            if stage in self.residual:
                name = f"stage{stage}_unit"
                found.append((name, partial(self._unit, layers, width, name)))
        return [*found, (MAIN, partial(self._classify, layers))]

    def _stem(self, layers: BoundLayers, x: Float[Array, "b h w c"]) -> Float[Array, "b h w d"]:
        x = layers.conv(self.widths[0], 3)(name="stem_conv")(x.astype(layers.dtype))
        return layers.activate("stem_norm", x)

    def _halve(self, layers: BoundLayers, stage: int, width: int, x: Array) -> Float[Array, "b i j d"]:
        x = layers.conv(width, 3)(name=f"stage{stage}_conv")(x)
        return layers.activate(f"stage{stage}_norm", max_of_squares(x))

    def _unit(self, layers: BoundLayers, width: int, name: str, x: Array) -> Array:
        branch = tuple((f"conv{number}", layers.conv(width, 3)) for number in (1, 2))
        shortcut = IdentityShortcut(parent=None) if self.skip else None
        return ReLUBeforeAdditionUnit(branch, layers, shortcut, name=name)(x)

    def _classify(self, layers: BoundLayers, x: Float[Array, "b h w c"]) -> Float[Array, "b k"]:
        return self.scale * layers.classifier(self.classes)(name="classifier")(max_of_plane(x))


def max_of_plane(x: Float[Array, "b h w c"]) -> Float[Array, "b c"]:
    """Not `x.max((1, 2))`, whose gradient asks which elements equal their maximum: XLA:CPU may compute
    the sum that comes before twice, not to the same bits; where none equals it then, the gradient is NaN.
    """
    return reduce(jnp.maximum, [x[:, i, j] for i, j in np.ndindex(x.shape[1:3])])


def max_of_squares(x: Float[Array, "b h w c"]) -> Float[Array, "b i j c"]:
    """-> the maximum of each 2 x 2 pixels; an odd last row or column is left out, as Torch does.

    Not `nn.max_pool`: XLA:CPU's gradient of a window's maximum is a loop over single elements. A convolution,
    of which this is, is computed once, so that an element equals its maximum.
    """
    batch, height, width, channels = x.shape
    rows, columns = height // 2, width // 2
    whole = x[:, : 2 * rows, : 2 * columns].reshape(batch, rows, 2, columns, 2, channels)
    return jnp.max(whole, (2, 4))


def resnet9(
    classes: int,
    layers: Layers,
    /,
    *,
    widths: tuple[int, ...] = (64, 128, 256, 512),
    residual: tuple[int, ...] = (1, 3),
    skip: bool = True,
    scale: float = 0.125,
) -> ResNet9:
    """Page's net is the default; narrower ones are for slower machines.

    Args:
      widths: of the stem, and of each stage, whose convolution is followed by a 2 x 2 max-pool.
      residual: numbers of the stages, from 1, with a residual unit of two convolutions.
      scale: of the logits.

    Raises:
      ValueError: a width below 1, no stage, or a residual unit in a stage that there is not.
    """
    if len(widths) < 2 or min(widths) < 1:
        raise ValueError(f"widths is {widths}; it must be of the stem and a stage at least, each 1 or more")
    if not all(1 <= stage < len(widths) for stage in residual):
        raise ValueError(f"residual is {residual}; it must name stages from 1 to {len(widths) - 1}")
    checks.positive(scale=scale)
    return ResNet9(classes, layers, widths, residual, skip, scale)
