"""Units against the float64 arithmetic of `reference`."""

from collections.abc import Callable
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax.traverse_util import flatten_dict
from reference import Reference, assert_close, random_like, wide

from resjax.models.blocks import (
    BoundLayers,
    IdentityShortcut,
    Layers,
    OriginalUnit,
    PadShortcut,
    PreactivationUnit,
    ProjectionShortcut,
)

ORDERS = ("original", "preactivation")
# (kernel, features, stride) of each convolution; all read 4 features.
BASIC = ((3, 4, 1), (3, 4, 1))
BASIC_DOWN = ((3, 6, 2), (3, 6, 1))
BOTTLENECK = ((1, 2, 1), (3, 2, 1), (1, 4, 1))
DOWN_FIRST = ((1, 2, 2), (3, 2, 1), (1, 6, 1))
DOWN_MIDDLE = ((1, 2, 1), (3, 2, 2), (1, 6, 1))
CASES = [
    *((convs, shortcut) for convs in (BASIC, BOTTLENECK) for shortcut in ("identity", "projection", "none")),
    *(
        (convs, shortcut)
        for convs in (BASIC_DOWN, DOWN_FIRST, DOWN_MIDDLE)
        for shortcut in ("pad", "projection", "none")
    ),
]


def build(order: str, convs: Any, shortcut: str, layers: BoundLayers, shared: bool = False) -> nn.Module:
    branch = tuple(
        (f"conv{i}", layers.conv(features, kernel, stride))
        for i, (kernel, features, stride) in enumerate(convs, 1)
    )
    features, stride = convs[-1][1], max(conv[2] for conv in convs)
    modules: dict[str, Callable[[], nn.Module | None]] = {
        "identity": IdentityShortcut,
        "pad": lambda: PadShortcut(features, stride),
        "projection": lambda: ProjectionShortcut(features, layers, stride, order == "original"),
        "none": lambda: None,
    }
    if order == "original":
        return OriginalUnit(branch, layers, modules[shortcut]())
    return PreactivationUnit(branch, layers, modules[shortcut](), shared)


def prepared(unit: nn.Module) -> tuple[jax.Array, Any]:
    """-> an input of odd and even sides, and random variables."""
    x = jnp.asarray(np.random.default_rng(1).normal(size=(2, 6, 5, 4)), jnp.float32)
    return x, random_like(jax.eval_shape(lambda: unit.init(jax.random.key(0), x)))


@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize(("convs", "shortcut"), CASES)
def test_a_unit_is_its_formula(order: str, convs: Any, shortcut: str) -> None:
    unit = build(order, convs, shortcut, Layers().bind(train=False))
    x, variables = prepared(unit)
    reference = Reference(wide(variables), order, tuple(conv[2] for conv in convs), shortcut)
    assert_close(unit.apply(variables, x), reference(wide(x)))


@pytest.mark.parametrize(
    ("convs", "shortcut"), [(BASIC, "identity"), (DOWN_FIRST, "projection"), (BASIC_DOWN, "pad")]
)
def test_a_shared_first_norm_feeds_the_shortcut(convs: Any, shortcut: str) -> None:
    unit = build("preactivation", convs, shortcut, Layers().bind(train=False), shared=True)
    x, variables = prepared(unit)
    strides = tuple(conv[2] for conv in convs)
    reference = Reference(wide(variables), "preactivation", strides, shortcut, shared=True)
    assert_close(unit.apply(variables, x), reference(wide(x)))


@pytest.mark.parametrize(("stride", "features"), [(1, 4), (1, 7), (2, 4), (2, 8)])
def test_the_padded_shortcut_only_drops_pixels_and_adds_zeros(stride: int, features: int) -> None:
    x = np.random.default_rng(0).normal(size=(2, 5, 6, 4)).astype(np.float32)
    shortcut = PadShortcut(features, stride)
    got = np.asarray(shortcut.apply({}, jnp.asarray(x)))
    np.testing.assert_array_equal(got[..., :4], x[:, ::stride, ::stride])
    assert got.shape[-1] == features
    assert not got[..., 4:].any()
    assert shortcut.init(jax.random.key(0), x) == {}


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


@pytest.mark.parametrize("order", ORDERS)
def test_training_normalises_by_the_batch_and_moves_the_running_statistics(order: str) -> None:
    unit = build(order, BASIC_DOWN, "projection", Layers(norm_momentum=0.75).bind(train=True))
    x, variables = prepared(unit)
    got, updated = unit.apply(variables, x, mutable=["batch_stats"])
    reference = Reference(wide(variables), order, (2, 1), "projection", momentum=0.75)
    assert_close(got, reference(wide(x)))
    found = flatten_dict(updated["batch_stats"])
    assert found.keys() == reference.running.keys()
    for path, statistics in reference.running.items():
        assert_close(found[path], statistics)


@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize(
    ("convs", "shortcut"), [(BASIC, "identity"), (BASIC_DOWN, "none"), (DOWN_MIDDLE, "projection")]
)
def test_gradients_are_the_formula_s_finite_differences(order: str, convs: Any, shortcut: str) -> None:
    """Of every parameter and the input, along a random direction, through the batch's statistics."""
    unit = build(order, convs, shortcut, Layers().bind(train=True))
    x, variables = prepared(unit)
    strides, stats = tuple(conv[2] for conv in convs), variables["batch_stats"]
    point = {"params": variables["params"], "x": x}
    weights = np.random.default_rng(2).normal(size=unit.apply(variables, x, mutable=True)[0].shape)

    def loss(point: Any) -> jax.Array:
        both = {"params": point["params"], "batch_stats": stats}
        return (unit.apply(both, point["x"], mutable=["batch_stats"])[0] * jnp.float32(weights)).sum()

    def exact(leaves: list[np.ndarray]) -> float:
        at = jax.tree.unflatten(tree, leaves)
        both = {"params": at["params"], "batch_stats": wide(stats)}
        return float((Reference(both, order, strides, shortcut, momentum=0.9)(at["x"]) * weights).sum())

    leaves, tree = jax.tree.flatten(wide(point))
    for i, gradient in enumerate(jax.tree.leaves(jax.jit(jax.grad(loss))(point))):
        direction = np.random.default_rng(i).normal(size=leaves[i].shape)
        ahead, behind = (
            exact([*leaves[:i], leaves[i] + sign * 1e-6 * direction, *leaves[i + 1 :]]) for sign in (1, -1)
        )
        np.testing.assert_allclose(
            (gradient * direction).sum(), (ahead - behind) / 2e-6, rtol=2e-4, atol=2e-4
        )
