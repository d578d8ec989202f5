"""Stochastic depth: Huang et al. 2016 (1603.09382). A unit is its formula with the branch, or without it."""

from functools import cache
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax.traverse_util import flatten_dict
from reference import Reference, assert_close, random_like, wide
from selection import parametrize_sampled
from small_units import BASIC, BASIC_DOWN, build, prepared

from resjax.models import MODELS
from resjax.models.blocks import Layers
from resjax.models.heads import Net
from resjax.models.trunk import Remat
from resjax.models.units import UNITS, Unit

CASES = [(BASIC, "identity"), (BASIC_DOWN, "pad")]
IMAGES = jnp.asarray(np.random.default_rng(7).normal(size=(4, 8, 8, 3)), jnp.float32)
FAST = {"xla_backend_optimization_level": 0}  # to compile
DRAWS = 2000


def net(**settings: Any) -> Any:
    return MODELS["cifar_resnet"](10, Layers(), **{"depth": 14, "width": 2, **settings})


def drawn(trunk: Any) -> Any:
    return random_like(jax.eval_shape(lambda: trunk.init(jax.random.key(0), IMAGES, train=False)))


def test_the_probability_falls_evenly_from_the_stem_to_the_last_unit() -> None:
    found = {}

    def watch(call: Any, args: Any, kwargs: Any, context: Any) -> Any:
        if isinstance(context.module, Unit):
            found[context.module.name] = context.module.survival
        return call(*args, **kwargs)

    with nn.intercept_methods(watch):
        jax.eval_shape(lambda: net(depth=110, survival=0.5).init(jax.random.key(0), IMAGES, train=False))
    np.testing.assert_allclose(list(found.values()), 1 - np.arange(1, 55) / 54 * 0.5)


@pytest.mark.parametrize("order", UNITS)
@pytest.mark.parametrize(("convs", "shortcut"), CASES)
def test_evaluation_multiplies_the_branch_by_its_probability(order: str, convs: Any, shortcut: str) -> None:
    unit = build(order, convs, shortcut, Layers().bind(train=False), survival=0.3)
    x, variables = prepared(unit)
    strides = tuple(conv[2] for conv in convs)
    reference = Reference(wide(variables), order, strides, shortcut, scales=(1, 0.3))
    assert_close(unit.apply(variables, x), reference(wide(x)))


def outcome(unit: Unit, variables: Any, x: jax.Array, key: jax.Array) -> tuple[Any, Any]:
    """-> output and new statistics, in training."""
    got, updated = unit.apply(variables, x, mutable=["batch_stats"], rngs={"dropout": key})
    return got, flat(updated["batch_stats"])


def flat(tree: Any) -> dict[Any, Any]:
    return dict(flatten_dict(tree))


@parametrize_sampled("order", UNITS, default=("original", "preactivation"))
@pytest.mark.parametrize(("convs", "shortcut"), CASES)
def test_in_training_the_batch_keeps_or_loses_the_branch(order: str, convs: Any, shortcut: str) -> None:
    """A lost branch's norms keep their statistics; a norm behind the addition sees what there is."""
    unit = build(order, convs, shortcut, Layers().bind(train=True), shortcut == "pad", survival=0.5)
    x, variables = prepared(unit)
    strides, before = tuple(conv[2] for conv in convs), flat(wide(variables["batch_stats"]))
    outside = {("norm_after_addition", "norm2")} | ({("preactivation", "norm1")} if unit.shared else set())
    inside = ("norm2" if order == "preactivation" else "norm1", "mean")
    seen = set()
    for seed in range(8):
        got, statistics = outcome(unit, variables, x, jax.random.key(seed))
        kept = bool(np.any(statistics[inside] != before[inside]))
        reference = Reference(
            wide(variables), order, strides, shortcut, 0.9, unit.shared, scales=(1, float(kept))
        )
        assert_close(got, reference(wide(x)))
        for path, value in before.items():
            moves = kept or (order, path[0]) in outside
            assert_close(statistics[path], reference.running[path] if moves else value)
        seen.add(kept)
        if seen == {True, False}:
            return
    pytest.fail("eight draws that are all alike")


def test_nothing_of_a_lost_branch_learns_and_its_input_s_gradient_is_the_shortcut_s() -> None:
    unit = build("original", BASIC, "identity", Layers().bind(train=True), survival=0.5)
    x, variables = prepared(unit)

    def loss(params: Any, x: jax.Array, key: jax.Array) -> Any:
        got, _ = outcome(unit, {**variables, "params": params}, x, key)
        return got.sum(), got

    gradients = jax.jit(jax.grad(loss, argnums=(0, 1), has_aux=True), compiler_options=FAST)
    found = [gradients(variables["params"], x, jax.random.key(seed)) for seed in range(8)]
    lost = [np.array_equal(got, nn.relu(x)) for _, got in found]
    assert set(lost) == {True, False}
    for ((to_params, to_x), _), is_lost in zip(found, lost, strict=True):
        assert {bool(np.any(leaf)) for leaf in jax.tree.leaves(to_params)} == {not is_lost}
        assert np.array_equal(to_x, x > 0) == is_lost


def test_units_survive_as_often_as_they_should_and_independently() -> None:
    """A unit whose running statistics moved was there."""
    trunk = net(survival=0.4)
    variables = drawn(trunk)
    before = variables["batch_stats"]

    def survivors(key: jax.Array) -> jax.Array:
        _, updated = trunk.apply(
            variables, IMAGES, train=True, mutable=["batch_stats"], rngs={"dropout": key}
        )
        return jnp.stack(
            [
                (updated["batch_stats"][name]["norm1"]["mean"] != before[name]["norm1"]["mean"]).any()
                for name in trunk.recomputable()
            ]
        )

    keys = jax.random.split(jax.random.key(0), DRAWS)
    run = jax.jit(lambda keys: jax.lax.map(survivors, keys), compiler_options=FAST)
    found = np.asarray(run(keys), float)
    expected = 1 - np.arange(1, 7) / 6 * 0.6
    spread = np.sqrt(expected * (1 - expected))
    assert (np.abs(found.mean(0) - expected) < 4 * spread / np.sqrt(DRAWS)).all()
    correlations = np.corrcoef(found.T)[np.triu_indices(6, 1)]
    assert np.abs(correlations).max() < 4 / np.sqrt(DRAWS)


@cache
def gradient(remat: Remat, **settings: float) -> Any:
    trunk = net(depth=8, **settings)
    variables = drawn(trunk)

    def loss(params: Any) -> Any:
        outputs, updated = Net(trunk, remat=remat).apply(
            {"params": {"trunk": params}, "batch_stats": {"trunk": variables["batch_stats"]}},
            IMAGES,
            train=True,
            mutable=["batch_stats"],
            rngs={"dropout": jax.random.key(3)},
        )
        return jnp.sin(outputs["main"]).sum(), (outputs, updated)

    return jax.jit(jax.grad(loss, has_aux=True), compiler_options=FAST)(variables["params"])


@pytest.mark.slow
@pytest.mark.parametrize("settings", [{"survival": 0.4}, {"shortcut_dropout": 0.5}], ids=str)
@pytest.mark.parametrize("remat", ["norms", "units"])
def test_units_that_are_computed_anew_draw_the_same(settings: dict[str, float], remat: Remat) -> None:
    got, want = gradient(remat, **settings), gradient("none", **settings)
    assert jax.tree.structure(got) == jax.tree.structure(want)
    for a, b in zip(jax.tree.leaves(got), jax.tree.leaves(want), strict=True):
        np.testing.assert_allclose(a, b, rtol=0, atol=1e-4 * max(np.abs(b).max(), 1e-3))


@pytest.mark.parametrize("settings", [{"survival": 0.5}, {"shortcut_dropout": 0.5}], ids=str)
def test_random_units_are_not_run_in_a_loop(settings: dict[str, float]) -> None:
    assert net(**settings).chains() == []
    assert net(gate="exclusive").chains() == net().chains() != []
