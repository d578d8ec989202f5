"""Transformer encoders on patches of an image (ViT), with layer norm before, or behind, each addition.

Dosovitskiy et al. 2021 (2010.11929), section 3.1, which has the norm before; Vaswani et al. 2017 (1706.03762)
has it behind, and Xiong et al. 2020 (2002.04745) say why that needs a warm-up of the learning rate.
"""

from functools import partial
from typing import Literal

from jaxtyping import Array, Float

from resjax import checks
from resjax.models.blocks import BoundLayers, Layers
from resjax.models.tokens import POOLS, Attention, Block, Embedding, Perceptron, Placement, Tokens
from resjax.models.trunk import MAIN, Part, Trunk


class ViT(Trunk):
    """Patches, blocks of attention and perceptron, pooling, classifier.

    Attributes:
      blocks: of two sublayers each, both of which have a shortcut unless `skip` is False.
      hidden: width of the perceptrons.
      pool: what is classified: the `mean` of all tokens, or the `class` token.
    """

    blocks: int
    width: int
    heads: int
    hidden: int
    patch: int
    placement: str
    skip: bool
    pool: str

    def parts(self, layers: BoundLayers) -> list[tuple[str, Part]]:
        blocks = [(name, partial(self._block, layers, name)) for name in self.recomputable()]
        return [("embedding", partial(self._embed, layers)), *blocks, (MAIN, partial(self._classify, layers))]

    def chains(self) -> list[tuple[str, ...]]:
        return [tuple(self.recomputable())]

    def recomputable(self) -> list[str]:
        return [f"block{number}" for number in range(1, self.blocks + 1)]

    def _embed(self, layers: BoundLayers, x: Float[Array, "b h w c"]) -> Tokens:
        embedding = Embedding(
            self.patch, self.width, layers, class_token=self.pool == "class", name="embedding"
        )
        return embedding(x.astype(layers.dtype))

    def _block(self, layers: BoundLayers, name: str, x: Tokens) -> Tokens:
        attention, perceptron = (
            partial(Attention, self.heads, layers),
            partial(Perceptron, self.hidden, layers),
        )
        inner = (("attention", attention), ("perceptron", perceptron))
        return Block(inner, layers, self.placement, self.skip, name=name)(x)

    def _classify(self, layers: BoundLayers, x: Tokens) -> Float[Array, "b k"]:
        x = layers.normalize("final_norm")(x) if self.placement == "pre" else x
        return layers.classifier(self.classes)(name="classifier")(POOLS[self.pool](x))


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
) -> ViT:
    """ViT-B/16 is 12 blocks of width 768 with 12 heads on patches of 16, with the class token.

    Args:
      hidden: width of the perceptrons; 0: four times `width`.
      placement: where the norm stands: `pre` or `post`.

    Raises:
      ValueError: a number below 1, or a width that the heads do not divide.
    """
    checks.at_least(1, blocks=blocks, width=width, heads=heads, patch=patch)
    checks.at_least(0, hidden=hidden)
    if width % heads:
        raise ValueError(f"width is {width}; it must be a multiple of heads, {heads}")
    return ViT(classes, layers, blocks, width, heads, hidden or 4 * width, patch, placement, skip, pool)
