"""Nets whose layers are concatenated, by PyTorch's names; as `state_dicts`, whose arrays and words these are.

Sources: torchvision/models/densenet.py, gpleiss/efficient_densenet_pytorch.
"""

import dataclasses
from collections.abc import Iterator
from typing import Any

import jax.numpy as jnp
from jax import lax
from state_dicts import Shapes, Tensors, conv, linear, max_pool, norm, norm_shapes, relu


@dataclasses.dataclass(frozen=True)
class DenseNet:
    """Both classes.

    Attributes:
      sizes: layers in each block.
      last: the name of the last norm.
      stem: 3, or torchvision's 7 with norm and pool behind it.
    """

    sizes: tuple[int, ...]
    growth: int
    last: str = "norm5"
    stem: int = 7
    channels: int = 1
    classes: int = 10

    def layers(self) -> Iterator[tuple[str, int]]:
        """-> names of layers and transitions, and the channels that they read."""
        channels = 2 * self.growth
        for block, size in enumerate(self.sizes, 1):
            for number in range(1, size + 1):
                yield f"features.denseblock{block}.denselayer{number}", channels
                channels += self.growth
            if block < len(self.sizes):
                yield f"features.transition{block}", channels
                channels //= 2
        yield f"features.{self.last}", channels

    def shapes(self) -> Shapes:
        stem = 2 * self.growth
        found: Shapes = {"features.conv0.weight": (stem, self.channels, self.stem, self.stem)}
        found |= norm_shapes("features.norm0", stem) if self.stem == 7 else {}
        *inner, (last, channels) = self.layers()
        for name, read in inner:
            found |= self.layer_shapes(name, read)
        found |= norm_shapes(last, channels)
        return found | {"classifier.weight": (self.classes, channels), "classifier.bias": (self.classes,)}

    def layer_shapes(self, name: str, read: int) -> Shapes:
        if "transition" in name:
            return norm_shapes(f"{name}.norm", read) | {f"{name}.conv.weight": (read // 2, read, 1, 1)}
        wide = 4 * self.growth
        found = norm_shapes(f"{name}.norm1", read) | norm_shapes(f"{name}.norm2", wide)
        found[f"{name}.conv1.weight"] = (wide, read, 1, 1)
        return found | {f"{name}.conv2.weight": (self.growth, wide, 3, 3)}

    def __call__(self, t: Tensors, x: Any) -> Any:
        x = conv(x, t["features.conv0.weight"], 2 if self.stem == 7 else 1)
        if self.stem == 7:
            x = max_pool(relu(norm(t, "features.norm0", x)), 3, 2, (1, 1))
        *inner, (last, _) = self.layers()
        for name, _ in inner:
            x = self.halve(t, name, x) if "transition" in name else self.join(t, name, x)
        return linear(t, "classifier", relu(norm(t, last, x)).mean((2, 3)))

    def join(self, t: Tensors, name: str, x: Any) -> Any:
        y = conv(relu(norm(t, f"{name}.norm1", x)), t[f"{name}.conv1.weight"])
        return jnp.concatenate([x, conv(relu(norm(t, f"{name}.norm2", y)), t[f"{name}.conv2.weight"])], 1)

    def halve(self, t: Tensors, name: str, x: Any) -> Any:
        x = conv(relu(norm(t, f"{name}.norm", x)), t[f"{name}.conv.weight"])
        return lax.reduce_window(x, 0.0, lax.add, (1, 1, 2, 2), (1, 1, 2, 2), "VALID") / 4
