"""Fully convolutional nets: a residual net's last plane classified place by place, then enlarged.

Long et al. 2015 (1411.4038), section 3, their coarsest form (FCN-32s), on a residual net, whose plane is
coarser than the image by a factor of 4; the interpolation is bilinear, and not learned.
"""

from typing import Any

from jaxtyping import Array, Float

from resjax.models.blocks import BoundLayers, Layers
from resjax.models.pixels import enlarge
from resjax.models.resnet import ResNet, cifar_resnet
from resjax.models.units import UNITS, Order


class FCN(ResNet):
    """A residual net that gives logits for every pixel."""

    def _classify(self, layers: BoundLayers, x: Float[Array, "b i j d"]) -> Float[Array, "b h w k"]:
        x = UNITS[self.order].before_classifier(layers, x)
        coarse = layers.classifier(self.classes)(name="classifier")(x)
        factor = 2 ** (len(self.stage_sizes) - 1)
        return enlarge(coarse, (factor * x.shape[1], factor * x.shape[2]))


def fcn(
    classes: int,
    layers: Layers,
    /,
    *,
    depth: int = 20,
    order: Order = "original",
    skip: bool = True,
    width: int = 16,
) -> FCN:
    """The net of `cifar_resnet` whose settings these are; images of sides that are multiples of 4.

    Raises:
      ValueError: as `cifar_resnet` does.
    """
    net = cifar_resnet(classes, layers, depth=depth, order=order, skip=skip, width=width)
    own: dict[str, Any] = {name: getattr(net, name) for name in ResNet.__dataclass_fields__}
    return FCN(**{name: value for name, value in own.items() if name not in ("parent", "name")})
