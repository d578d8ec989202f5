"""Highway networks: a closed gate is the identity, an open one the plain layer."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from reference import assert_close, layer, random_like, wide

from resjax.models import MODELS
from resjax.models.blocks import Layers

IMAGES = jnp.asarray(np.random.default_rng(7).normal(size=(2, 12, 12, 1)), jnp.float32)


def drawn(**settings: Any) -> tuple[Any, Any]:
    net: Any = MODELS["highway"](10, Layers(norm="none"), stages=(2, 1), width=4, **settings)
    return net, random_like(jax.eval_shape(lambda: net.init(jax.random.key(0), IMAGES, train=False)))


def with_bias(net: Any, variables: Any, bias: float) -> Any:
    """-> variables with gates that are closed or open, whatever they read."""
    params = dict(variables["params"])
    for name in net.recomputable():
        gate = params[name]["mix"]["conv"]
        still = {"kernel": jnp.zeros_like(gate["kernel"]), "bias": jnp.full_like(gate["bias"], bias)}
        params[name] = {**params[name], "mix": {"conv": still}}
    return {"params": params}


def evaluated(net: Any, variables: Any) -> dict[str, jax.Array]:
    return jax.jit(lambda tree: net.apply(tree, IMAGES, train=False))(variables)


def test_units_with_closed_gates_are_the_identity() -> None:
    net, variables = drawn()
    endpoints = evaluated(net, with_bias(net, variables, -200.0))
    np.testing.assert_array_equal(endpoints["stage1_block2"], endpoints["stem"])
    np.testing.assert_array_equal(endpoints["stage2_block1"], endpoints["pool1"])


def test_units_with_open_gates_are_those_of_the_plain_twin() -> None:
    (net, variables), (plain, _) = drawn(), drawn(skip=False)
    opened = with_bias(net, variables, 200.0)
    own = {"params": {name: dict(part) for name, part in opened["params"].items()}}
    for name in net.recomputable():
        own["params"][name].pop("mix")
    for name, got in evaluated(net, opened).items():
        np.testing.assert_array_equal(got, evaluated(plain, own)[name])


def test_a_unit_is_its_formula() -> None:
    net, variables = drawn()
    endpoints, exact = evaluated(net, variables), wide(variables)["params"]["stage1_block2"]
    x, gate = wide(endpoints["stage1_block1"]), exact["mix"]["conv"]
    assert gate["kernel"].shape == exact["conv1"]["kernel"].shape == (3, 3, 4, 4)
    g = 1 / (1 + np.exp(-layer(x, gate["kernel"], 1) - gate["bias"]))
    h = np.maximum(layer(x, exact["conv1"]["kernel"], 1) + exact["conv1"]["bias"], 0)
    assert_close(endpoints["stage1_block2"], g * h + (1 - g) * x)


@pytest.mark.parametrize("bias", [-2.0, -10.0])
def test_gates_begin_where_the_config_says(bias: float) -> None:
    net: Any = MODELS["highway"](10, Layers(norm="none"), stages=(2, 1), width=4, gate_bias=bias)
    params = net.init(jax.random.key(0, impl="rbg"), IMAGES, train=False)["params"]
    for name in net.recomputable():
        assert (np.asarray(params[name]["mix"]["conv"]["bias"]) == bias).all()


def test_every_stage_is_a_chain_and_ends_with_a_pool() -> None:
    net, variables = drawn()
    assert net.chains() == [("stage1_block1", "stage1_block2"), ("stage2_block1",)]
    shapes = {name: found.shape[1:] for name, found in evaluated(net, variables).items()}
    assert shapes["pool1"] == (6, 6, 4)
    assert shapes["pool2"] == (3, 3, 4)
