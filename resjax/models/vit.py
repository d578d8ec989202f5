"""Transformer encoders on patches of an image (ViT), with layer norm before, or behind, each addition.

Dosovitskiy et al. 2021 (2010.11929), section 3.1, which has the norm before; Vaswani et al. 2017 (1706.03762)
has it behind, and Xiong et al. 2020 (2002.04745) say why that needs a warm-up of the learning rate.
"""

from functools import partial
from typing import Literal

from resjax import checks
from resjax.models.blocks import BoundLayers, Layer, Layers
from resjax.models.shortcuts import Mixing
from resjax.models.tokens import Attention, Perceptron, Placement, TokenTrunk


class ViT(TokenTrunk):
    """Blocks of attention and perceptron.

    Attributes:
      hidden: width of the perceptrons.
    """

    heads: int
    hidden: int

    def inner(self, layers: BoundLayers) -> tuple[tuple[str, Layer], ...]:
        attention, perceptron = partial(Attention, self.heads), partial(Perceptron, self.hidden)
        return ("attention", partial(attention, layers)), ("perceptron", partial(perceptron, layers))


def vit(
    classes: int,
    layers: Layers,
    /,
    *,
    blocks: int = 6,
    width: int = 192,
    heads: int = 3,
    hidden: int = 0,
    patch: int = 4,
    placement: Placement = "pre",
    skip: bool = True,
    pool: Literal["mean", "class"] = "mean",
    survival: float = 1.0,
) -> ViT:
    """ViT-B/16 is 12 blocks of width 768 with 12 heads on patches of 16, with the class token.

    Args:
      hidden: width of the perceptrons; 0: four times `width`.
      placement: where the norm stands: `pre` or `post`.
      survival: that of the last block's attention, and of its perceptron, in a step of training; it falls
        evenly from 1 at the embedding, as in `cifar_resnet`.

    Raises:
      ValueError: a number below 1, a width that the heads do not divide, or random depth without shortcuts.
    """
    checks.at_least(1, blocks=blocks, width=width, heads=heads, patch=patch)
    checks.at_least(0, hidden=hidden)
    if width % heads:
        raise ValueError(f"width is {width}; it must be a multiple of heads, {heads}")
    shape = (blocks, width, patch, placement, skip, pool, True, Mixing(survival=survival).checked(skip))
    return ViT(classes, layers, *shape, heads, hidden or 4 * width)
