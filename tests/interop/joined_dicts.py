"""Nets whose layers are concatenated, by PyTorch's names; as `state_dicts`, whose arrays and words these are.

Sources: torchvision/models/densenet.py and googlenet.py, gpleiss/efficient_densenet_pytorch.
"""

import dataclasses
import math
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


# The arguments of `inception_block` in the source: channels read; 1x1; 3x3 reduced, 3x3; 5x5 reduced, 5x5 (in
# fact 3x3); behind the pool.
INCEPTION = {
    "3a": (192, 64, 96, 128, 16, 32, 32),
    "3b": (256, 128, 128, 192, 32, 96, 64),
    "4a": (480, 192, 96, 208, 16, 48, 64),
    "4b": (512, 160, 112, 224, 24, 64, 64),
    "4c": (512, 128, 128, 256, 24, 64, 64),
    "4d": (512, 112, 144, 288, 32, 64, 64),
    "4e": (528, 256, 160, 320, 32, 128, 128),
    "5a": (832, 256, 160, 320, 32, 128, 128),
    "5b": (832, 384, 192, 384, 48, 128, 128),
}


@dataclasses.dataclass(frozen=True)
class GoogLeNet:
    """torchvision's, by default without its auxiliary heads."""

    heads: bool = False
    channels: int = 1
    classes: int = 10

    def kernels(self) -> dict[str, tuple[int, int, int]]:
        """-> {module: channels written and read, side}."""
        found = {"conv1": (64, self.channels, 7), "conv2": (64, 64, 1), "conv3": (192, 64, 3)}
        for name, (read, one, reduce3, three, reduce5, five, projection) in INCEPTION.items():
            module = f"inception{name}"
            found |= {f"{module}.branch1": (one, read, 1), f"{module}.branch4.1": (projection, read, 1)}
            found |= {f"{module}.branch2.0": (reduce3, read, 1), f"{module}.branch2.1": (three, reduce3, 3)}
            found |= {f"{module}.branch3.0": (reduce5, read, 1), f"{module}.branch3.1": (five, reduce5, 3)}
        return found | ({"aux1.conv": (128, 512, 1), "aux2.conv": (128, 528, 1)} if self.heads else {})

    def shapes(self) -> Shapes:
        found: Shapes = {}
        for name, (written, read, side) in self.kernels().items():
            found |= {f"{name}.conv.weight": (written, read, side, side)} | norm_shapes(f"{name}.bn", written)
        linear = {"fc": (self.classes, 1024)}
        for head in ("aux1", "aux2") if self.heads else ():
            linear |= {f"{head}.fc1": (1024, 2048), f"{head}.fc2": (self.classes, 1024)}
        for name, shape in linear.items():
            found |= {f"{name}.weight": shape, f"{name}.bias": shape[:1]}
        return found

    def __call__(self, t: Tensors, x: Any) -> Any:
        x = ceil_pool(self.basic(t, "conv1", x, 2), 3)
        x = ceil_pool(self.basic(t, "conv3", self.basic(t, "conv2", x)), 3)
        for name in INCEPTION:
            x = ceil_pool(x, {"4a": 3, "5a": 2}[name]) if name in ("4a", "5a") else x
            x = self.inception(t, f"inception{name}", x)
        return linear(t, "fc", x.mean((2, 3)))

    def basic(self, t: Tensors, name: str, x: Any, stride: int = 1) -> Any:
        return relu(norm(t, f"{name}.bn", conv(x, t[f"{name}.conv.weight"], stride), 1e-3))

    def inception(self, t: Tensors, name: str, x: Any) -> Any:
        branches = (
            self.basic(t, f"{name}.branch1", x),
            self.basic(t, f"{name}.branch2.1", self.basic(t, f"{name}.branch2.0", x)),
            self.basic(t, f"{name}.branch3.1", self.basic(t, f"{name}.branch3.0", x)),
            self.basic(t, f"{name}.branch4.1", max_pool(x, 3, 1, (1, 1))),
        )
        return jnp.concatenate(branches, 1)


def ceil_pool(x: Any, size: int) -> Any:
    """MaxPool2d(size, 2, ceil_mode=True): as many windows as begin within, one of which may hang over."""
    side = x.shape[-1]
    windows = math.ceil((side - size) / 2) + 1
    return max_pool(x, size, 2, (0, (windows - 1) * 2 + size - side))
