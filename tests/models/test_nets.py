"""Whole nets: how units are strung together, plain twins, precision."""

from typing import Any, get_args

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from reference import Reference, assert_close, layer, random_like, wide
from selection import parametrize_sampled

from resjax.models import MODELS, forms
from resjax.models.blocks import Layers
from resjax.models.heads import Head, attach
from resjax.models.units import Order

KEY = jax.random.key(5, impl="rbg")  # threefry takes seconds to compile on the CPU
ORDERS = get_args(Order)
PRE: dict[str, Any] = dict(order="preactivation")
BOTTLENECK: dict[str, Any] = dict(block="bottleneck", width=2)
TWINS = [
    ("cifar_resnet", dict(depth=8, width=4)),
    ("cifar_resnet", dict(depth=8, width=4, **PRE)),
    ("residual_mlp", dict(depth=6, width=4)),
    ("residual_mlp", dict(depth=6, width=4, **PRE)),
]
WIRED = [
    ("cifar_resnet", dict(depth=8, width=2, shortcut="A")),
    ("cifar_resnet", dict(depth=14, width=2, shortcut="B")),
    ("cifar_resnet", dict(depth=8, width=2, shortcut="C", **PRE)),
    ("cifar_resnet", dict(depth=8, width=2, skip=False)),
    ("cifar_resnet", dict(depth=8, width=2, skip=False, **PRE)),
    ("cifar_resnet", dict(depth=11, shortcut="A", stride_in="1x1", **BOTTLENECK, **PRE)),
    ("cifar_resnet", dict(depth=20, shortcut="B", stride_in="3x3", **BOTTLENECK, **PRE)),
    ("cifar_resnet", dict(depth=11, shortcut="B", stride_in="1x1", **BOTTLENECK)),
    ("cifar_resnet", dict(depth=20, shortcut="B", order="norm_after_addition", **BOTTLENECK)),
    ("cifar_resnet", dict(depth=8, width=2, shortcut="C", order="relu_before_addition")),
    ("cifar_resnet", dict(depth=20, shortcut="B", order="relu_preactivation", **BOTTLENECK)),
    ("cifar_resnet", dict(depth=8, width=2, skip=False, order="relu_preactivation")),
    ("residual_mlp", dict(depth=6, width=5)),
    ("residual_mlp", dict(depth=6, width=5, **PRE)),
    ("residual_mlp", dict(depth=6, width=5, skip=False)),
    ("residual_mlp", dict(depth=8, width=5, order="relu_preactivation")),
]


def images(batch: int = 2) -> jax.Array:
    return jnp.asarray(np.random.default_rng(7).normal(size=(batch, 8, 8, 3)), jnp.float32)


def initial(name: str, **settings: Any) -> tuple[Any, Any]:
    net: Any = MODELS[name](10, Layers(), **settings)
    return net, net.init(KEY, images(), train=False)


def drawn(name: str, **settings: Any) -> tuple[Any, Any]:
    """-> a net and random variables."""
    net: Any = MODELS[name](10, Layers(), **settings)
    return net, random_like(jax.eval_shape(lambda: net.init(KEY, images(), train=False)))


def stem(net: Any, variables: Any) -> jax.Array:
    return jax.jit(lambda v, x: net.apply(v, x, train=False)["stem"])(variables, images())


def strides(number: int, first: bool, block: str, stride_in: str) -> tuple[int, ...]:
    """-> the stride of each layer of a unit in stage `number`, by table 1 of 1512.03385."""
    down = 2 if first and number > 1 else 1
    if block == "bottleneck":
        return (down, 1, 1) if stride_in == "1x1" else (1, down, 1)
    return (down, 1)


def shortcut(option: str, skip: bool, first: bool, changes: bool) -> str:
    if not skip:
        return "none"
    if option == "C" or (option == "B" and changes):
        return "projection"
    return "pad" if changes else "identity"


@parametrize_sampled(("name", "settings"), WIRED, default=5)
def test_each_unit_of_a_net_makes_its_endpoint_of_the_one_before(name: str, settings: dict[str, Any]) -> None:
    net, variables = drawn(name, **settings)
    order = settings.get("order", "original")
    endpoints = jax.jit(lambda v, x: net.apply(v, x, train=False))(variables, images())
    exact, logits, before = wide(variables), endpoints.pop("main"), wide(endpoints.pop("stem"))
    for endpoint, got in endpoints.items():
        got = wide(got)
        changes = got.shape != before.shape
        first = endpoint.endswith("block1")
        own = {kind: exact[kind][endpoint] for kind in exact}
        stage = int(endpoint[5]) if endpoint.startswith("stage") else 1
        unit = Reference(
            own,
            order,
            strides(stage, first, settings.get("block", "basic"), settings.get("stride_in", "1x1")),
            shortcut(settings.get("shortcut", "A"), settings.get("skip", True), first, changes),
            shared=first,
        )
        assert_close(got, unit(before))
        before = got
    if order == "preactivation":
        before = np.maximum(Reference(exact, order, (), "none").norm(before, "final_norm"), 0)
    before = np.maximum(before, 0) if order == "relu_preactivation" else before
    pooled = before.mean((1, 2)) if before.ndim == 4 else before
    last = exact["params"]["classifier"]
    assert_close(logits, pooled @ last["kernel"] + last["bias"])


@parametrize_sampled("order", ORDERS, default=("original", "preactivation"))
@pytest.mark.parametrize("name", ["cifar_resnet", "residual_mlp"])
def test_the_stem_is_one_layer_with_a_norm_unless_the_units_begin_with_one(name: str, order: str) -> None:
    net, variables = drawn(name, order=order, depth=8, width=3)
    x, exact = images(), wide(variables)
    kernel = next(
        exact["params"][key]["kernel"] for key in ("stem_conv", "stem_dense") if key in exact["params"]
    )
    expected = layer(wide(x) if kernel.ndim == 4 else wide(x).reshape(2, -1), kernel, 1)
    if order != "preactivation":
        expected = np.maximum(Reference(exact, order, (), "none").norm(expected, "stem_norm"), 0)
    assert_close(stem(net, variables), expected)


def test_the_imagenet_stem_halves_twice_and_pools_over_three_by_three() -> None:
    net, variables = drawn("imagenet_resnet", depth=18, width=2, order="preactivation")
    maps = layer(wide(images()), wide(variables["params"]["stem_conv"]["kernel"]), 2)
    padded = np.pad(maps, ((0, 0), (1, 1), (1, 1), (0, 0)), constant_values=-np.inf)
    pooled = [[padded[:, i : i + 3, j : j + 3].max((1, 2)) for j in (0, 2)] for i in (0, 2)]
    assert_close(stem(net, variables), np.moveaxis(np.asarray(pooled), 2, 0))


@parametrize_sampled(("name", "settings"), TWINS, default=2)
def test_a_plain_twin_starts_from_the_same_bits(name: str, settings: dict[str, Any]) -> None:
    _, residual = initial(name, **settings)
    _, plain = initial(name, skip=False, **settings)
    assert jax.tree.structure(residual) == jax.tree.structure(plain)
    jax.tree.map(np.testing.assert_array_equal, residual, plain)


def test_a_projection_leaves_the_other_parameters_bits_alone() -> None:
    _, padded = initial("cifar_resnet", depth=8, width=4, shortcut="A")
    _, projected = initial("cifar_resnet", depth=8, width=4, shortcut="B")
    for unit in projected["params"].values():
        unit.pop("shortcut", None)
    jax.tree.map(np.testing.assert_array_equal, padded["params"], projected["params"])


@pytest.mark.parametrize("name", ["cifar_resnet", "residual_mlp"])
def test_parameters_do_not_depend_on_train(name: str) -> None:
    net: Any = MODELS[name](10, Layers(), depth=8, width=4)
    evaluating, training = (
        jax.eval_shape(lambda train=train: net.init(KEY, images(), train=train)) for train in (False, True)
    )
    assert evaluating == training


def headed(layers: Layers, name: str = "residual_mlp") -> Any:
    early = (Head(name="early", endpoint="stem"), forms.pooled_linear((10,)))
    return attach(MODELS[name](10, layers, depth=8, width=8), [early])


@pytest.mark.parametrize("name", ["cifar_resnet", "residual_mlp"])
def test_bfloat16_computes_narrow_and_keeps_parameters_and_logits_wide(name: str) -> None:
    net = headed(Layers(dtype="bfloat16"), name)
    with jax.numpy_dtype_promotion("standard"):  # Linen's BatchNorm mixes its float32 statistics in
        variables = jax.eval_shape(lambda: net.init(KEY, images(), train=False))
        logits = jax.eval_shape(
            lambda v: net.apply(v, images(), train=True, mutable=["batch_stats"]), variables
        )
        own = {kind: values["trunk"] for kind, values in variables.items()}
        endpoints = jax.eval_shape(lambda v: net.trunk.apply(v, images(), train=False), own)
    assert {leaf.dtype for leaf in jax.tree.leaves((variables, logits))} == {np.dtype(np.float32)}
    assert {value.dtype for value in endpoints.values()} == {np.dtype(jnp.bfloat16)}


def test_bfloat16_changes_no_initial_value_and_logits_a_little() -> None:
    with jax.numpy_dtype_promotion("standard"):
        narrow, full = headed(Layers(dtype="bfloat16")), headed(Layers())
        variables, same = (net.init(KEY, images(), train=False) for net in (narrow, full))
        low, high = (net.apply(variables, images(), train=False) for net in (narrow, full))
    jax.tree.map(np.testing.assert_array_equal, variables, same)
    for output in ("main", "early"):
        assert_close(low[output], wide(high[output]), tolerance=0.05)
        assert not np.array_equal(low[output], high[output])
