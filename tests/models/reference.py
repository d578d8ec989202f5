"""The arithmetic of units in float64 NumPy, sharing no code with the package, and values to put in."""

import dataclasses
import itertools
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from scipy.signal import correlate

# He et al. 2016 (1603.05027), figure 4: what comes first; every layer but the last, and what follows it; the
# last. L: layer, N: norm, R: ReLU, +: the shortcut is added.
ORDERS = {
    "original": ("", "LNR", "LN+R"),
    "norm_after_addition": ("", "LNR", "L+NR"),
    "relu_before_addition": ("", "LNR", "LNR+"),
    "relu_preactivation": ("R", "LNR", "LN+"),
    "preactivation": ("NR", "LNR", "L+"),
}


@dataclasses.dataclass
class Reference:
    """The arithmetic of one unit; with `momentum` it trains, and `running` receives the new statistics.

    Attributes:
      shared: what comes first serves the shortcut too.
      scales: of shortcut and branch.
      gated: the shortcut, or shortcut and branch, by the parameters in `mix`.
    """

    variables: Any
    order: str
    strides: tuple[int, ...]
    shortcut: str
    momentum: float | None = None
    shared: bool = False
    scales: tuple[float, float] = (1.0, 1.0)
    gated: str = "none"
    running: dict[tuple[str, ...], np.ndarray] = dataclasses.field(default_factory=dict)

    def __call__(self, x: np.ndarray) -> np.ndarray:
        params = self.variables["params"]
        names = iter(sorted(name for name in params if name.startswith(("conv", "dense"))))
        strides, norms = iter(self.strides), itertools.count(1)
        begin, inner, last = ORDERS[self.order]
        y = x
        for step in f"{begin}|{inner * (len(self.strides) - 1)}{last}":
            if step == "L":
                y = layer(y, params[next(names)]["kernel"], next(strides))
            elif step == "N":
                y = self.norm(y, f"norm{next(norms)}")
            elif step == "R":
                y = np.maximum(y, 0)
            elif step == "+":
                y = self.join(x, y)
            elif self.shared:
                x = y
        return y

    def join(self, x: np.ndarray, y: np.ndarray) -> np.ndarray:
        along = self.along(x, y.shape[-1])
        if self.gated != "none":
            conv = self.variables["params"]["mix"]["conv"]
            gate = 1 / (1 + np.exp(-layer(x, conv["kernel"], max(self.strides)) - conv["bias"]))
            along, y = (1 - gate) * along, y * gate if self.gated == "exclusive" else y
        return self.scales[0] * along + self.scales[1] * y

    def along(self, x: np.ndarray, features: int) -> np.ndarray | float:
        stride = max(self.strides)
        if self.shortcut == "projection":
            projected = layer(x, self.variables["params"]["shortcut"]["conv"]["kernel"], stride)
            normed = "N+" in ORDERS[self.order][2] or "NR+" in ORDERS[self.order][2]
            return self.norm(projected, "shortcut", "norm") if normed else projected
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
