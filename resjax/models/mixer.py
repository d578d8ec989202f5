"""MLP-Mixer: perceptrons on the axis of the tokens and on that of the channels, in turn.

Tolstikhin et al. 2021 (2105.01601), section 2.
"""

from functools import partial

from jaxtyping import Array, Float

from resjax import checks
from resjax.models.blocks import BoundLayers, Layers
from resjax.models.tokens import Block, Embedding, Perceptron, Placement, Tokens, average
from resjax.models.trunk import MAIN, Part, Trunk


class Mixer(Trunk):
    """Patches, blocks of two perceptrons, average of the tokens, classifier.

    Attributes:
      hidden_tokens, hidden_channels: widths of the perceptrons on either axis.
    """

    blocks: int
    width: int
    hidden_tokens: int
    hidden_channels: int
    patch: int
    placement: str
    skip: bool

    def parts(self, layers: BoundLayers) -> list[tuple[str, Part]]:
        blocks = [(name, partial(self._block, layers, name)) for name in self.recomputable()]
        return [("embedding", partial(self._embed, layers)), *blocks, (MAIN, partial(self._classify, layers))]

    def chains(self) -> list[tuple[str, ...]]:
        return [tuple(self.recomputable())]

    def recomputable(self) -> list[str]:
        return [f"block{number}" for number in range(1, self.blocks + 1)]

    def _embed(self, layers: BoundLayers, x: Float[Array, "b h w c"]) -> Tokens:
        embedding = Embedding(self.patch, self.width, layers, positions=False, name="embedding")
        return embedding(x.astype(layers.dtype))

    def _block(self, layers: BoundLayers, name: str, x: Tokens) -> Tokens:
        tokens = partial(Perceptron, self.hidden_tokens, layers, across=True)
        inner = (("tokens", tokens), ("channels", partial(Perceptron, self.hidden_channels, layers)))
        return Block(inner, layers, self.placement, self.skip, name=name)(x)

    def _classify(self, layers: BoundLayers, x: Tokens) -> Float[Array, "b k"]:
        x = layers.normalize("final_norm")(x) if self.placement == "pre" else x
        return layers.classifier(self.classes)(name="classifier")(average(x))


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
) -> Mixer:
    """Mixer-B/16 is 12 blocks of width 768, with 384 and 3,072 hidden units, on patches of 16 (table 1).

    Raises:
      ValueError: a number below 1.
    """
    checks.at_least(1, blocks=blocks, width=width, patch=patch)
    checks.at_least(1, hidden_tokens=hidden_tokens, hidden_channels=hidden_channels)
    return Mixer(classes, layers, blocks, width, hidden_tokens, hidden_channels, patch, placement, skip)
