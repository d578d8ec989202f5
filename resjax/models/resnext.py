"""Residual nets whose 3 x 3 convolutions are parted into groups: ResNeXt, Xie et al. 2017 (1611.05431)."""

from functools import partial

from resjax import checks
from resjax.models.blocks import BoundLayers, Layer, Layers
from resjax.models.excitation import check_ratio
from resjax.models.resnet import IMAGENET_STAGES, ResNet
from resjax.models.shortcuts import Mixing

DEPTHS = (50, 101, 152)


class ResNeXt(ResNet):
    """Bottlenecks whose middle convolution joins features of one group only.

    A sum of `cardinality` bottlenecks of their own, each of `group_width` features, is the same function
    (figure 3 of the paper).

    Attributes:
      cardinality: how many groups.
      group_width: features of each in the first stage; every further stage has twice as many.
    """

    cardinality: int = 32
    group_width: int = 4

    def _branch(
        self, features: int, stride: int, layers: BoundLayers
    ) -> tuple[tuple[tuple[str, Layer], ...], int]:
        width = self.cardinality * self.group_width * (features // self.stage_features[0])
        grouped = partial(layers.conv(width, 3, stride), feature_group_count=self.cardinality)
        convs = (layers.conv(width, 1), grouped, layers.conv(4 * features, 1))
        return tuple((f"conv{i}", layer) for i, layer in enumerate(convs, 1)), 4 * features


def cifar_resnext(
    classes: int,
    layers: Layers,
    /,
    *,
    depth: int = 29,
    cardinality: int = 8,
    group_width: int = 64,
    width: int = 64,
    skip: bool = True,
    survival: float = 1.0,
    excitation: int = 0,
) -> ResNeXt:
    """ResNeXt-29, 8x64d, and others of depth 9n + 2: section 5.3.

    Args:
      group_width: features of a group in the first stage; every further stage has twice as many.
      width: features of the stem; units put out four, eight and sixteen times as many.
      survival, excitation: as in `cifar_resnet`.

    Raises:
      ValueError: a depth that is not of the form, a number below 1, a ratio above the narrowest unit's
        features, or random depth without shortcuts.
    """
    n = checks.of_form(depth, 9, 2)
    return _build(
        classes, layers, (n, n, n), "cifar", width=width, cardinality=cardinality,
        group_width=group_width, skip=skip, survival=survival, excitation=excitation,
    )  # fmt: skip


def imagenet_resnext(
    classes: int,
    layers: Layers,
    /,
    *,
    depth: int = 50,
    cardinality: int = 32,
    group_width: int = 4,
    width: int = 64,
    skip: bool = True,
    survival: float = 1.0,
    excitation: int = 0,
) -> ResNeXt:
    """ResNeXt-50, 32x4d, and deeper ones: table 1.

    Args:
      group_width: features of a group in the first stage; every further stage has twice as many.
      width: features of the stem; units put out from four to 32 times as many.
      survival, excitation: as in `cifar_resnet`.

    Raises:
      ValueError: a depth that there is not, a number below 1, a ratio above the narrowest unit's features,
        or random depth without shortcuts.
    """
    if depth not in DEPTHS:
        raise ValueError(f"depth is {depth}; it must be one of {', '.join(map(str, DEPTHS))}")
    _, sizes = IMAGENET_STAGES[depth]
    return _build(
        classes, layers, sizes, "imagenet", width=width, cardinality=cardinality,
        group_width=group_width, skip=skip, survival=survival, excitation=excitation,
    )  # fmt: skip


def _build(
    classes: int,
    layers: Layers,
    sizes: tuple[int, ...],
    stem: str,
    *,
    width: int,
    cardinality: int,
    group_width: int,
    skip: bool,
    survival: float,
    excitation: int,
) -> ResNeXt:
    checks.at_least(1, cardinality=cardinality, group_width=group_width, width=width)
    check_ratio(excitation, 4 * width)
    mixing = Mixing(survival=survival).checked(skip)
    features = tuple(width * 2**stage for stage in range(len(sizes)))
    return ResNeXt(
        classes, layers, sizes, features, "bottleneck", "3x3", "original", "B", skip, stem, mixing,
        excitation, cardinality, group_width,
    )  # fmt: skip
