"""Nets each of whose layers reads all layers before it: DenseNet, Huang et al. 2017 (1608.06993)."""

from functools import partial
from typing import Literal

import flax.linen as nn
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from resjax import checks
from resjax.models import stems
from resjax.models.blocks import BoundLayers, Layers
from resjax.models.trunk import MAIN, Part, Trunk

BLOCKS = 3
INNER = 4  # a bottleneck's 1 x 1 convolution gives so many times the growth
# Table 1, and of 161 layers, with a growth of 48, the authors' README: layers in each block.
IMAGENET_SIZES = {
    121: (6, 12, 24, 16),
    161: (6, 12, 36, 24),
    169: (6, 12, 32, 32),
    201: (6, 12, 48, 32),
}


class DenseLayer(nn.Module):
    """norm - relu - 3 x 3 convolution, behind its own input; with `bottleneck` a 1 x 1 like that before.

    Attributes:
      growth: features that the layer adds.
      dropout: rate, behind each convolution in training.
      skip: the input is given on beside the new features; else they are all that is.
    """

    growth: int
    bottleneck: bool
    dropout: float
    skip: bool
    layers: BoundLayers

    @nn.compact
    def __call__(self, x: Float[Array, "b h w c"]) -> Float[Array, "b h w d"]:
        convs = [(INNER * self.growth, 1)] * self.bottleneck + [(self.growth, 3)]
        y = x
        for number, (features, kernel) in enumerate(convs, 1):
            y = self.layers.activate(f"norm{number}", y)
            y = self.layers.conv(features, kernel)(name=f"conv{number}")(y)
            y = nn.Dropout(self.dropout, deterministic=not self.layers.train)(y)
        return jnp.concatenate((x, y), -1) if self.skip else y


class DenseNet(Trunk):
    """Stem, dense blocks with transitions between them, norm, ReLU, average pool, classifier.

    Attributes:
      sizes: layers in each block.
      stem: a 3 x 3 convolution alone (`cifar`), or for 224 pixels (`imagenet`) as that of residual nets, 7 x
        7 of stride 2, norm, ReLU, 3 x 3 max-pool.
      compression: share of the features that a transition's 1 x 1 convolution leaves.
      skip: False builds the plain twin, in which each layer reads the one before it alone. There is less
        to read, so that it has fewer parameters; the layers' outputs are as wide.
    """

    sizes: tuple[int, ...]
    growth: int
    bottleneck: bool
    compression: float
    dropout: float
    skip: bool
    stem: str = "cifar"

    def parts(self, layers: BoundLayers) -> list[tuple[str, Part]]:
        found: list[tuple[str, Part]] = [("stem", partial(self._stem, layers))]
        for block, size in enumerate(self.sizes, 1):
            if block > 1:
                name = f"transition{block - 1}"
                found.append((name, partial(self._halve, layers, name)))
            names = [f"block{block}_layer{number}" for number in range(1, size + 1)]
            found += [(name, partial(self._layer, layers, name)) for name in names]
        return [*found, (MAIN, partial(self._classify, layers))]

    def recomputable(self) -> list[str]:
        numbered = enumerate(self.sizes, 1)
        return [f"block{block}_layer{n}" for block, size in numbered for n in range(1, size + 1)]

    def _stem(self, layers: BoundLayers, x: Float[Array, "b h w c"]) -> Float[Array, "b h w d"]:
        features = 2 * self.growth if self.bottleneck else 16
        x = stems.convolve(self.stem, features, layers, x.astype(layers.dtype))
        if self.stem == "cifar":
            return x
        return stems.max_pool(layers.activate("stem_norm", x))

    def _layer(self, layers: BoundLayers, name: str, x: Array) -> Array:
        return DenseLayer(self.growth, self.bottleneck, self.dropout, self.skip, layers, name=name)(x)

    def _halve(self, layers: BoundLayers, name: str, x: Float[Array, "b h w c"]) -> Float[Array, "b i j d"]:
        features = max(1, int(self.compression * x.shape[-1]))
        x = layers.activate(f"{name}_norm", x)
        x = layers.conv(features, 1)(name=f"{name}_conv")(x)
        x = nn.Dropout(self.dropout, deterministic=not layers.train)(x)
        return nn.pooling.pool(x, 0.0, jax.lax.add, (2, 2), (2, 2), "VALID") / 4.0

    def _classify(self, layers: BoundLayers, x: Float[Array, "b h w c"]) -> Float[Array, "b k"]:
        x = layers.activate("final_norm", x)
        return layers.classifier(self.classes)(name="classifier")(x.mean((1, 2)))


def densenet(
    classes: int,
    layers: Layers,
    /,
    *,
    depth: int = 100,
    growth: int = 12,
    bottleneck: bool = True,
    compression: float = 0.5,
    dropout: float = 0.0,
    skip: bool = True,
) -> DenseNet:
    """DenseNet-BC; with `bottleneck` False and `compression` 1.0 DenseNet. Section 3 of the paper.

    Args:
      depth: 6n + 4, of n layers a block with a bottleneck each, or 3n + 4 without.
      growth: features that a layer adds; the stem has twice as many, without bottlenecks 16.
      compression: share of the features that goes from a block to the next.
      dropout: rate, behind each convolution but the first; the paper has 0.2 without augmentation.

    Raises:
      ValueError: a depth that is not of the form, a growth below 1, or a share that is none.
    """
    n = checks.of_form(depth, 6 if bottleneck else 3, 4)
    _check(growth, compression, dropout)
    return DenseNet(classes, layers, (n,) * BLOCKS, growth, bottleneck, compression, dropout, skip)


def imagenet_densenet(
    classes: int,
    layers: Layers,
    /,
    *,
    depth: int = 121,
    growth: int = 32,
    compression: float = 0.5,
    dropout: float = 0.0,
    stem: Literal["imagenet", "cifar"] = "imagenet",
    skip: bool = True,
) -> DenseNet:
    """Four blocks of layers with bottlenecks, for 224 pixels: table 1 of the paper.

    Args:
      growth, compression, dropout: as in `densenet`; DenseNet-161 has a growth of 48.
      stem: that of `densenet` (`cifar`), for small images.

    Raises:
      ValueError: a depth that there is not, a growth below 1, or a share that is none.
    """
    if depth not in IMAGENET_SIZES:
        raise ValueError(f"depth is {depth}; it must be one of {', '.join(map(str, IMAGENET_SIZES))}")
    _check(growth, compression, dropout)
    return DenseNet(classes, layers, IMAGENET_SIZES[depth], growth, True, compression, dropout, skip, stem)


def _check(growth: int, compression: float, dropout: float) -> None:
    checks.at_least(1, growth=growth)
    checks.share(dropout=dropout)
    if not 0 < compression <= 1:
        raise ValueError(f"compression is {compression}; it must be above 0 and at most 1")
