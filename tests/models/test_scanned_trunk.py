"""Trunks whose chains run in a loop, or whose units are computed anew, are the same functions as without.

In float64, where sums in another order differ by 1e-13 or so, and nothing else may.
"""

from collections.abc import Callable, Iterator
from functools import cache
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from reference import random_like, wide
from selection import parametrize_sampled

from resjax import stacking
from resjax.models import MODELS
from resjax.models.blocks import Layers
from resjax.models.forms import FORMS
from resjax.models.heads import Head, Net, attach
from resjax.models.mlp import ResidualMLP
from resjax.models.resnet import ResNet
from resjax.models.shortcuts import Mixing
from resjax.models.trunk import Remat, Trunk
from resjax.models.units import Unit

IMAGES = np.random.default_rng(3).normal(size=(8, 8, 8, 1))
WIDE: Any = Layers(dtype="float64")  # pyright: ignore[reportArgumentType]: no key of a config allows it
REMATS: tuple[Remat, ...] = ("none", "norms", "units")
TOLERANCE = 1e-9  # of the largest value of an array
FAST = {"xla_backend_optimization_level": 0}  # to compile


@pytest.fixture(autouse=True)
def float64() -> Iterator[None]:
    with jax.enable_x64(True), jax.numpy_dtype_promotion("standard"):
        yield


def resnet(units: int, block: str = "basic", order: str = "original", skip: bool = True) -> Trunk:
    """One stage, 4 wide: a chain of all units but the first."""
    return ResNet(3, WIDE, (units,), (4,), block, "1x1", order, "A", skip, "cifar")


def bottlenecks(units: int) -> Trunk:
    return resnet(units, "bottleneck", "preactivation")


def mlp(units: int) -> Trunk:
    return ResidualMLP(3, WIDE, units, 8, "original", True)


def headed(trunk: Trunk, *heads: Head) -> Net:
    return attach(trunk, [(head, FORMS[head.form]((3,))) for head in heads])


def scanned(net: Net) -> Net:
    return net.clone(scanned=stacking.choose(net.trunk.chains(), [head.endpoint for head, _ in net.heads], 2))


def shapes(net: Net) -> Any:
    """-> of the variables, as the net reads them."""
    apart = net.clone(scanned=(), remat="none")
    found = jax.eval_shape(lambda: apart.init(jax.random.key(0), IMAGES, train=False))
    found = jax.tree.map(lambda each: jax.ShapeDtypeStruct(each.shape, np.float64), found)
    return jax.eval_shape(lambda tree: stacking.stack(tree, net.scanned), found)


def loss(net: Net, params: Any, statistics: Any) -> tuple[jax.Array, Any]:
    """-> a sum over all outputs, and the outputs with the new statistics."""
    found: Any = net.apply(
        {"params": params, "batch_stats": statistics}, IMAGES, train=True, mutable=["batch_stats"]
    )
    return jnp.stack([jnp.sin(output).sum() for output in found[0].values()]).sum(), found


def gradient(net: Net) -> Callable[..., Any]:
    return lambda params, statistics: jax.grad(lambda params: loss(net, params, statistics), has_aux=True)(
        params
    )


def results(net: Net) -> dict[str, Any]:
    """-> gradients, outputs and statistics in training, and in evaluation, for drawn values; all apart."""

    def run(variables: Any) -> Any:
        gradients, found = gradient(net)(variables["params"], variables["batch_stats"])
        return {"train": found, "gradients": gradients, "eval": net.apply(variables, IMAGES, train=False)}

    stacked = stacking.stack(wide(random_like(shapes(net.clone(scanned=())))), net.scanned)
    return stacking.unstack(jax.jit(run, compiler_options=FAST)(stacked), net.scanned)


def assert_same(got: Any, want: Any) -> None:
    assert jax.tree.structure(got) == jax.tree.structure(want)
    for (path, a), b in zip(jax.tree_util.tree_leaves_with_path(got), jax.tree.leaves(want), strict=True):
        assert np.abs(b).max() > 0, path  # or the comparison says nothing
        np.testing.assert_allclose(a, b, rtol=0, atol=TOLERANCE * np.abs(b).max(), err_msg=str(path))


HEADS = {
    "first, isolated, last": (
        Head(name="a", endpoint="block2"),
        Head(name="b", endpoint="block4", isolate=True),
        Head(name="c", endpoint="block6"),
    ),
    "middle, probe": (
        Head(name="a", endpoint="block3"),
        Head(name="b", endpoint="block5", stop_gradient=True),
    ),
}


@pytest.mark.slow
@pytest.mark.parametrize("heads", HEADS)
def test_heads_within_a_chain_read_and_teach_the_same(heads: str) -> None:
    net = headed(mlp(6), *HEADS[heads])
    assert scanned(net).scanned
    assert_same(results(scanned(net)), results(net))


def test_what_lies_before_an_isolated_head_in_a_chain_is_not_taught_by_the_main_output() -> None:
    net = scanned(headed(mlp(7), Head(name="a", endpoint="block4", isolate=True)))
    assert net.scanned == (("block2", "block3", "block4"), ("block5", "block6", "block7"))
    variables = stacking.stack(random_like(shapes(net.clone(scanned=()))), net.scanned)

    def main(params: Any) -> jax.Array:
        return jnp.sin(loss(net, params, variables["batch_stats"])[1][0]["main"]).sum()

    stacked = jax.jit(jax.grad(main), compiler_options=FAST)(variables["params"])
    gradients = stacking.unstack(stacked, net.scanned)["trunk"]
    taught = {name for name, part in gradients.items() if any(map(jnp.any, jax.tree.leaves(part)))}
    assert taught == {"block5", "block6", "block7", "classifier"}


NETS = {
    "basic": resnet(4),
    "plain": resnet(4, order="preactivation", skip=False),
    "bottleneck": bottlenecks(3),
    "gated": resnet(3, order="norm_after_addition").clone(mixing=Mixing(gate="exclusive", gate_bias=-1.0)),
}


@cache
def unrolled(kind: str) -> dict[str, Any]:
    return results(headed(NETS[kind]))


@parametrize_sampled(
    ("kind", "remat"),
    [*((kind, "none") for kind in NETS), ("basic", "norms"), ("basic", "units")],
    default=[("basic", "none"), ("basic", "units")],
)
def test_scanned_units_computed_anew_or_not_are_the_unrolled_ones(kind: str, remat: Remat) -> None:
    assert_same(results(scanned(headed(NETS[kind])).clone(remat=remat)), unrolled(kind))


@parametrize_sampled("remat", REMATS[1:], default=["units"])
def test_unrolled_units_computed_anew_change_nothing(remat: Remat) -> None:
    assert_same(results(headed(NETS["basic"]).clone(remat=remat)), unrolled("basic"))


def kept(net: Net) -> int:
    """-> bytes that the forward pass keeps for the backward pass, whatever the backend makes of them."""

    def pull(params: Any, statistics: Any) -> Any:
        return jax.vjp(lambda params: loss(net, params, statistics)[0], params)[1]

    variables = shapes(net)
    residuals = jax.eval_shape(pull, variables["params"], variables["batch_stats"])
    return sum(each.size * each.dtype.itemsize for each in jax.tree.leaves(residuals))


@pytest.mark.parametrize("trunk", [resnet(4), mlp(5)], ids=["convolutions", "dense"])
@parametrize_sampled("loop", [False, True], ids=["unrolled", "scanned"], default=[True])
def test_the_more_is_computed_anew_the_less_is_kept_for_the_backward_pass(loop: bool, trunk: Trunk) -> None:
    net = scanned(headed(trunk)) if loop else headed(trunk)
    none, norms, units = (kept(net.clone(remat=remat)) for remat in REMATS)
    assert units < norms < none


def lowered(net: Net, variables: Any) -> Any:
    """-> the program of the gradient, as JAX gives it to the compiler."""
    return jax.jit(gradient(net)).lower(variables["params"], variables["batch_stats"])


@pytest.mark.slow
def test_the_compiled_gradient_of_a_scanned_chain_takes_less_memory_the_more_is_computed_anew() -> None:
    """Unrolled, XLA:CPU finds again most of what JAX wanted computed twice, and merges it."""
    nets = [scanned(headed(mlp(8))).clone(remat=remat) for remat in REMATS]
    programs = [lowered(net, shapes(net)) for net in nets]
    sizes = [program.compile().memory_analysis().temp_size_in_bytes for program in programs]
    assert sizes[2] < sizes[1] < sizes[0]


@pytest.mark.parametrize("loop", [False, True], ids=["unrolled", "scanned"])
def test_evaluation_computes_nothing_anew(loop: bool) -> None:
    for remat in REMATS:
        net = (scanned(headed(mlp(3))) if loop else headed(mlp(3))).clone(remat=remat)
        variables = shapes(net)
        evaluation = jax.make_jaxpr(lambda tree, net=net: net.apply(tree, IMAGES, train=False))(variables)
        assert "prevent_cse=" not in str(evaluation)
        training = jax.make_jaxpr(gradient(net))(variables["params"], variables["batch_stats"])
        assert ("prevent_cse=" in str(training)) == (remat != "none")  # so it would be seen


def traced(net: Net) -> tuple[int, int]:
    """-> how many units are called while the gradient is traced, and the lines of its program."""
    calls = []

    def watch(call: Callable[..., Any], args: Any, kwargs: Any, context: Any) -> Any:
        if isinstance(context.module, Unit):
            calls.append(context.module.name)
        return call(*args, **kwargs)

    variables = shapes(net)
    with nn.intercept_methods(watch):
        program = lowered(net, variables).as_text()
    return len(calls), program.count("\n")


CASES = [(resnet, "none"), (bottlenecks, "norms"), (mlp, "units")]


@pytest.mark.slow
@pytest.mark.parametrize(("trunk", "remat"), CASES, ids=["basic", "bottleneck", "mlp"])
def test_a_longer_chain_is_traced_and_compiled_no_longer_where_it_is_scanned(
    trunk: Callable[[int], Trunk], remat: Remat
) -> None:
    few, many = (headed(trunk(units)).clone(remat=remat) for units in (3, 9))
    assert traced(scanned(few)) == traced(scanned(many))
    (calls, lines), (more_calls, more_lines) = traced(few), traced(many)
    assert more_calls == 3 * calls
    assert more_lines > 2 * lines


@pytest.mark.slow
@pytest.mark.parametrize("model", ["dsn", "googlenet", "layerwise_cnn"])
def test_models_without_chains_can_be_told_to_compute_anew(model: str) -> None:
    settings: dict[str, Any] = {"stem": "cifar"} if model == "googlenet" else {}
    net = headed(MODELS[model](3, Layers(norm="none" if model == "dsn" else "batch"), **settings))
    images = jnp.zeros((2, 32, 32, 3), jnp.float32)
    rngs = {"params": jax.random.key(0), "dropout": jax.random.key(1)}

    def run() -> Any:
        variables = net.init(rngs, images, train=True)
        return net.clone(remat="units").apply(variables, images, train=True, mutable=True, rngs=rngs)

    assert jax.eval_shape(run)
