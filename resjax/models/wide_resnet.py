"""Wide residual nets and their plain twins: Zagoruyko and Komodakis 2016 (1605.07146), table 1."""

from collections.abc import Callable
from functools import partial

import flax.linen as nn
from jaxtyping import Array

from resjax import checks
from resjax.models.blocks import Layers
from resjax.models.excitation import check_ratio
from resjax.models.resnet import ResNet
from resjax.models.shortcuts import LearnedScale, Mixing
from resjax.models.units import PreactivationUnit, Unit

STEM = 16  # features of the first convolution, which is not widened


class WideUnit(PreactivationUnit):
    """A pre-activation unit with dropout behind the ReLU between its convolutions (section 2.4)."""

    dropout: float = 0.0

    def between(self, number: int, y: Array) -> Array:
        return nn.Dropout(self.dropout, deterministic=not self.layers.train)(super().between(number, y))


class WideResNet(ResNet):
    """A pre-activation net of the CIFAR family, all of whose widths but the stem's are multiplied.

    Attributes:
      dropout: rate of dropout between the convolutions of each unit.
    """

    dropout: float = 0.0

    @property
    def stem_features(self) -> int:
        return STEM

    @property
    def unit(self) -> Callable[..., Unit]:
        return partial(WideUnit, dropout=self.dropout)

    def _shares(self, stride: int, number: int) -> bool:
        return number == 1 and (stride > 1 or self.stage_features[0] != STEM)

    def chains(self) -> list[tuple[str, ...]]:
        return [] if self.dropout else super().chains()


def wide_resnet(
    classes: int,
    layers: Layers,
    /,
    *,
    depth: int = 28,
    widen: int = 10,
    dropout: float = 0.0,
    skip: bool = True,
    branch_scale: float = 1.0,
    learned_scale: LearnedScale = "none",
    survival: float = 1.0,
    excitation: int = 0,
) -> WideResNet:
    """WRN-`depth`-`widen`: three stages at widths 16k, 32k, 64k, of depth 6n + 4.

    Where widths change, the shortcut is a projection without a norm, behind the norm and ReLU that the unit
    begins with, as in the authors' code.

    Args:
      dropout: rate, between the two convolutions of each unit; the paper has 0.3 on CIFAR.
      branch_scale, learned_scale, survival, excitation: as in `cifar_resnet`.

    Raises:
      ValueError: a depth that is not of the form, a width below 1, a ratio above the narrowest unit's
        features, or shortcuts that cannot be so.
    """
    n = checks.of_form(depth, 6, 4)
    checks.at_least(1, widen=widen)
    checks.share(dropout=dropout)
    check_ratio(excitation, STEM * widen)
    mixing = Mixing(branch_scale=branch_scale, learned_scale=learned_scale, survival=survival).checked(skip)
    features = (STEM * widen, 2 * STEM * widen, 4 * STEM * widen)
    return WideResNet(
        classes, layers, (n, n, n), features, "basic", "3x3", "preactivation", "B", skip, "cifar", mixing,
        excitation, dropout,
    )  # fmt: skip
