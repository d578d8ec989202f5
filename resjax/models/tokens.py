"""Tokens: images cut into patches, and the blocks that work on them; for transformers and mixers.

A function f of the tokens stands behind its norm or before it, with a shortcut or without:

    pre     x + f(norm(x))
    post    norm(x + f(x))
    plain   f(norm(x)), or norm(f(x)): the same without the shortcut

Post-LN is that of Vaswani et al. 2017 (1706.03762); pre-LN that of Xiong et al. 2020 (2002.04745), figure 1.
"""

from collections.abc import Callable
from functools import partial
from typing import Literal

import flax.linen as nn
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from resjax.models.blocks import BoundLayers, Layer
from resjax.models.shortcuts import Mixing
from resjax.models.survival import survive
from resjax.models.trunk import MAIN, Part, Trunk

Placement = Literal["pre", "post"]
Tokens = Float[Array, "b t d"]


class Block(nn.Module):
    """Functions of the tokens one behind the other, each with its norm and, where there is one, its shortcut.

    Attributes:
      inner: (name, layer) pairs; the norm of each is called name_norm.
      placement: where the norms stand: `pre` or `post`.
      survival: probability that a function is there in training, each by itself; below 1 there must be
        shortcuts.
    """

    inner: tuple[tuple[str, Layer], ...]
    layers: BoundLayers
    placement: str
    skip: bool
    survival: float = 1.0

    @nn.compact
    def __call__(self, x: Tokens) -> Tokens:
        for name, layer in self.inner:
            branch = partial(_branch, name, layer)
            y = branch(self, x, x) if self.survival == 1 else survive(self, self.survival, branch, x, x)
            y = x + y if self.skip else y
            x = self.layers.normalize(f"{name}_norm")(y) if self.placement == "post" else y
        return x


def _branch(name: str, layer: Layer, block: Block, x: Tokens, like: Tokens) -> Tokens:
    x = block.layers.normalize(f"{name}_norm")(x) if block.placement == "pre" else x
    return layer(name=name)(x)


class Embedding(nn.Module):
    """Square patches, each through one dense layer; positions are learned, and there may be a class token.

    Dosovitskiy et al. 2021 (2010.11929), section 3.1. The class token is the first one.
    """

    patch: int
    width: int
    layers: BoundLayers
    positions: bool
    class_token: bool

    @nn.compact
    def __call__(self, x: Float[Array, "b h w c"]) -> Tokens:
        """Raises ValueError where the image does not consist of whole patches."""
        tokens = self.layers.dense(self.width)(use_bias=True, name="patches")(cut(x, self.patch))
        dtype = jnp.dtype(self.layers.param_dtype)
        if self.class_token:
            token = self.param("class_token", nn.initializers.zeros, (1, 1, self.width), dtype)
            token = jnp.broadcast_to(token.astype(tokens.dtype), (x.shape[0], 1, self.width))
            tokens = jnp.concatenate([token, tokens], 1)
        if self.positions:
            shape = (1, *tokens.shape[1:])
            tokens += self.param("positions", nn.initializers.normal(0.02), shape, dtype).astype(tokens.dtype)
        return tokens


def cut(x: Float[Array, "b h w c"], patch: int) -> Float[Array, "b t p"]:
    """-> the image's patches, row by row, each flattened; raises ValueError where they are not whole."""
    batch, height, width, channels = x.shape
    if height % patch or width % patch:
        raise ValueError(f"patch is {patch}; it must divide the image's height and width, {height}x{width}")
    rows, columns = height // patch, width // patch
    x = x.reshape(batch, rows, patch, columns, patch, channels).transpose(0, 1, 3, 2, 4, 5)
    return x.reshape(batch, rows * columns, patch * patch * channels)


class Attention(nn.Module):
    """Multi-head self-attention: Vaswani et al. 2017 (1706.03762), section 3.2."""

    heads: int
    layers: BoundLayers

    @nn.compact
    def __call__(self, x: Tokens) -> Tokens:
        width = x.shape[-1]
        kind = self.layers.dense
        qkv = kind(3 * width)(use_bias=True, name="qkv")(x)
        query, key, value = jnp.moveaxis(qkv.reshape(*x.shape[:2], 3, self.heads, width // self.heads), 2, 0)
        mixed = jax.nn.dot_product_attention(query, key, value)
        return kind(width)(use_bias=True, name="out")(mixed.reshape(x.shape))

    def products(self, x: Tokens) -> int:
        """-> multiply-adds of query by key and of weights by value, of one example."""
        _, tokens, width = x.shape
        return 2 * tokens * tokens * width


class Perceptron(nn.Module):
    """Two dense layers with GELU between them, on the last axis; `across`, on the axis of the tokens."""

    hidden: int
    layers: BoundLayers
    across: bool = False

    @nn.compact
    def __call__(self, x: Tokens) -> Tokens:
        x = x.swapaxes(1, 2) if self.across else x
        y = nn.gelu(self.layers.dense(self.hidden)(use_bias=True, name="dense1")(x), approximate=False)
        y = self.layers.dense(x.shape[-1])(use_bias=True, name="dense2")(y)
        return y.swapaxes(1, 2) if self.across else y


def average(x: Tokens) -> Float[Array, "b d"]:
    return x.mean(1)


def first(x: Tokens) -> Float[Array, "b d"]:
    """-> the class token."""
    return x[:, 0]


POOLS: dict[str, Callable[[Tokens], Array]] = {"mean": average, "class": first}


class TokenTrunk(Trunk):
    """Patches, blocks, pooling, classifier; a family is a subclass that says what its blocks consist of.

    Attributes:
      placement: where the norms stand: `pre` or `post`.
      pool: what is classified: the `mean` of all tokens, or the `class` token, which there is then.
      positions: the tokens' places are learned.
      mixing: of which only `survival` is heeded, of the last block's functions.
    """

    blocks: int
    width: int
    patch: int
    placement: str
    skip: bool
    pool: str
    positions: bool
    mixing: Mixing

    def inner(self, layers: BoundLayers) -> tuple[tuple[str, Layer], ...]:
        """-> what a block consists of, as `Block` has it."""
        raise NotImplementedError

    def parts(self, layers: BoundLayers) -> list[tuple[str, Part]]:
        survivals = (self.mixing.survival_of(number, self.blocks) for number in range(1, self.blocks + 1))
        blocks = [
            (name, partial(self._block, layers, name, survival))
            for name, survival in zip(self.recomputable(), survivals, strict=True)
        ]
        return [("embedding", partial(self._embed, layers)), *blocks, (MAIN, partial(self._classify, layers))]

    def chains(self) -> list[tuple[str, ...]]:
        return [] if self.mixing.random else [tuple(self.recomputable())]

    def recomputable(self) -> list[str]:
        return [f"block{number}" for number in range(1, self.blocks + 1)]

    def _embed(self, layers: BoundLayers, x: Float[Array, "b h w c"]) -> Tokens:
        token = self.pool == "class"
        embedding = Embedding(self.patch, self.width, layers, self.positions, token, name="embedding")
        return embedding(x.astype(layers.dtype))

    def _block(self, layers: BoundLayers, name: str, survival: float, x: Tokens) -> Tokens:
        return Block(self.inner(layers), layers, self.placement, self.skip, survival, name=name)(x)

    def _classify(self, layers: BoundLayers, x: Tokens) -> Float[Array, "b k"]:
        x = layers.normalize("final_norm")(x) if self.placement == "pre" else x
        return layers.classifier(self.classes)(name="classifier")(POOLS[self.pool](x))
