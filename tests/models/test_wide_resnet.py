"""Wide residual nets: widths, projections, and dropout between the convolutions of a unit."""

from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from reference import Reference, assert_close, random_like, wide
from selection import parametrize_sampled

from resjax.models import MODELS
from resjax.models.blocks import Layers

IMAGES = jnp.asarray(np.random.default_rng(7).normal(size=(2, 8, 8, 3)), jnp.float32)


def drawn(**settings: Any) -> tuple[Any, Any]:
    """-> a net of six units and random variables."""
    net: Any = MODELS["wide_resnet"](10, Layers(), depth=16, **settings)
    return net, random_like(jax.eval_shape(lambda: net.init(jax.random.key(0), IMAGES, train=False)))


def evaluated(net: Any, variables: Any) -> dict[str, jax.Array]:
    return jax.jit(lambda tree: net.apply(tree, IMAGES, train=False))(variables)


@parametrize_sampled("widen", [1, 2, 3], default=[2])
def test_all_widths_but_the_stem_s_are_multiplied(widen: int) -> None:
    net = MODELS["wide_resnet"](10, Layers(), depth=16, widen=widen)
    shapes: Any = jax.eval_shape(lambda: net.init_with_output(jax.random.key(0), IMAGES, train=False)[0])
    stages = {f"stage{s}_block{n}": 16 * widen * 2 ** (s - 1) for s in (1, 2, 3) for n in (1, 2)}
    assert {name: leaf.shape[-1] for name, leaf in shapes.items()} == {"stem": 16, **stages, "main": 10}
    assert [shapes[f"stage{s}_block2"].shape[1] for s in (1, 2, 3)] == [8, 4, 2]


@parametrize_sampled("widen", [1, 2], default=[2])
def test_units_are_the_formula_and_share_their_first_norm_where_widths_change(widen: int) -> None:
    net, variables = drawn(widen=widen)
    endpoints, exact = evaluated(net, variables), wide(variables)
    before = wide(endpoints["stem"])
    for name in net.recomputable():
        got = wide(endpoints[name])
        changes = got.shape != before.shape
        own = {kind: exact[kind][name] for kind in exact}
        stride = 2 if got.shape[1] < before.shape[1] else 1
        shortcut = "projection" if changes else "identity"
        assert ("shortcut" in own["params"]) == changes
        unit = Reference(own, "preactivation", (stride, 1), shortcut, shared=changes)
        assert_close(got, unit(before))
        before = got


def calls(net: Any, variables: Any, **settings: Any) -> list[tuple[str, Any, Any]]:
    """-> (kind, input, output) of each layer, norm and dropout in the order of the calls."""
    found = []

    def watch(call: Any, args: Any, kwargs: Any, context: Any) -> Any:
        output = call(*args, **kwargs)
        kind = type(context.module).__name__
        if context.method_name == "__call__" and kind in ("Conv", "BatchNormReLU", "Dropout"):
            found.append((kind, args[0], output))
        return output

    with nn.intercept_methods(watch):
        net.apply(variables, IMAGES, mutable=["batch_stats"], **settings)
    return found


@pytest.mark.slow
def test_dropout_stands_between_the_convolutions_behind_the_relu() -> None:
    net, variables = drawn(widen=1, dropout=0.4)
    found = calls(net, variables, train=True, rngs={"dropout": jax.random.key(1)})
    places = [number for number, (kind, _, _) in enumerate(found) if kind == "Dropout"]
    assert len(places) == 6
    for place in places:
        (before, _, normed), (_, read, dropped), (behind, convolved, _) = found[place - 1 : place + 2]
        assert (before, behind) == ("BatchNormReLU", "Conv")
        assert read is normed
        assert convolved is dropped
        assert float(read.min()) == 0
        alive = np.asarray(read) > 0
        kept = np.asarray(dropped)[alive] > 0
        np.testing.assert_allclose(
            np.asarray(dropped)[alive][kept] * 0.6, np.asarray(read)[alive][kept], 1e-5
        )
        assert abs(kept.mean() - 0.6) < 4 * np.sqrt(0.24 / alive.sum())


@pytest.mark.slow
def test_dropout_is_in_training_only_and_draws_for_each_unit() -> None:
    (dropped, variables), (ordinary, _) = drawn(widen=1, dropout=0.4), drawn(widen=1)
    for name, got in evaluated(dropped, variables).items():
        np.testing.assert_array_equal(got, evaluated(ordinary, variables)[name])
    assert dropped.chains() == []
    assert ordinary.chains() != []


def test_the_plain_twin_lacks_the_projections_and_nothing_else() -> None:
    (_, residual), (_, plain) = drawn(widen=2), drawn(widen=2, skip=False)
    for unit in residual["params"].values():
        unit.pop("shortcut", None)
    assert jax.tree.structure(residual) == jax.tree.structure(plain)
