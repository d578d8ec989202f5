"""Recurrent nets against their equations in float64, and what a skip through time is."""

from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from selection import parametrize_sampled

from resjax import config as configs
from resjax.anatomy import dissect
from resjax.config import Config
from resjax.errors import UserError
from resjax.models import MODELS
from resjax.models.blocks import Layers
from resjax.probes import subject, through_time
from resjax.probes.bench import Bench

KEY = jax.random.key(5, impl="rbg")
U = 6  # width
RECURRENT = ("--config.model.name=recurrent", "--config.model.norm=none", "--config.model.width=16")


def images(batch: int = 3) -> jax.Array:
    return jnp.asarray(np.random.default_rng(7).normal(size=(batch, 8, 4, 1)), jnp.float32)


def initial(**settings: Any) -> tuple[Any, Any]:
    net: Any = MODELS["recurrent"](10, Layers(norm="none"), width=U, **settings)
    return net, jax.jit(lambda x: net.init(KEY, x, train=False))(images())


def states(net: Any, variables: Any, x: jax.Array) -> np.ndarray:
    return np.asarray(jax.jit(lambda v, x: net.apply(v, x, train=False)["states"])(variables, x), np.float64)


def sigmoid(x: np.ndarray) -> np.ndarray:
    return 1 / (1 + np.exp(-x))


def reference(variables: Any, driven: np.ndarray, cell: str, delay: int) -> np.ndarray:
    """-> the states, step by step as the papers write them."""
    kernel = np.asarray(variables["params"]["states"]["kernel"], np.float64)
    past = [np.zeros((len(driven), U))] * delay
    memory = past[0]
    for t in range(driven.shape[1]):
        x, last = driven[:, t], past[-1]
        if cell == "tanh":
            skip = past[-delay] @ kernel[U:] if delay > 1 else 0
            new = np.tanh(x + last @ kernel[:U] + skip)
        elif cell == "lstm":
            i, f, g, o = np.split(x + last @ kernel, 4, axis=1)
            memory = sigmoid(f + 1) * memory + sigmoid(i) * np.tanh(g)
            new = sigmoid(o) * np.tanh(memory)
        else:
            r, z = np.split(sigmoid((x + last @ kernel)[:, : 2 * U]), 2, axis=1)
            new = np.tanh(x[:, 2 * U :] + r * (last @ kernel[:, 2 * U :]))
            new = (1 - z) * new + z * last
        past.append(new)
    return np.stack(past[delay:], 1)


CELLS = [("tanh", 1), ("tanh", 3), ("tanh", 20), ("lstm", 1), ("gru", 1)]


@parametrize_sampled("reads", ["rows", "pixels"], default=["rows"])
@pytest.mark.parametrize(("cell", "delay"), CELLS)
def test_the_states_follow_the_equations(cell: str, delay: int, reads: str) -> None:
    net, variables = initial(cell=cell, delay=delay, reads=reads)
    x = np.asarray(images(), np.float64).reshape((3, 8, 4) if reads == "rows" else (3, 32, 1))
    own = variables["params"]["input"]
    driven = x @ np.asarray(own["kernel"], np.float64) + np.asarray(own["bias"], np.float64)
    got = states(net, variables, images())
    np.testing.assert_allclose(got, reference(variables, driven, cell, delay), rtol=0, atol=1e-5)


@pytest.mark.parametrize("delay", [3, 5])
def test_a_skip_reaches_over_steps_that_are_cut(delay: int) -> None:
    """Without U, what the first step leaves is found at steps 1, 1 + d, 1 + 2d, ... and nowhere else."""
    net, variables = initial(delay=delay, reads="pixels")
    kernel = variables["params"]["states"]["kernel"]
    variables["params"]["states"]["kernel"] = kernel.at[:U].set(0)
    x = images()
    moved = np.abs(states(net, variables, x) - states(net, variables, x.at[:, 0, 0].add(1.0))).max((0, 2))
    assert set(np.flatnonzero(moved)) == set(range(0, 32, delay))


@pytest.mark.parametrize(("cell", "delay"), CELLS[:2] + CELLS[3:])
def test_the_blocks_of_the_recurrent_weights_are_orthogonal_and_their_sum_has_gain_one(
    cell: str, delay: int
) -> None:
    """What a skip adds counts: of unrelated states through either block, the sum is as long as each."""
    _, variables = initial(cell=cell, delay=delay)
    kernel = np.asarray(variables["params"]["states"]["kernel"], np.float64)
    rows = kernel.shape[0] // U
    assert rows == (2 if delay > 1 else 1)
    for i in range(0, kernel.shape[0], U):
        for j in range(0, kernel.shape[1], U):
            block = kernel[i : i + U, j : j + U]
            np.testing.assert_allclose(block.T @ block, np.eye(U) / rows, rtol=0, atol=1e-5)


def test_multiply_adds_are_those_of_all_steps() -> None:
    net, _ = initial(cell="tanh", delay=3)
    found = dissect(net, (8, 4, 1))
    assert found.multiply_adds == 8 * (4 * U + 2 * U * U) + 10 * U


def probed(tiny: Config, *flags: str) -> Any:
    config = configs.override(tiny, (*RECURRENT, "--config.model.reads=pixels", *flags))
    (found,) = subject.at_start("a", config, 1)
    return found


@pytest.mark.slow
def test_the_probe_gives_the_gradient_at_each_state(tiny: Config) -> None:
    """The first state's is that of an input which goes into the first state alone, by W's pseudo-inverse."""
    found = probed(tiny)
    points = through_time.measure(found, Bench(Path()), examples=4)
    values = {point.x: point.value for point in points if point.quantity == "states"}
    assert sorted(values) == list(range(1, 65))
    inputs, targets = found.batch(4)
    net, term = found.net, found.task.objective.terms["main"]

    def loss(driven: jax.Array) -> jax.Array:
        variables = {name: tree["trunk"] for name, tree in found.variables.items()}
        logits: Any = net.trunk.apply(variables, driven, train=False, after="input")["main"]
        return term.per_example(logits, targets["labels"]).mean()

    trunk = {"params": found.variables["params"]["trunk"]}
    got: Any = net.trunk.apply(trunk, inputs, train=False)
    slope = np.asarray(jax.grad(loss)(got["input"]), np.float64)  # of what goes into each tanh
    h = np.asarray(got["states"], np.float64)
    want = np.sqrt(np.square(slope / (1 - h**2)).sum((0, 2)) * 4)
    np.testing.assert_allclose([values[x] for x in sorted(values)], want, rtol=1e-3)


@pytest.mark.slow
def test_an_lstm_s_gradient_goes_through_its_memory_too(tiny: Config) -> None:
    """By c(t), through the forget gates to the last output gate; h(t) reaches no more than what it gates."""
    found = probed(tiny, "--config.model.cell=lstm", "--config.model.reads=rows")
    trunk = {name: tree["trunk"] for name, tree in found.variables.items()}
    trunk["params"]["states"]["kernel"] *= 0  # in `found` too
    inputs, targets = found.batch(4)
    points = through_time.measure(found, Bench(Path()), examples=4)
    values = [point.value for point in points if point.quantity == "states"]
    got: Any = found.net.trunk.apply(trunk, inputs, train=False)
    term = found.task.objective.terms["main"]

    def loss(state: jax.Array) -> jax.Array:
        logits: Any = found.net.trunk.apply(trunk, state, train=False, after="states")["main"]
        return term.per_example(logits, targets["labels"]).mean()

    gates = [np.asarray(each, np.float64) for each in np.split(np.asarray(got["input"]), 4, axis=-1)]
    memory = np.zeros_like(gates[0][:, 0])
    for t in range(8):
        memory = sigmoid(gates[1][:, t] + 1) * memory + sigmoid(gates[0][:, t]) * np.tanh(gates[2][:, t])
    last = np.asarray(jax.grad(loss)(got["states"]), np.float64)[:, -1]
    slope = last * sigmoid(gates[3][:, -1]) * (1 - np.tanh(memory) ** 2)  # of the last memory, by its state
    want = [np.sqrt(4) * np.linalg.norm(last)]
    for t in range(7, 0, -1):
        slope = slope * sigmoid(gates[1][:, t] + 1)
        want.append(np.sqrt(4) * np.linalg.norm(slope))
    np.testing.assert_allclose(values, want[::-1], rtol=1e-3)


def test_a_skip_carries_the_gradient_back_further(tiny: Config) -> None:
    def reach(*flags: str) -> float:
        points = through_time.measure(probed(tiny, *flags), Bench(Path()), examples=32)
        return next(point.value for point in points if point.quantity == "share" and point.x == 63)

    assert reach("--config.model.delay=16") > 10 * reach()


def test_a_net_without_time_is_refused(tiny: Config) -> None:
    (found,) = subject.at_start("a", tiny, 1)
    with pytest.raises(UserError, match=r"^config\.model\.name is 'residual_mlp'"):
        through_time.measure(found, Bench(Path()))
