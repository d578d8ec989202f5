"""Nets that begin as the identity: SkipInit, ReZero, LayerScale, Fixup. Values and gradients at the start."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax.traverse_util import flatten_dict, unflatten_dict
from reference import Reference, assert_close, layer, random_like, wide
from selection import parametrize_sampled
from small_units import BASIC, BASIC_DOWN, build, prepared

from resjax.models import MODELS
from resjax.models.blocks import Layers
from resjax.models.units import UNITS

KEY = jax.random.key(5, impl="rbg")  # threefry takes seconds to compile on the CPU
IMAGES = jnp.asarray(np.random.default_rng(7).normal(size=(8, 8, 8, 3)), jnp.float32)
SKIPINIT: dict[str, Any] = dict(branch_scale=0.0, learned_scale="scalar")
EVALUATING = Layers().bind(train=False)
NETS: dict[str, tuple[str, Any, dict[str, Any]]] = {
    "skipinit": ("wide_resnet", Layers(norm="none"), dict(widen=1, **SKIPINIT)),
    "rezero": ("cifar_resnet", Layers(), dict(width=4, **SKIPINIT)),
    "fixup": ("fixup_resnet", Layers(norm="none"), dict(width=4)),
}


def initial(kind: str, depth: int) -> tuple[Any, Any]:
    name, layers, settings = NETS[kind]
    net: Any = MODELS[name](10, layers, depth=depth + 2 * (name == "wide_resnet"), **settings)
    return net, jax.jit(lambda: net.init(KEY, IMAGES, train=False))()


def gradients(net: Any, variables: Any) -> dict[tuple[str, ...], np.ndarray]:
    """-> of the cross-entropy of labels 0 to 7, by the parameters' paths."""

    def loss(params: Any) -> jax.Array:
        found, _ = net.apply({**variables, "params": params}, IMAGES, train=True, mutable=["batch_stats"])
        return -jax.nn.log_softmax(found["main"])[jnp.arange(8), jnp.arange(8)].mean()

    return {
        path: np.asarray(leaf)
        for path, leaf in flatten_dict(jax.jit(jax.grad(loss))(variables["params"])).items()
    }


@pytest.mark.slow
@pytest.mark.parametrize("kind", NETS)
def test_at_any_depth_each_unit_begins_as_its_shortcut(kind: str) -> None:
    """So the signal is that of the stem: units that change the shape thin it out or project it."""
    net, variables = initial(kind, depth=32)
    endpoints = net.apply(variables, IMAGES, train=False)
    before, same = endpoints["stem"], 0
    for name in net.recomputable():
        if endpoints[name].shape == before.shape:
            np.testing.assert_array_equal(endpoints[name], before)
            same += 1
        before = endpoints[name]
    assert same == 13  # of 15 units


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["skipinit", "rezero"])
def test_with_scales_of_zero_the_scales_learn_first_and_their_branches_not_yet(kind: str) -> None:
    """d/dscale = <branch, gradient of the unit's output>, and d/dbranch = scale * that gradient."""
    net, variables = initial(kind, depth=8)
    found = gradients(net, variables)
    scales = [path for path in found if path[-2:] == ("mix", "scale")]
    assert len(scales) == 3
    assert all(found[path].shape == () and found[path] != 0 for path in scales)
    branches = [
        path for path in found if path[0].startswith("stage") and path[1].startswith(("conv", "norm"))
    ]
    assert branches
    assert not any(found[path].any() for path in branches)
    assert found["stem_conv", "kernel"].any()
    assert found["classifier", "kernel"].any()


def test_fixup_s_first_step_is_the_classifier_s_and_the_second_one_the_last_layers_of_the_branches() -> None:
    net, variables = initial("fixup", depth=14)
    found = gradients(net, variables)
    assert {path[0] for path, leaf in found.items() if leaf.any()} == {"classifier"}
    params = flatten_dict(variables["params"])
    params["classifier", "kernel"] = params["classifier", "kernel"] - found["classifier", "kernel"]
    second = gradients(net, {"params": unflatten_dict(params)})
    units = net.recomputable()
    assert all(second[name, "conv2", "kernel"].any() for name in units)
    assert not any(second[name, "conv1", "kernel"].any() for name in units)  # behind a layer that is zero


@parametrize_sampled("depth", [14, 56], default=[14])
def test_fixup_s_first_layers_begin_smaller_the_more_units_there_are(depth: int) -> None:
    net: Any = MODELS["fixup_resnet"](10, Layers(norm="none"), depth=depth)
    params = net.init(KEY, IMAGES[:1], train=False)["params"]
    units = (depth - 2) // 2
    for name in net.recomputable():
        kernel = np.asarray(params[name]["conv1"]["kernel"])
        want = np.sqrt(2 / (9 * kernel.shape[-1])) * units**-0.5  # m = 2 layers in a branch
        assert abs(kernel.std() / want - 1) < 5 / np.sqrt(2 * kernel.size)
        assert not np.asarray(params[name]["conv2"]["kernel"]).any()
        assert set(params[name]) == {"before1", "conv1", "behind1", "before2", "conv2", "scale", "behind2"}
    assert not np.asarray(params["classifier"]["kernel"]).any()


@pytest.mark.parametrize("stage", [1, 2])
def test_a_fixup_unit_is_the_formula_of_the_authors_code(stage: int) -> None:
    net: Any = MODELS["fixup_resnet"](10, Layers(norm="none"), depth=14, width=4)
    shapes = jax.eval_shape(lambda: net.init(KEY, IMAGES, train=False))
    variables = random_like(shapes)
    endpoints = jax.jit(lambda tree: net.apply(tree, IMAGES, train=False))(variables)
    name, before = f"stage{stage}_block1", "stem" if stage == 1 else f"stage{stage - 1}_block2"
    own, x = wide(variables)["params"][name], wide(endpoints[before])
    conv = Reference({"params": own}, "original", (stage,), "pad" if stage == 2 else "identity")
    shifted = x + own["before1"]["bias"]
    y = np.maximum(layer(shifted, own["conv1"]["kernel"], stage) + own["behind1"]["bias"], 0)
    y = layer(y + own["before2"]["bias"], own["conv2"]["kernel"], 1) * own["scale"] + own["behind2"]["bias"]
    along = conv.along(shifted if stage == 2 else x, y.shape[-1])
    assert_close(endpoints[name], np.maximum(y + along, 0))


@pytest.mark.parametrize("order", UNITS)
@pytest.mark.parametrize(("learned", "shape"), [("scalar", ()), ("channels", (6,))])
def test_a_learned_scale_is_that_of_the_branch(order: str, learned: str, shape: tuple[int, ...]) -> None:
    unit = build(order, BASIC_DOWN, "pad", EVALUATING, learned_scale=learned, shortcut_scale=0.5)
    x, variables = prepared(unit)
    scale = wide(variables)["params"]["mix"]["scale"]
    assert scale.shape == shape
    reference = Reference(wide(variables), order, (2, 1), "pad", scales=(0.5, scale))  # pyright: ignore[reportArgumentType]
    assert_close(unit.apply(variables, x), reference(wide(x)))


@pytest.mark.parametrize(("begin", "learned"), [(0.0, "scalar"), (0.1, "channels"), (0.25, "scalar")])
def test_a_learned_scale_begins_where_the_config_says(begin: float, learned: str) -> None:
    unit = build("original", BASIC, "identity", EVALUATING, branch_scale=begin, learned_scale=learned)
    x, _ = prepared(unit)
    scale: Any = unit.init(KEY, x)["params"]["mix"]["scale"]
    np.testing.assert_array_equal(scale, np.full(scale.shape, begin, np.float32))
