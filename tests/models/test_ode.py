"""Euler steps and the equation that they are steps of."""

import itertools
import sys
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from reference import random_like, wide

from resjax.models import MODELS
from resjax.models.blocks import Layers
from resjax.models.ode import Dynamics, adaptive, euler

KEY = jax.random.key(5, impl="rbg")
GROUPED = Layers(norm="group")


def images(channels: int = 1) -> jax.Array:
    return jnp.asarray(np.random.default_rng(7).normal(size=(2, 10, 10, channels)), jnp.float32)


def initial(**settings: Any) -> tuple[Any, Any]:
    net: Any = MODELS["ode_net"](10, GROUPED, width=8, **settings)
    return net, jax.jit(lambda x: net.init(KEY, x, train=False))(images())


def endpoints(net: Any, variables: Any) -> dict[str, jax.Array]:
    return jax.jit(lambda v, x: net.apply(v, x, train=False))(variables, images())


def test_the_solver_finds_a_solution_that_is_known() -> None:
    """dx/dt = x cos(5 t): x(1) = x(0) exp(sin(5) / 5)."""
    x = images(8)
    got = adaptive(lambda w, t, x: x * jnp.cos(w * t).astype(x.dtype), jnp.asarray(5.0), x, 1e-6)
    np.testing.assert_allclose(got, np.asarray(x) * np.exp(np.sin(5) / 5), rtol=1e-5)


@pytest.mark.slow
def test_euler_steps_converge_to_the_equation_s_solution_with_order_one() -> None:
    """Twice the steps, half the error: of one shared block with random weights, in float64."""
    with jax.enable_x64(True), jax.numpy_dtype_promotion("standard"), jax.numpy_rank_promotion("allow"):
        layers: Any = Layers(norm="group", dtype="float64")  # pyright: ignore[reportArgumentType]
        dynamics, x = Dynamics(layers.bind(False)), wide(images(8))
        drawn = random_like(jax.eval_shape(lambda: dynamics.init(KEY, jnp.zeros(()), x)))
        variables = wide(drawn)

        def slope(time: Any, state: Any) -> Any:
            return dynamics.apply(variables, time, state)

        exact = adaptive(dynamics.apply, variables, x, 1e-9)
        errors = [float(jnp.abs(euler(slope, x, steps) - exact).max()) for steps in (64, 128, 256)]
    assert errors[0] > 1e-4  # there is something to converge
    for coarse, fine in itertools.pairwise(errors):
        assert 1.8 < coarse / fine < 2.2


@pytest.mark.slow
def test_one_euler_step_adds_the_block_to_its_input_and_a_plain_one_does_not() -> None:
    (net, variables), (plain, same) = (
        initial(solver="euler", steps=1),
        initial(solver="euler", steps=1, skip=False),
    )
    block = Dynamics(GROUPED.bind(False))
    for found, values, factor in ((net, variables, 1), (plain, same, 0)):
        got = endpoints(found, values)
        before = got["halving2"]
        moved: Any = block.apply({"params": values["params"]["flow"]["dynamics"]}, jnp.zeros(()), before)
        np.testing.assert_allclose(got["flow"], factor * before + moved, rtol=0, atol=1e-5)


def test_time_is_a_channel_of_the_block() -> None:
    _, variables = initial(solver="euler")
    dynamics = variables["params"]["flow"]["dynamics"]
    assert dynamics["conv1"]["kernel"].shape == (3, 3, 9, 8)
    block, x = Dynamics(GROUPED.bind(False)), images(8)
    early, late = (block.apply({"params": dynamics}, jnp.asarray(t, jnp.float32), x) for t in (0, 1))
    assert jnp.abs(jnp.asarray(early) - jnp.asarray(late)).max() > 1e-3


@pytest.mark.slow
def test_the_equation_s_gradient_is_that_of_many_small_steps() -> None:
    """With respect to the block's weights, by the solver's checkpoints and by plain differentiation."""

    def gradient(**settings: Any) -> np.ndarray:
        net, variables = initial(**settings)

        def loss(params: Any) -> jax.Array:
            return jnp.square(net.apply({"params": params}, images(), train=True)["main"]).sum()

        found = jax.jit(jax.grad(loss))(variables["params"])["flow"]["dynamics"]
        return np.asarray(found["conv2"]["kernel"])

    want = gradient(solver="euler", steps=400)
    got = gradient(solver="dopri5", tolerance=1e-5)
    np.testing.assert_allclose(got, want, rtol=0, atol=0.02 * np.abs(want).max())


@pytest.mark.slow
def test_the_adjoint_equation_s_gradient_is_that_of_the_steps() -> None:
    """Of dx/dt = tanh(w x + t) in float64, to a hundred times the tolerance."""
    with jax.enable_x64(True), jax.numpy_dtype_promotion("standard"), jax.numpy_rank_promotion("allow"):
        x, w = wide(images(8))[:, :1, :1], jnp.asarray(np.random.default_rng(2).normal(size=(8, 8)))

        def loss(w: Any, x: Any, adjoint: str) -> Any:
            return jnp.square(adaptive(lambda w, t, x: jnp.tanh(x @ w + t), w, x, 1e-8, adjoint)).sum()

        want, got = (jax.grad(loss, (0, 1))(w, x, adjoint) for adjoint in ("steps", "backsolve"))
    for exact, approximate in zip(want, got, strict=True):
        assert np.abs(exact).max() > 0.1
        np.testing.assert_allclose(approximate, exact, rtol=0, atol=1e-6)
        assert np.any(approximate != exact)  # or the setting did nothing


def test_what_the_solver_cannot_solve_is_not_a_number() -> None:
    x = jnp.ones((1, 1, 1, 1))
    got = adaptive(lambda w, t, x: jnp.square(x) * w, jnp.asarray(1e4), x, 1e-6)  # infinite at t = 1e-4
    assert np.isnan(got).all()


def test_a_missing_solver_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "diffrax", None)
    with pytest.raises(ValueError, match=r"^solver .*resjax\[ode\]"):
        MODELS["ode_net"](10, GROUPED, solver="dopri5")
