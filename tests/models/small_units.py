"""Small units of every order and shortcut, and what to feed them."""

from collections.abc import Callable
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
from reference import random_like

from resjax.models.blocks import BoundLayers
from resjax.models.shortcuts import IdentityShortcut, Mixing, PadShortcut, ProjectionShortcut
from resjax.models.units import UNITS, Unit

# (kernel, features, stride) of each convolution; all read 4 features.
BASIC = ((3, 4, 1), (3, 4, 1))
BASIC_DOWN = ((3, 6, 2), (3, 6, 1))
BOTTLENECK = ((1, 2, 1), (3, 2, 1), (1, 4, 1))
DOWN_FIRST = ((1, 2, 2), (3, 2, 1), (1, 6, 1))
DOWN_MIDDLE = ((1, 2, 1), (3, 2, 2), (1, 6, 1))


def build(
    order: str, convs: Any, shortcut: str, layers: BoundLayers, shared: bool = False, **settings: Any
) -> Unit:
    """`settings` are those of `Mixing`."""
    branch = tuple(
        (f"conv{i}", layers.conv(features, kernel, stride))
        for i, (kernel, features, stride) in enumerate(convs, 1)
    )
    features, stride = convs[-1][1], max(conv[2] for conv in convs)
    modules: dict[str, Callable[[], nn.Module | None]] = {
        "identity": IdentityShortcut,
        "pad": lambda: PadShortcut(features, stride),
        "projection": lambda: ProjectionShortcut(features, layers, stride, UNITS[order].normed),
        "none": lambda: None,
    }
    mixing = Mixing(**settings)
    mix = mixing.bind(layers, stride)
    return UNITS[order](branch, layers, modules[shortcut](), shared, mix, mixing.survival)


def prepared(unit: nn.Module) -> tuple[jax.Array, Any]:
    """-> an input of odd and even sides, and random variables."""
    x = jnp.asarray(np.random.default_rng(1).normal(size=(2, 6, 5, 4)), jnp.float32)
    return x, random_like(jax.eval_shape(lambda: unit.init(jax.random.key(0), x)))
