"""Nets by PyTorch's names: what their state dicts hold, and what they compute, from the classes' sources.

Arrays are PyTorch's, (n, c, h, w) and (o, i, h, w); nothing is shared with the package. Sources:
torchvision/models/resnet.py, kuangliu/pytorch-cifar, akamaster/pytorch_resnet_cifar10,
xternalz/WideResNet-pytorch. Nets that concatenate are in `joined_dicts`.
"""

import dataclasses
from collections.abc import Iterator
from typing import Any, Protocol

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

Tensors = dict[str, np.ndarray]
Shapes = dict[str, tuple[int, ...]]


class Net(Protocol):
    """What a class of PyTorch's holds, and what it computes of normalised images."""

    def shapes(self) -> Shapes: ...

    def __call__(self, t: Tensors, x: Any) -> Any: ...


def conv(x: Any, kernel: Any, stride: int = 1, groups: int = 1) -> Any:
    pad = (kernel.shape[-1] // 2,) * 2
    form = ("NCHW", "OIHW", "NCHW")
    return lax.conv_general_dilated(
        x, kernel, (stride, stride), (pad, pad), dimension_numbers=form, feature_group_count=groups
    )


def norm(t: Tensors, name: str, x: Any, epsilon: float = 1e-5) -> Any:
    mean, var, weight, bias = (
        t[f"{name}.{leaf}"][None, :, None, None] for leaf in ("running_mean", "running_var", "weight", "bias")
    )
    return (x - mean) / jnp.sqrt(var + epsilon) * weight + bias


def max_pool(x: Any, size: int, stride: int, pads: tuple[int, int]) -> Any:
    """`pads`: pixels before and behind, on both axes."""
    given = ((0, 0), (0, 0), pads, pads)
    return lax.reduce_window(x, -np.inf, lax.max, (1, 1, size, size), (1, 1, stride, stride), given)


def mean_pool(x: Any) -> Any:
    """AvgPool2d(2, 2, ceil_mode=True, count_include_pad=False): pixels as four, those that there are."""
    high, wide = x.shape[2:]
    rows, columns = (np.repeat(np.eye((n + 1) // 2), 2, 1)[:, :n] for n in (high, wide))
    rows, columns = (each / each.sum(1, keepdims=True) for each in (rows, columns))
    return jnp.einsum("ih,bchw,jw->bcij", rows.astype(np.float32), x, columns.astype(np.float32))


def relu(x: Any) -> Any:
    return jnp.maximum(x, 0)


def linear(t: Tensors, name: str, x: Any) -> Any:
    return x @ t[f"{name}.weight"].T + t[f"{name}.bias"][None]


def norm_shapes(name: str, channels: int) -> Shapes:
    return {f"{name}.{leaf}": (channels,) for leaf in ("weight", "bias", "running_mean", "running_var")}


def draw(shapes: Shapes, seed: int = 0) -> Tensors:
    """-> float32 values in no special place, that keep activations of the size of one."""
    rng = np.random.default_rng(seed)

    def one(name: str, shape: tuple[int, ...]) -> Any:
        if name.endswith("running_var") or (name.endswith("weight") and len(shape) == 1):
            return rng.uniform(0.5, 1.5, shape)
        scale = (2 / np.prod(shape[1:])) ** 0.5 if len(shape) > 1 else 0.2
        return rng.normal(0, scale, shape)

    return {name: one(name, shape).astype(np.float32) for name, shape in shapes.items()}


@dataclasses.dataclass(frozen=True)
class ResNet:
    """torchvision's class and those that go back to it.

    Attributes:
      inner: width of a bottleneck's middle per width of its stage, 0: the units are basic ones.
      ratio: of timm's squeeze-and-excitation, 0: there is none.
      shortcut: `downsample` or `shortcut`, convolution and norm; `pool`: `downsample` behind a pool; `both`,
        `behind`: option A, zeros so.
      stem: side of its convolution; 0: timm's deep one.
    """

    sizes: tuple[int, ...]
    width: int
    inner: float = 0
    groups: int = 1
    shortcut: str = "downsample"
    classifier: str = "fc"
    stem: int = 7
    ratio: int = 0
    channels: int = 1
    classes: int = 10

    def units(self) -> Iterator[tuple[str, int, int, int, int]]:
        """-> name, channels of its input, width of its stage, channels of its output, stride."""
        read = self.width
        for stage, size in enumerate(self.sizes):
            width = self.width * 2**stage
            written = width * 4 if self.inner else width
            for number in range(size):
                stride = 2 if stage and not number else 1
                yield f"layer{stage + 1}.{number}", read, width, written, stride
                read = written

    def kernels(self, read: int, width: int, written: int) -> list[tuple[int, ...]]:
        if not self.inner:
            return [(width, read, 3, 3), (width, width, 3, 3)]
        middle = int(width * self.inner)
        return [(middle, read, 1, 1), (middle, middle // self.groups, 3, 3), (written, middle, 1, 1)]

    def projects(self, read: int, written: int, stride: int) -> bool:
        return self.shortcut in ("downsample", "shortcut", "pool") and (read != written or stride > 1)

    def projection(self, name: str) -> tuple[str, str]:
        """-> names of a unit's convolution and norm beside its branch."""
        kind, first = ("downsample", 1) if self.shortcut == "pool" else (self.shortcut, 0)
        return f"{name}.{kind}.{first}", f"{name}.{kind}.{first + 1}"

    def stem_shapes(self) -> Shapes:
        if self.stem:
            return {"conv1.weight": (self.width, self.channels, self.stem, self.stem)}
        half = self.width // 2
        found: Shapes = {"conv1.0.weight": (half, self.channels, 3, 3), "conv1.3.weight": (half, half, 3, 3)}
        found |= norm_shapes("conv1.1", half) | norm_shapes("conv1.4", half)
        return found | {"conv1.6.weight": (self.width, half, 3, 3)}

    def begin(self, t: Tensors, x: Any) -> Any:
        if self.stem:
            return conv(x, t["conv1.weight"], 2 if self.stem == 7 else 1)
        x = relu(norm(t, "conv1.1", conv(x, t["conv1.0.weight"], 2)))
        return conv(relu(norm(t, "conv1.4", conv(x, t["conv1.3.weight"]))), t["conv1.6.weight"])

    def shapes(self) -> Shapes:
        found = self.stem_shapes() | norm_shapes("bn1", self.width)
        for name, read, width, written, stride in self.units():
            for number, shape in enumerate(self.kernels(read, width, written), 1):
                found |= {f"{name}.conv{number}.weight": shape}
                found |= norm_shapes(f"{name}.bn{number}", shape[0])
            if self.ratio:
                narrow = written // self.ratio
                found |= {f"{name}.se.fc1.weight": (narrow, written, 1, 1), f"{name}.se.fc1.bias": (narrow,)}
                found |= {f"{name}.se.fc2.weight": (written, narrow, 1, 1), f"{name}.se.fc2.bias": (written,)}
            if self.projects(read, written, stride):
                conv_name, norm_name = self.projection(name)
                found |= {f"{conv_name}.weight": (written, read, 1, 1)} | norm_shapes(norm_name, written)
        last = self.width * 2 ** (len(self.sizes) - 1) * (4 if self.inner else 1)
        found |= {
            f"{self.classifier}.weight": (self.classes, last),
            f"{self.classifier}.bias": (self.classes,),
        }
        return found

    def __call__(self, t: Tensors, x: Any) -> Any:
        x = relu(norm(t, "bn1", self.begin(t, x)))
        x = x if self.stem == 3 else max_pool(x, 3, 2, (1, 1))
        for name, read, _, written, stride in self.units():
            x = relu(self.branch(t, name, x, stride) + self.along(t, name, x, read, written, stride))
        return linear(t, self.classifier, x.mean((2, 3)))

    def branch(self, t: Tensors, name: str, x: Any, stride: int) -> Any:
        strides = (1, stride, 1) if self.inner else (stride, 1)
        for number, by in enumerate(strides, 1):
            groups = self.groups if self.inner and number == 2 else 1
            x = norm(t, f"{name}.bn{number}", conv(x, t[f"{name}.conv{number}.weight"], by, groups))
            x = relu(x) if number < len(strides) else x
        return x * self.excite(t, name, x) if self.ratio else x

    def excite(self, t: Tensors, name: str, x: Any) -> Any:
        narrow = conv(x.mean((2, 3), keepdims=True), t[f"{name}.se.fc1.weight"])
        narrow = relu(narrow + t[f"{name}.se.fc1.bias"][None, :, None, None])
        wide = conv(narrow, t[f"{name}.se.fc2.weight"]) + t[f"{name}.se.fc2.bias"][None, :, None, None]
        return 1 / (1 + jnp.exp(-wide))

    def along(self, t: Tensors, name: str, x: Any, read: int, written: int, stride: int) -> Any:
        if self.projects(read, written, stride):
            conv_name, norm_name = self.projection(name)
            if self.shortcut == "pool" and stride > 1:
                x, stride = mean_pool(x), 1
            return norm(t, norm_name, conv(x, t[f"{conv_name}.weight"], stride))
        before = (written - read) // 2 if self.shortcut == "both" else 0
        pads = ((0, 0), (before, written - read - before), (0, 0), (0, 0))
        return jnp.pad(x[:, :, ::stride, ::stride], pads)


@dataclasses.dataclass(frozen=True)
class WideResNet:
    units: int
    widen: int

    def widths(self) -> list[tuple[int, int, int, int]]:
        """-> stage, number, channels of input and output of each unit."""
        edges = [16, *(16 * 2**stage * self.widen for stage in range(3))]
        return [
            (stage + 1, number, edges[stage + (number > 0)], edges[stage + 1])
            for stage in range(3)
            for number in range(self.units)
        ]

    def shapes(self) -> Shapes:
        found: Shapes = {"conv1.weight": (16, 1, 3, 3)}
        for stage, number, read, written in self.widths():
            name = f"block{stage}.layer.{number}"
            found |= norm_shapes(f"{name}.bn1", read) | {f"{name}.conv1.weight": (written, read, 3, 3)}
            found |= norm_shapes(f"{name}.bn2", written) | {f"{name}.conv2.weight": (written, written, 3, 3)}
            if read != written:
                found[f"{name}.convShortcut.weight"] = (written, read, 1, 1)
        last = 64 * self.widen
        return found | norm_shapes("bn1", last) | {"fc.weight": (10, last), "fc.bias": (10,)}

    def __call__(self, t: Tensors, x: Any) -> Any:
        x = conv(x, t["conv1.weight"])
        for stage, number, read, written in self.widths():
            name, stride = f"block{stage}.layer.{number}", 2 if stage > 1 and not number else 1
            y = relu(norm(t, f"{name}.bn1", x))
            along = x if read == written else conv(y, t[f"{name}.convShortcut.weight"], stride)
            y = relu(norm(t, f"{name}.bn2", conv(y, t[f"{name}.conv1.weight"], stride)))
            x = along + conv(y, t[f"{name}.conv2.weight"])
        return linear(t, "fc", relu(norm(t, "bn1", x)).mean((2, 3)))


FAST = {"xla_backend_optimization_level": 0}  # to compile


def logits(net: Net, tensors: Tensors, inputs: np.ndarray) -> np.ndarray:
    return np.asarray(jax.jit(net, compiler_options=FAST)(tensors, inputs))
