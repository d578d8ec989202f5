"""Fully convolutional nets: a residual net's last plane classified place by place, then enlarged.

Long et al. 2015 (1411.4038), section 3, their coarsest form (FCN-32s), on a residual net, whose plane is
coarser than the image by a factor of 4; the interpolation is bilinear, and not learned.
"""

from jaxtyping import Array, Float

from resjax.models.blocks import BoundLayers, Layers
from resjax.models.excitation import check_ratio
from resjax.models.pixels import enlarge
from resjax.models.resnet import ResNet, cifar_stages
from resjax.models.shortcuts import Mixing, ShortcutOption
from resjax.models.units import UNITS, Order


class FCN(ResNet):
    """A residual net that gives logits for every pixel."""

    def _classify(self, layers: BoundLayers, x: Float[Array, "b i j d"]) -> Float[Array, "b h w k"]:
        x = UNITS[self.order].before_classifier(layers, x)
        coarse = layers.classifier(self.classes)(name="classifier")(x)
        factor = 2 ** (len(self.stage_sizes) - 1)
        return enlarge(coarse, (factor, factor), pooled=False)


def fcn(
    classes: int,
    layers: Layers,
    /,
    *,
    depth: int = 20,
    order: Order = "original",
    shortcut: ShortcutOption = "A",
    skip: bool = True,
    width: int = 16,
    survival: float = 1.0,
    excitation: int = 0,
) -> FCN:
    """The net of `cifar_resnet` whose settings these are; images of sides that are multiples of 4.

    Raises:
      ValueError: as `cifar_resnet` does.
    """
    shape = cifar_stages(depth, "basic", width)
    check_ratio(excitation, width)
    mixing = Mixing(survival=survival).checked(skip)
    return FCN(classes, layers, *shape, "basic", "1x1", order, shortcut, skip, "cifar", mixing, excitation)
