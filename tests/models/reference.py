"""The arithmetic of units in float64 NumPy, sharing no code with the package, and values to put in."""

import dataclasses
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from scipy.signal import correlate


@dataclasses.dataclass
class Reference:
    """The arithmetic of one unit; with `momentum` it trains, and `running` receives the new statistics."""

    variables: Any
    order: str
    strides: tuple[int, ...]
    shortcut: str
    momentum: float | None = None
    shared: bool = False
    running: dict[tuple[str, ...], np.ndarray] = dataclasses.field(default_factory=dict)

    def __call__(self, x: np.ndarray) -> np.ndarray:
        params = self.variables["params"]
        names = sorted(name for name in params if name.startswith(("conv", "dense")))
        y = x
        for number, (name, stride) in enumerate(zip(names, self.strides, strict=True), 1):
            if self.order == "preactivation":
                y = np.maximum(self.norm(y, f"norm{number}"), 0)
                x = y if number == 1 and self.shared else x
                y = layer(y, params[name]["kernel"], stride)
            else:
                y = self.norm(layer(y, params[name]["kernel"], stride), f"norm{number}")
                y = np.maximum(y, 0) if number < len(names) else y
        y = y + self.along(x, y.shape[-1])
        return np.maximum(y, 0) if self.order == "original" else y

    def along(self, x: np.ndarray, features: int) -> np.ndarray | float:
        stride = max(self.strides)
        if self.shortcut == "projection":
            projected = layer(x, self.variables["params"]["shortcut"]["conv"]["kernel"], stride)
            return self.norm(projected, "shortcut", "norm") if self.order == "original" else projected
        if self.shortcut == "pad":
            thinned = x[:, ::stride, ::stride]
            missing = np.zeros((*thinned.shape[:-1], features - x.shape[-1]))
            return np.concatenate([thinned, missing], -1)
        return x if self.shortcut == "identity" else 0.0

    def norm(self, x: np.ndarray, *path: str) -> np.ndarray:
        affine, running = self.variables["params"], self.variables["batch_stats"]
        for part in path:
            affine, running = affine[part], running[part]
        mean, var = running["mean"], running["var"]
        if self.momentum is not None:
            flat = x.reshape(-1, x.shape[-1])
            mean = flat.sum(0) / len(flat)
            var = ((flat - mean) ** 2).sum(0) / len(flat)  # biased: over n, not n - 1
            keep = self.momentum
            self.running[*path, "mean"] = keep * running["mean"] + (1 - keep) * mean
            self.running[*path, "var"] = keep * running["var"] + (1 - keep) * var
        return (x - mean) / np.sqrt(var + 1e-5) * affine["scale"] + affine["bias"]


def layer(x: np.ndarray, kernel: np.ndarray, stride: int) -> np.ndarray:
    """A dense layer, or a convolution padded by half the kernel."""
    if kernel.ndim == 2:
        return x @ kernel
    half = len(kernel) // 2
    padded = np.pad(x, ((0, 0), (half, half), (half, half), (0, 0)))
    maps = [
        [correlate(image, kernel[..., k], "valid")[::stride, ::stride, 0] for k in range(kernel.shape[-1])]
        for image in padded
    ]
    return np.moveaxis(np.asarray(maps), 1, -1)


def random_like(variables: Any, seed: int = 0) -> Any:
    """-> float32 values in no special place: no zero shifts, no unit scales, variances away from 0."""
    rng = np.random.default_rng(seed)

    def draw(path: Any, leaf: Any) -> jax.Array:
        positive = path[-1].key in ("scale", "var")
        values = rng.uniform(0.5, 2, leaf.shape) if positive else rng.normal(0, 0.5, leaf.shape)
        return jnp.asarray(values, jnp.float32)

    return jax.tree_util.tree_map_with_path(draw, variables)


def wide(tree: Any) -> Any:
    return jax.tree.map(lambda leaf: np.asarray(leaf, np.float64), tree)


def assert_close(got: Any, want: np.ndarray, tolerance: float = 1e-5) -> None:
    """Nowhere further apart than `tolerance` of the largest value: float32 sums round by their terms."""
    assert np.shape(got) == want.shape
    np.testing.assert_allclose(np.asarray(got, np.float64), want, rtol=0, atol=tolerance * np.abs(want).max())
