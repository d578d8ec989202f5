"""The residual net of the races to an accuracy, against stock operations."""

from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from reference import random_like

from resjax.anatomy import summarize
from resjax.models import MODELS
from resjax.models.blocks import Layers
from resjax.models.heads import Net
from resjax.models.resnet9 import max_of_plane, max_of_squares

KEY = jax.random.key(5, impl="rbg")  # threefry takes seconds to compile on the CPU


def drawn(shape: tuple[int, ...], seed: int = 0) -> jax.Array:
    return jnp.asarray(np.random.default_rng(seed).normal(size=shape), jnp.float32)


def net(**settings: Any) -> Any:
    return MODELS["resnet9"](10, Layers(), widths=(4, 6, 8, 8), **settings)


def whole_plane(x: jax.Array) -> jax.Array:
    return nn.max_pool(x, x.shape[1:3])[:, 0, 0]


def squares(x: jax.Array) -> jax.Array:
    return nn.max_pool(x, (2, 2), (2, 2))


@pytest.mark.slow
@pytest.mark.parametrize("size", [(8, 6), (7, 9)])
@pytest.mark.parametrize(("pool", "stock"), [(max_of_squares, squares), (max_of_plane, whole_plane)])
def test_a_maximum_is_that_of_flax_and_so_is_its_gradient(
    size: tuple[int, int], pool: Any, stock: Any
) -> None:
    x = drawn((2, *size, 3))

    def loss(pool: Any, x: jax.Array) -> jax.Array:
        y = pool(x)
        return jnp.sum(y * drawn(y.shape, 1))

    np.testing.assert_array_equal(pool(x), stock(x))
    ours, theirs = (jax.grad(loss, 1)(each, x) for each in (pool, stock))
    np.testing.assert_array_equal(ours, theirs)


def test_endpoints_halve_from_stage_to_stage() -> None:
    shapes = jax.eval_shape(lambda: net().init_with_output(KEY, drawn((2, 32, 32, 3)), train=False)[0])
    assert {name: leaf.shape[1:] for name, leaf in shapes.items()} == {
        "stem": (32, 32, 4),
        "stage1_conv": (16, 16, 6),
        "stage1_unit": (16, 16, 6),
        "stage2_conv": (8, 8, 8),
        "stage3_conv": (4, 4, 8),
        "stage3_unit": (4, 4, 8),
        "main": (10,),
    }


def test_a_unit_adds_its_input_and_that_of_the_plain_twin_does_not() -> None:
    x = drawn((2, 32, 32, 3))
    like = jax.eval_shape(lambda: net().init(KEY, x, train=False))
    variables = random_like(like)
    residual, plain = (net(skip=skip).apply(variables, x, train=False) for skip in (True, False))
    branch = np.asarray(plain["stage1_unit"])
    assert branch.min() == 0
    assert branch.max() > 0
    np.testing.assert_allclose(
        residual["stage1_unit"], branch + np.asarray(residual["stage1_conv"]), rtol=1e-6
    )


def test_the_logits_are_scaled() -> None:
    x = drawn((2, 32, 32, 3))
    variables = net().init(KEY, x, train=False)
    one, half = (net(scale=scale).apply(variables, x, train=False)["main"] for scale in (1.0, 0.5))
    np.testing.assert_allclose(half, one / 2, rtol=1e-6)


def test_page_s_net_has_three_stages_of_equal_cost() -> None:
    summary = summarize(Net(MODELS["resnet9"](10, Layers())), (32, 32, 3))
    costs = {row.part: 0 for row in summary.layers}
    for row in summary.layers:
        costs[row.part] += row.multiply_adds
    equal = dict.fromkeys(("stage1_conv", "stage2_conv", "stage3_conv"), 64 * 128 * 9 * 1024)
    units = {"stage1_unit": 2 * 128 * 128 * 9 * 256, "stage3_unit": 2 * 512 * 512 * 9 * 16}
    assert costs == {"stem": 3 * 64 * 9 * 1024, **equal, **units, "main": 5120}
