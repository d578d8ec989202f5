"""MLP-Mixer: perceptrons on the axis of the tokens and on that of the channels, in turn.

Tolstikhin et al. 2021 (2105.01601), section 2.
"""

from functools import partial

from resjax import checks
from resjax.models.blocks import BoundLayers, Layer, Layers
from resjax.models.shortcuts import Mixing
from resjax.models.tokens import Perceptron, Placement, TokenTrunk


class Mixer(TokenTrunk):
    """Blocks of two perceptrons.

    Attributes:
      hidden_tokens, hidden_channels: widths of the perceptrons on either axis.
    """

    hidden_tokens: int
    hidden_channels: int

    def inner(self, layers: BoundLayers) -> tuple[tuple[str, Layer], ...]:
        tokens = partial(Perceptron, self.hidden_tokens, layers, across=True)
        return ("tokens", tokens), ("channels", partial(Perceptron, self.hidden_channels, layers))


def mixer(
    classes: int,
    layers: Layers,
    /,
    *,
    blocks: int = 8,
    width: int = 128,
    hidden_tokens: int = 64,
    hidden_channels: int = 512,
    patch: int = 4,
    placement: Placement = "pre",
    skip: bool = True,
    survival: float = 1.0,
) -> Mixer:
    """Mixer-B/16 is 12 blocks of width 768, with 384 and 3,072 hidden units, on patches of 16 (table 1).

    Args:
      survival: as in `vit`.

    Raises:
      ValueError: a number below 1, or random depth without shortcuts.
    """
    checks.at_least(1, blocks=blocks, width=width, patch=patch)
    checks.at_least(1, hidden_tokens=hidden_tokens, hidden_channels=hidden_channels)
    shape = (blocks, width, patch, placement, skip, "mean", False, Mixing(survival=survival).checked(skip))
    return Mixer(classes, layers, *shape, hidden_tokens, hidden_channels)
