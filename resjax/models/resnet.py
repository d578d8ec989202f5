"""Convolutional residual nets and their plain twins: the CIFAR family and the ImageNet family.

He et al. 2015 (1512.03385), table 1 and section 4.2; He et al. 2016 (1603.05027) for pre-activation.
"""

from collections.abc import Callable
from functools import partial
from typing import Literal

import flax.linen as nn
from jaxtyping import Array, Float

from resjax import checks
from resjax.models import stems
from resjax.models.blocks import BoundLayers, Layer, Layers
from resjax.models.excitation import SqueezeExcitation, check_ratio
from resjax.models.shortcuts import (
    Gate,
    IdentityShortcut,
    LearnedScale,
    Mixing,
    PadShortcut,
    ProjectionShortcut,
    ShortcutOption,
)
from resjax.models.stems import Stem
from resjax.models.trunk import MAIN, Part, Trunk
from resjax.models.units import UNITS, Order, Unit

IMAGENET_STAGES = {
    18: ("basic", (2, 2, 2, 2)),
    26: ("bottleneck", (2, 2, 2, 2)),  # timm's; the others are the paper's
    34: ("basic", (3, 4, 6, 3)),
    50: ("bottleneck", (3, 4, 6, 3)),
    101: ("bottleneck", (3, 4, 23, 3)),
    152: ("bottleneck", (3, 8, 36, 3)),
}


class ResNet(Trunk):
    """Stem, stages of residual or plain units, global average pool, classifier.

    Attributes:
      stage_sizes: units in each stage; all but the first stage begin with stride 2.
      stage_features: width of each stage's 3 x 3 convolutions; bottleneck units put out four times that.
      block: two 3 x 3 convolutions (`basic`), or 1 x 1, 3 x 3, 1 x 1 (`bottleneck`).
      stride_in: the convolution of a bottleneck that has the stride: `3x3` (fb.resnet.torch, torchvision)
        or the first `1x1` (He et al.).
      skip: False builds the plain twin, the same net without shortcuts.
      stem: that of `stems`.
      mixing: how shortcut and branch are put together.
      excitation: ratio of squeeze-and-excitation behind each branch; 0: there is none.
    """

    stage_sizes: tuple[int, ...]
    stage_features: tuple[int, ...]
    block: str
    stride_in: str
    order: str
    shortcut: str
    skip: bool
    stem: str
    mixing: Mixing = Mixing()
    excitation: int = 0

    @property
    def stem_features(self) -> int:
        return self.stage_features[0]

    @property
    def unit(self) -> Callable[..., Unit]:
        return UNITS[self.order]

    def parts(self, layers: BoundLayers) -> list[tuple[str, Part]]:
        found: list[tuple[str, Part]] = [("stem", partial(self._stem, layers))]
        for stage, (size, features) in enumerate(zip(self.stage_sizes, self.stage_features, strict=True), 1):
            for number in range(1, size + 1):
                name = f"stage{stage}_block{number}"
                stride = 2 if stage > 1 and number == 1 else 1
                survival = self.mixing.survival_of(len(found), sum(self.stage_sizes))  # behind the stem
                shared = self._shares(stride, number)
                unit = partial(self._unit, layers, features, stride, shared, survival, name)
                found.append((name, unit))
        return [*found, (MAIN, partial(self._classify, layers))]

    def chains(self) -> list[tuple[str, ...]]:
        """The units behind each stage's first one; random ones differ in what they draw."""
        if self.mixing.random:
            return []
        numbered = enumerate(self.stage_sizes, 1)
        return [tuple(f"stage{stage}_block{n}" for n in range(2, size + 1)) for stage, size in numbered]

    def recomputable(self) -> list[str]:
        numbered = enumerate(self.stage_sizes, 1)
        return [f"stage{stage}_block{n}" for stage, size in numbered for n in range(1, size + 1)]

    def _stem(self, layers: BoundLayers, x: Float[Array, "b h w c"]) -> Float[Array, "b i j d"]:
        x = stems.convolve(self.stem, self.stem_features, layers, x.astype(layers.dtype))
        x = UNITS[self.order].after_stem(layers, x)
        return x if self.stem == "cifar" else stems.max_pool(x)

    def _unit(
        self,
        layers: BoundLayers,
        features: int,
        stride: int,
        shared: bool,
        survival: float,
        name: str,
        x: Array,
    ) -> Array:
        branch, out = self._branch(features, stride, layers)
        shortcut = self._shortcut(x.shape[-1], out, stride, layers) if self.skip else None
        mix = self.mixing.bind(layers, stride) if self.skip else None
        ratio = self.excitation
        excitation = SqueezeExcitation(ratio, layers, parent=None) if ratio else None
        return self.unit(branch, layers, shortcut, shared, mix, survival, excitation, name=name)(x)

    def _shares(self, stride: int, number: int) -> bool:
        """-> whether what comes first in unit `number` of a stage, from 1, serves its shortcut too."""
        return number == 1

    def _classify(self, layers: BoundLayers, x: Float[Array, "b h w c"]) -> Float[Array, "b k"]:
        x = UNITS[self.order].before_classifier(layers, x)
        return layers.classifier(self.classes)(name="classifier")(x.mean((1, 2)))

    def _branch(
        self, features: int, stride: int, layers: BoundLayers
    ) -> tuple[tuple[tuple[str, Layer], ...], int]:
        """-> named layers, and how many features they put out."""
        conv = layers.conv
        if self.block == "basic":
            return (("conv1", conv(features, 3, stride)), ("conv2", conv(features, 3))), features
        first, second = (stride, 1) if self.stride_in == "1x1" else (1, stride)
        convs = (conv(features, 1, first), conv(features, 3, second), conv(4 * features, 1))
        return tuple((f"conv{i}", layer) for i, layer in enumerate(convs, 1)), 4 * features

    def _shortcut(self, features_in: int, features: int, stride: int, layers: BoundLayers) -> nn.Module:
        """Option A pads, B and D project where the shape changes, C projects everywhere.

        `parent=None` leaves the module to the unit that receives it, so its parameters lie there.
        """
        changes = stride > 1 or features_in != features
        if self.shortcut == "C" or (self.shortcut in ("B", "D") and changes):
            normed, pooled = UNITS[self.order].normed, self.shortcut == "D" and stride > 1
            return ProjectionShortcut(features, layers, stride, normed, pooled, parent=None)
        return PadShortcut(features, stride, parent=None) if changes else IdentityShortcut(parent=None)


def cifar_resnet(
    classes: int,
    layers: Layers,
    /,
    *,
    depth: int = 20,
    block: Literal["basic", "bottleneck"] = "basic",
    order: Order = "original",
    shortcut: ShortcutOption = "A",
    skip: bool = True,
    width: int = 16,
    stride_in: Literal["3x3", "1x1"] = "1x1",
    stem: Stem = "cifar",
    shortcut_scale: float = 1.0,
    branch_scale: float = 1.0,
    learned_scale: LearnedScale = "none",
    gate: Gate = "none",
    gate_bias: float = 0.0,
    shortcut_dropout: float = 0.0,
    survival: float = 1.0,
    excitation: int = 0,
) -> ResNet:
    """Three stages at widths w, 2w, 4w: depth 6n + 2 of basic units, 9n + 2 of bottlenecks.

    He et al. 2015, section 4.2, and He et al. 2016, appendix (bottleneck: 164 and 1001 layers).

    Args:
      shortcut_scale, branch_scale, gate, gate_bias, shortcut_dropout: those of `Mixing`; He et al. 2016,
        table 1.
      learned_scale: the branch's scale is learned; from 0 on by a `scalar` it is SkipInit and ReZero, from a
        small number on by `channels` LayerScale.
      survival: that of the last unit's branch in a step of training; it falls evenly from 1 at the stem.
        Stochastic depth of Huang et al. 2016 (1603.09382) has 0.5.
      excitation: ratio of squeeze-and-excitation behind each branch, 16 in Hu et al. 2018 (1709.01507).

    Raises:
      ValueError: a depth that is not of the form, a width below 1, a ratio above the narrowest unit's
        features, or shortcuts that cannot be so.
    """
    shape = cifar_stages(depth, block, width)
    check_ratio(excitation, width if block == "basic" else 4 * width)
    mixing = Mixing(
        shortcut_scale=shortcut_scale, branch_scale=branch_scale, learned_scale=learned_scale, gate=gate,
        gate_bias=gate_bias, shortcut_dropout=shortcut_dropout, survival=survival,
    ).checked(skip)  # fmt: skip
    return ResNet(classes, layers, *shape, block, stride_in, order, shortcut, skip, stem, mixing, excitation)


def cifar_stages(depth: int, block: str, width: int) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """-> units and features of each stage; raises ValueError as `cifar_resnet` does."""
    per_unit = 6 if block == "basic" else 9
    n = max(1, round((depth - 2) / per_unit))
    if depth != per_unit * n + 2:
        near = f"{per_unit * n + 2}" if depth < 2 else f"{per_unit * n + 2} or {per_unit * (n + 1) + 2}"
        raise ValueError(f"depth is {depth}; {block} units need {per_unit}n + 2, such as {near}")
    checks.at_least(1, width=width)
    return (n, n, n), (width, 2 * width, 4 * width)


def imagenet_resnet(
    classes: int,
    layers: Layers,
    /,
    *,
    depth: int = 50,
    order: Order = "original",
    shortcut: ShortcutOption = "B",
    skip: bool = True,
    width: int = 64,
    stride_in: Literal["3x3", "1x1"] = "3x3",
    stem: Stem = "imagenet",
    survival: float = 1.0,
    excitation: int = 0,
) -> ResNet:
    """Four stages at widths w, 2w, 4w, 8w: He et al. 2015, table 1.

    Args:
      stem, shortcut: `deep` and D make ResNet-D of He et al. 2019 (1812.01187).
      survival, excitation: as in `cifar_resnet`; with 16 for the latter, SE-ResNet-50 of Hu et al. 2018.

    Raises:
      ValueError: a depth that the table lacks, a width below 1, a ratio above the narrowest unit's features,
        or random depth without shortcuts.
    """
    if depth not in IMAGENET_STAGES:
        raise ValueError(f"depth is {depth}; it must be one of {', '.join(map(str, IMAGENET_STAGES))}")
    checks.at_least(1, width=width)
    block, sizes = IMAGENET_STAGES[depth]
    check_ratio(excitation, width if block == "basic" else 4 * width)
    mixing = Mixing(survival=survival).checked(skip)
    features = tuple(width * 2**stage for stage in range(4))
    return ResNet(
        classes, layers, sizes, features, block, stride_in, order, shortcut, skip, stem, mixing, excitation
    )
