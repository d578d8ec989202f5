"""Shortcuts and the ways to weaken them, against `reference`; what a net makes of their settings."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from reference import Reference, assert_close, random_like, wide
from selection import parametrize_sampled
from small_units import BASIC, BASIC_DOWN, BOTTLENECK, DOWN_MIDDLE, build, prepared

from resjax.models import MODELS
from resjax.models.blocks import Layers
from resjax.models.shortcuts import PadShortcut, ProjectionShortcut, mean_pool
from resjax.models.units import UNITS

EVALUATING, TRAINING = Layers().bind(train=False), Layers().bind(train=True)
MIXES: list[dict[str, Any]] = [
    dict(shortcut_scale=0.5),
    dict(shortcut_scale=0.5, branch_scale=0.5),
    dict(branch_scale=0.25),
    dict(gate="exclusive"),
    dict(gate="shortcut"),
]
CASES = [(BASIC, "identity"), (BASIC_DOWN, "pad"), (DOWN_MIDDLE, "projection")]


def net(**settings: Any) -> Any:
    return MODELS["cifar_resnet"](10, Layers(), depth=8, width=2, **settings)


def initial(**settings: Any) -> Any:
    return net(**settings).init(jax.random.key(5, impl="rbg"), jnp.zeros((1, 8, 8, 3)), train=False)


@pytest.mark.parametrize(("stride", "features"), [(1, 4), (1, 7), (2, 4), (2, 8)])
def test_the_padded_shortcut_only_drops_pixels_and_adds_zeros(stride: int, features: int) -> None:
    x = np.random.default_rng(0).normal(size=(2, 5, 6, 4)).astype(np.float32)
    shortcut = PadShortcut(features, stride)
    got = np.asarray(shortcut.apply({}, jnp.asarray(x)))
    np.testing.assert_array_equal(got[..., :4], x[:, ::stride, ::stride])
    assert got.shape[-1] == features
    assert not got[..., 4:].any()
    assert shortcut.init(jax.random.key(0), x) == {}


@pytest.mark.parametrize("size", [2, 3])
def test_the_pool_of_option_d_is_of_the_pixels_inside(size: int) -> None:
    x = np.random.default_rng(0).normal(size=(2, 5, 4, 3)).astype(np.float32)
    got = mean_pool(jnp.asarray(x), size)
    assert got.shape == (2, -(-5 // size), -(-4 // size), 3)
    for row, column in np.ndindex(got.shape[1:3]):
        inside = x[:, size * row : size * (row + 1), size * column : size * (column + 1)]
        np.testing.assert_allclose(got[:, row, column], inside.mean((1, 2)), rtol=0, atol=1e-6)


def test_option_d_projects_the_means() -> None:
    x = jnp.asarray(np.random.default_rng(0).normal(size=(2, 5, 4, 3)), jnp.float32)
    pooled, plain = ProjectionShortcut(7, EVALUATING, 2, pooled=True), ProjectionShortcut(7, EVALUATING)
    variables = random_like(jax.eval_shape(lambda: pooled.init(jax.random.key(0), x)))
    got = pooled.apply(variables, x)
    np.testing.assert_array_equal(got, plain.apply(variables, mean_pool(x, 2)))


@parametrize_sampled("order", UNITS, default=("original", "preactivation"))
@pytest.mark.parametrize("mix", MIXES, ids=str)
def test_a_weakened_shortcut_is_its_formula(order: str, mix: dict[str, Any]) -> None:
    convs, shortcut = CASES[MIXES.index(mix) % 3]
    unit = build(order, convs, shortcut, EVALUATING, **mix)
    x, variables = prepared(unit)
    scales = mix.get("shortcut_scale", 1.0), mix.get("branch_scale", 1.0)
    settings: Any = dict(scales=scales, gated=mix.get("gate", "none"))
    strides = tuple(conv[2] for conv in convs)
    assert_close(
        unit.apply(variables, x), Reference(wide(variables), order, strides, shortcut, **settings)(wide(x))
    )


@pytest.mark.parametrize("mix", MIXES, ids=str)
def test_in_training_it_is_the_formula_by_the_batch_s_statistics(mix: dict[str, Any]) -> None:
    unit = build("original", BASIC_DOWN, "pad", TRAINING, **mix)
    x, variables = prepared(unit)
    scales = mix.get("shortcut_scale", 1.0), mix.get("branch_scale", 1.0)
    settings: Any = dict(momentum=0.9, scales=scales, gated=mix.get("gate", "none"))
    got, _ = unit.apply(variables, x, mutable=["batch_stats"])
    assert_close(got, Reference(wide(variables), "original", (2, 1), "pad", **settings)(wide(x)))


@pytest.mark.slow
@pytest.mark.parametrize("gate", ["exclusive", "shortcut"])
@pytest.mark.parametrize("bias", [0.0, -6.0])
def test_each_unit_has_a_gate_whose_bias_begins_where_the_config_says(gate: str, bias: float) -> None:
    params = initial(gate=gate, gate_bias=bias)["params"]
    gates = {name: unit["mix"]["conv"] for name, unit in params.items() if "mix" in unit}
    assert list(gates) == ["stage1_block1", "stage2_block1", "stage3_block1"]
    assert [conv["kernel"].shape for conv in gates.values()] == [(1, 1, 2, 2), (1, 1, 2, 4), (1, 1, 4, 8)]
    for conv in gates.values():
        np.testing.assert_array_equal(conv["bias"], np.full(conv["kernel"].shape[-1], bias, np.float32))
        assert conv["kernel"].std() > 0


@pytest.mark.parametrize("mix", [*MIXES, dict(shortcut_dropout=0.5), dict(survival=0.5)], ids=str)
def test_other_parameters_begin_with_the_bits_of_the_ordinary_net(mix: dict[str, Any]) -> None:
    found, ordinary = initial(**mix), initial()
    for unit in found["params"].values():
        unit.pop("mix", None)
    assert jax.tree.structure(found) == jax.tree.structure(ordinary)
    jax.tree.map(np.testing.assert_array_equal, found, ordinary)


@pytest.mark.parametrize("convs", [BASIC, BOTTLENECK])
@pytest.mark.parametrize("layers", [EVALUATING, TRAINING], ids=["evaluating", "training"])
def test_a_gate_of_very_negative_bias_leaves_the_identity(convs: Any, layers: Any) -> None:
    unit = build("original", convs, "identity", layers, gate="shortcut", gate_bias=-100.0)
    x, variables = prepared(unit)
    gate = variables["params"].pop("mix")
    gate["conv"]["bias"] = jnp.full_like(gate["conv"]["bias"], -100.0)
    gated = {**variables, "params": {**variables["params"], "mix": gate}}
    got, _ = unit.apply(gated, x, mutable=["batch_stats"])
    want, _ = build("original", convs, "identity", layers).apply(variables, x, mutable=["batch_stats"])
    np.testing.assert_array_equal(got, want)


def test_scales_of_one_and_a_survival_of_one_are_the_ordinary_net() -> None:
    same = net(shortcut_scale=1.0, branch_scale=1.0, gate="none", gate_bias=0.0, shortcut_dropout=0.0)
    assert same == net() == net(survival=1.0)
    assert net(shortcut_scale=0.5) != net()


def test_dropout_on_the_shortcut_is_in_training_only() -> None:
    unit = build("original", BASIC, "identity", EVALUATING, shortcut_dropout=0.5)
    x, variables = prepared(unit)
    ordinary = build("original", BASIC, "identity", EVALUATING)
    np.testing.assert_array_equal(unit.apply(variables, x), ordinary.apply(variables, x))


def test_dropout_zeroes_half_of_the_shortcut_and_doubles_the_rest() -> None:
    unit = build("relu_before_addition", BASIC, "identity", TRAINING, shortcut_dropout=0.5)
    x, variables = prepared(unit)
    silent = jax.tree.map(jnp.zeros_like, variables["params"]["norm2"])  # so that the branch gives 0
    variables = {**variables, "params": {**variables["params"], "norm2": silent}}
    draws = [
        unit.apply(variables, x, mutable=["batch_stats"], rngs={"dropout": jax.random.key(seed)})[0]
        for seed in range(4)
    ]
    for drawn in draws:
        assert set(np.unique(np.asarray(drawn / x).round(5))) == {0.0, 2.0}
    kept = np.mean([np.asarray(drawn) != 0 for drawn in draws])
    assert abs(kept - 0.5) < 4 * 0.5 / np.sqrt(4 * x.size)
    assert not np.array_equal(draws[0], draws[1])


@parametrize_sampled("mix", [*MIXES, dict(shortcut_dropout=0.5), dict(survival=0.5)], ids=str, default=2)
def test_bfloat16_stays_narrow(mix: dict[str, Any]) -> None:
    narrow = MODELS["cifar_resnet"](10, Layers(dtype="bfloat16"), depth=8, width=2, **mix)
    rngs = {"params": jax.random.key(0), "dropout": jax.random.key(1)}
    images = jnp.zeros((2, 8, 8, 3))

    def run() -> Any:
        variables = narrow.init(rngs, images, train=True)
        return variables, narrow.apply(variables, images, train=True, mutable=["batch_stats"], rngs=rngs)

    with jax.numpy_dtype_promotion("standard"):  # Linen's BatchNorm mixes its float32 statistics in
        variables, (endpoints, _) = jax.eval_shape(run)
    assert {each.dtype for each in endpoints.values()} == {np.dtype(jnp.bfloat16)}
    assert {each.dtype for each in jax.tree.leaves(variables)} == {np.dtype(np.float32)}


def test_a_gated_net_is_its_parameters_formula() -> None:
    """Random values, so that no gate is where it began: each unit's output is one of the formula."""
    gated = net(gate="exclusive", gate_bias=-6.0)
    shapes = jax.eval_shape(lambda: gated.init(jax.random.key(0), jnp.zeros((2, 8, 8, 3)), train=False))
    variables = random_like(shapes)
    x = jnp.asarray(np.random.default_rng(7).normal(size=(2, 8, 8, 3)), jnp.float32)
    endpoints = jax.jit(lambda tree: gated.apply(tree, x, train=False))(variables)
    exact, before = wide(variables), wide(endpoints["stem"])
    for stage, strides in ((1, (1, 1)), (2, (2, 1)), (3, (2, 1))):
        own = {kind: tree[f"stage{stage}_block1"] for kind, tree in exact.items()}
        unit = Reference(own, "original", strides, "pad", gated="exclusive")
        assert_close(endpoints[f"stage{stage}_block1"], unit(before))
        before = wide(endpoints[f"stage{stage}_block1"])
