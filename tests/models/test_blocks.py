"""The layers of blocks against NumPy."""

import flax.linen as nn
import jax
import numpy as np
from reference import assert_close, random_like, wide

from resjax.models.blocks import BoundLayers, Layers


class Normed(nn.Module):
    layers: BoundLayers

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        return self.layers.normalize("norm")(x)


def test_group_norm_is_over_eight_channels_of_one_image() -> None:
    x = np.random.default_rng(0).normal(2, 3, size=(3, 4, 5, 16)).astype(np.float32)
    norm = Normed(Layers(norm="group").bind(train=True))
    variables = random_like(jax.eval_shape(lambda: norm.init(jax.random.key(0), x)))
    groups = x.astype(np.float64).reshape(3, 20, 2, 8)
    mean, var = groups.mean((1, 3), keepdims=True), groups.var((1, 3), keepdims=True)
    exact = wide(variables["params"]["norm"])
    want = ((groups - mean) / np.sqrt(var + 1e-5)).reshape(x.shape) * exact["scale"] + exact["bias"]
    assert_close(norm.apply(variables, x), want)
