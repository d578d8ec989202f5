"""Units of all orders against the float64 arithmetic of `reference`."""

from typing import Any, get_args

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax.traverse_util import flatten_dict
from reference import Reference, assert_close, wide
from selection import parametrize_sampled
from small_units import BASIC, BASIC_DOWN, BOTTLENECK, DOWN_FIRST, DOWN_MIDDLE, build, prepared

from resjax.models.blocks import Layers
from resjax.models.units import UNITS, Order

ORDERS = get_args(Order)
CASES = [
    *((convs, shortcut) for convs in (BASIC, BOTTLENECK) for shortcut in ("identity", "projection", "none")),
    *(
        (convs, shortcut)
        for convs in (BASIC_DOWN, DOWN_FIRST, DOWN_MIDDLE)
        for shortcut in ("pad", "projection", "none")
    ),
]


def test_every_order_that_a_config_may_name_has_its_unit() -> None:
    assert tuple(UNITS) == ORDERS


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
@pytest.mark.parametrize("order", ORDERS)
def test_what_comes_first_feeds_a_shortcut_that_shares_it(order: str, convs: Any, shortcut: str) -> None:
    unit = build(order, convs, shortcut, Layers().bind(train=False), shared=True)
    x, variables = prepared(unit)
    strides = tuple(conv[2] for conv in convs)
    reference = Reference(wide(variables), order, strides, shortcut, shared=True)
    assert_close(unit.apply(variables, x), reference(wide(x)))


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


@parametrize_sampled("order", ORDERS, default=("original", "preactivation"))
@parametrize_sampled(
    ("convs", "shortcut"),
    [(BASIC, "identity"), (BASIC_DOWN, "none"), (DOWN_MIDDLE, "projection")],
    default=lambda case: case[1] == "projection",
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
