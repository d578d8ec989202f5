"""Units that are deleted, reordered and followed, against the nets that they must amount to."""

import itertools
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from selection import parametrize_sampled

from resjax.models.blocks import Layers
from resjax.models.mlp import residual_mlp
from resjax.models.resnet import cifar_resnet
from resjax.models.trunk import Trunk
from resjax.models.units import UNITS
from resjax.probes import surgery

CONVOLUTIONAL: list[dict[str, Any]] = [
    {},
    {"skip": False},
    {"shortcut": "B"},
    {"order": "preactivation", "survival": 0.5},
    {"gate": "exclusive"},
]


def dense(**settings: Any) -> Trunk:
    return residual_mlp(10, Layers(), width=8, **{"depth": 8, **settings})


def conv(**settings: Any) -> Trunk:
    return cifar_resnet(10, Layers(), depth=14, width=4, **settings)


def filled(trunk: Trunk) -> tuple[Any, jax.Array]:
    """-> values in no special place, and images."""
    x, rng = (
        jnp.asarray(np.random.default_rng(0).normal(size=(6, 8, 8, 3)), jnp.float32),
        np.random.default_rng(1),
    )

    def draw(path: Any, leaf: Any) -> jax.Array:
        positive = path[-1].key in ("scale", "var")
        values = rng.uniform(0.5, 2, leaf.shape) if positive else rng.normal(0, 0.4, leaf.shape)
        return jnp.asarray(values, jnp.float32)

    shapes = jax.eval_shape(lambda: trunk.init(jax.random.key(0), x, train=False))
    return jax.tree_util.tree_map_with_path(draw, shapes), x


TRUNKS = [
    *(dense(order=order, skip=skip) for order in UNITS for skip in (True, False)),
    *(conv(**settings) for settings in CONVOLUTIONAL),
]
RESIDUAL = [trunk for trunk in TRUNKS if getattr(trunk, "skip")]  # noqa: B009


def run(trunk: Trunk, variables: Any, x: jax.Array, **settings: Any) -> dict[str, jax.Array]:
    found: Any = trunk.apply(variables, x, train=False, **settings)
    return found


@parametrize_sampled("trunk", TRUNKS, default=lambda trunk: trunk in (TRUNKS[0], TRUNKS[3], TRUNKS[-1]))
def test_with_all_units_kept_the_logits_have_their_bits(trunk: Trunk) -> None:
    variables, x = filled(trunk)
    units = surgery.units(trunk)
    kept = surgery.logits(trunk, variables, x, kept=jnp.ones(len(units), bool))
    np.testing.assert_array_equal(kept, run(trunk, variables, x)["main"])


@pytest.mark.parametrize(
    "trunk", [t for t in TRUNKS if t not in RESIDUAL] + [dense(), conv(), dense(order="preactivation")]
)
def test_a_deleted_unit_gives_its_input_through(trunk: Trunk) -> None:
    variables, x = filled(trunk)
    units = surgery.units(trunk)
    before, gone = units[0], units[1]
    kept = jnp.asarray([name != gone for name in units])
    without = run(trunk, variables, run(trunk, variables, x, until=before)[before], after=gone)["main"]
    np.testing.assert_allclose(surgery.logits(trunk, variables, x, kept=kept), without, rtol=1e-5, atol=1e-5)
    assert not np.allclose(without, run(trunk, variables, x)["main"], rtol=0.01)


@parametrize_sampled(
    "trunk", RESIDUAL, default=lambda trunk: trunk in (RESIDUAL[0], RESIDUAL[3], RESIDUAL[-1])
)
def test_a_deleted_unit_is_one_whose_branch_adds_nothing(trunk: Trunk) -> None:
    """The branch ends with a norm or a layer, both of which give zeros when their parameters are zero."""
    variables, x = filled(trunk)
    units = surgery.units(trunk)
    gone = units[2]
    normed = UNITS[getattr(trunk, "order")].normed  # noqa: B009

    def blank(path: Any, leaf: Any) -> Any:
        keys = [key.key for key in path]
        own = keys[0] == "params" and gone in keys
        hit = "norm2" in keys if normed else keys[-2] in ("conv2", "dense2")
        return jnp.zeros_like(leaf) if own and hit else leaf

    emptied = jax.tree_util.tree_map_with_path(blank, variables)
    kept = jnp.asarray([name != gone for name in units])
    found = surgery.logits(trunk, variables, x, kept=kept)
    np.testing.assert_allclose(found, run(trunk, emptied, x)["main"], rtol=1e-5, atol=1e-5)
    assert not np.allclose(found, run(trunk, variables, x)["main"], rtol=0.01)


def test_a_plain_unit_that_changes_the_shape_stays() -> None:
    trunk = conv(skip=False)
    variables, x = filled(trunk)
    residual, same = surgery.kinds(trunk, (8, 8, 3))
    assert residual == set()
    assert set(surgery.units(trunk)) - same == {"stage2_block1", "stage3_block1"}
    assert surgery.kinds(conv(), (8, 8, 3)) == ({*surgery.units(trunk)}, same)
    kept = jnp.asarray([name in ("stage2_block1", "stage3_block1") for name in surgery.units(trunk)])
    assert surgery.logits(trunk, variables, x, kept=kept).shape == (6, 10)


@parametrize_sampled("trunk", [dense(depth=10), conv()], default=1)
def test_reordered_units_are_those_whose_arrays_were_swapped_by_hand(trunk: Trunk) -> None:
    variables, _ = filled(trunk)
    units, chain = surgery.units(trunk), trunk.chains()[-1]
    a, b = units.index(chain[0]), units.index(chain[-1])
    order = [*range(len(units))]
    order[a], order[b] = b, a
    by_hand = {kind: dict(tree) for kind, tree in variables.items()}
    for kind, tree in variables.items():
        by_hand[kind] |= {chain[0]: tree[chain[-1]], chain[-1]: tree[chain[0]]}
    found = surgery.permute(variables, jnp.asarray(order, jnp.int32), units, trunk.chains())
    assert jax.tree.structure(found) == jax.tree.structure(by_hand)
    jax.tree.map(np.testing.assert_array_equal, found, by_hand)
    same = surgery.permute(variables, jnp.arange(len(units)), units, trunk.chains())
    jax.tree.map(np.testing.assert_array_equal, same, variables)


@parametrize_sampled("trunk", [t for t in RESIDUAL if len(surgery.units(t)) == 3], default=2)
def test_all_paths_together_carry_the_whole_gradient_and_values_stay(trunk: Trunk) -> None:
    """Of 3 units there are 8 paths; the chain rule is linear in each unit's two ways."""
    variables, x = filled(trunk)
    weights = jnp.asarray(np.random.default_rng(2).normal(size=(6, 10)), jnp.float32)

    def gradient(function: Callable[[jax.Array], jax.Array]) -> jax.Array:
        return jax.grad(lambda x: (function(x) * weights).sum())(x)

    @jax.jit
    def along(through: jax.Array) -> jax.Array:
        return gradient(lambda x: surgery.logits(trunk, variables, x, through=through))

    each = [along(jnp.asarray(way)) for way in itertools.product([False, True], repeat=3)]
    whole = gradient(lambda x: run(trunk, variables, x)["main"])
    scale = float(jnp.abs(whole).max())
    np.testing.assert_allclose(sum(each), whole, atol=1e-4 * scale)
    assert all(float(jnp.abs(part).max()) > 0 for part in each)
    values = surgery.logits(trunk, variables, x, through=jnp.asarray([True, False, True]))
    np.testing.assert_allclose(values, run(trunk, variables, x)["main"], rtol=1e-4, atol=1e-4)
