"""Optimizers against hand arithmetic, the mask of weight decay, and what the section refuses."""

import math
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from resjax.optim import DECOUPLED, OPTIMIZERS, kernels, make_optimizer

Params = dict[str, Any]
START: Params = {"dense": {"kernel": np.array([[1, -2]], np.float32), "bias": np.array([0.5], np.float32)}}
GRADIENT: Params = {
    "dense": {"kernel": np.array([[0.2, 0.4]], np.float32), "bias": np.array([-0.3], np.float32)}
}


def run(name: str, steps: int, gradient: Any = None, rate: float = 0.1, **settings: Any) -> Params:
    """-> parameters after `steps` of one constant gradient, or of that of half the sum of squares."""
    optimizer = make_optimizer(optax.constant_schedule(rate), {}, name=name, **settings)
    # Optax's Adam raises a float to the whole number of the step, which strict promotion refuses.
    with jax.numpy_dtype_promotion("standard" if name in ("adam", "adamw") else "strict"):
        return descend(optimizer, steps, gradient)


def descend(optimizer: optax.GradientTransformation, steps: int, gradient: Any = None) -> Params:
    params: Any = jax.tree.map(jnp.asarray, START)
    state = optimizer.init(params)
    for _ in range(steps):
        updates, state = optimizer.update(gradient or params, state, params)
        params = optax.apply_updates(params, updates)
    return jax.tree.map(np.asarray, params)


def assert_same(got: Params, want: Params, rtol: float = 1e-6) -> None:
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=rtol), got, want)


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_every_optimizer_lowers_a_quadratic(name: str) -> None:
    def loss(params: Params) -> float:
        return sum(float((leaf**2).sum()) for leaf in jax.tree.leaves(params))

    losses = [loss(run(name, steps, rate=0.05)) for steps in (0, 1, 5)]
    assert losses[0] > losses[1] > losses[2] > 0


@pytest.mark.parametrize("nesterov", [False, True])
def test_momentum_is_three_lines_of_arithmetic(nesterov: bool) -> None:
    want = {key: value.astype(np.float64) for key, value in START["dense"].items()}
    for key, g in GRADIENT["dense"].items():
        v1, v2, v3 = g, 0.9 * g + g, 0.81 * g + 0.9 * g + g
        moves = [0.9 * v + g for v in (v1, v2, v3)] if nesterov else [v1, v2, v3]
        want[key] -= 0.1 * sum(moves)
    got = run("sgd", 3, GRADIENT, momentum=0.9, nesterov=nesterov)
    assert_same(got["dense"], want)


@pytest.mark.parametrize("decay", ["kernels", "all"])
def test_coupled_decay_is_part_of_the_gradient(decay: Any) -> None:
    got = run("sgd", 1, GRADIENT, momentum=0.0, weight_decay=0.5, decay=decay)["dense"]
    start, g = START["dense"], GRADIENT["dense"]
    np.testing.assert_allclose(got["kernel"], start["kernel"] - 0.1 * (g["kernel"] + 0.5 * start["kernel"]))
    decayed = 0.5 * start["bias"] if decay == "all" else 0
    np.testing.assert_allclose(got["bias"], start["bias"] - 0.1 * (g["bias"] + decayed), rtol=1e-6)


@pytest.mark.parametrize("name", ["adam", "adamw"])
def test_adam_hides_the_decay_in_its_moments_and_adamw_does_not(name: str) -> None:
    """At the first step Adam moves by the rate whatever the gradient's size, decay included."""
    got = run(name, 1, GRADIENT, weight_decay=0.5, decay="all")
    free = jax.tree.map(lambda p, g: p - 0.1 * np.sign(g), START, GRADIENT)
    if name == "adamw":
        free = jax.tree.map(lambda p, start: p - 0.1 * 0.5 * start, free, START)
    else:
        free["dense"]["kernel"][0, 1] = -2.0 + 0.1  # 0.4 - 0.5 * 2 is below 0
    assert_same(got, free, rtol=1e-5)


@pytest.mark.parametrize("decay", ["kernels", "all"])
def test_adamw_is_optax_s(decay: Any) -> None:
    mask = {"dense": {"kernel": True, "bias": False}} if decay == "kernels" else None
    with jax.numpy_dtype_promotion("standard"):
        theirs = descend(optax.adamw(0.1, weight_decay=0.05, mask=mask), 5)
    assert_same(run("adamw", 5, weight_decay=0.05, decay=decay), theirs)


def test_decoupled_optimizers_shrink_weights_by_rate_times_decay_without_a_gradient() -> None:
    nothing = jax.tree.map(np.zeros_like, START)
    for name in DECOUPLED:
        got = run(name, 1, nothing, weight_decay=0.5, decay="all")
        assert_same(got, jax.tree.map(lambda p: p * (1 - 0.1 * 0.5), START))


def test_the_mask_takes_kernels_only() -> None:
    params = {"conv": {"kernel": 0, "bias": 0}, "norm": {"scale": 0, "bias": 0}, "deep": {"a": {"kernel": 0}}}
    decayed = {"conv": {"kernel": True, "bias": False}, "norm": {"scale": False, "bias": False}}
    assert kernels(params) == decayed | {"deep": {"a": {"kernel": True}}}


def test_clipping_scales_the_whole_gradient_before_decay() -> None:
    length = math.sqrt(0.2**2 + 0.4**2 + 0.3**2)
    got = run("sgd", 1, GRADIENT, momentum=0.0, clip_norm=0.1, weight_decay=0.5, decay="all")
    assert_same(got, jax.tree.map(lambda p, g: p - 0.1 * (g * 0.1 / length + 0.5 * p), START, GRADIENT))
    unclipped = run("sgd", 1, GRADIENT, momentum=0.0, clip_norm=10.0)
    assert_same(unclipped, jax.tree.map(lambda p, g: p - 0.1 * g, START, GRADIENT))
