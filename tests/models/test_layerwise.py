"""The nets that are trained layer by layer: folding, widths, and that a layer's problem is a shorter net."""

import math
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from reference import assert_close, layer, random_like, wide

from resjax.models import forms
from resjax.models.blocks import Layers
from resjax.models.heads import Head, Net, attach
from resjax.models.layerwise import LayerwiseCNN, layerwise_cnn, space_to_depth

CIFAR = (32, 32, 3)
DEEPER: dict[str, Any] = dict(depth=4, width=128, downsample=(3,))  # those of k = 2 and 3
TINY: dict[str, Any] = dict(depth=3, width=2, downsample=(2,), hidden=3)


def net(k: int = 1, norm: Any = "none", **settings: Any) -> LayerwiseCNN:
    return layerwise_cnn(10, Layers(norm=norm), k=k, **settings)


def shapes(module: Any, image: tuple[int, ...] = CIFAR) -> tuple[dict[str, Any], dict[str, Any]]:
    """-> parameters' shapes by module, and endpoints'."""
    x = jax.ShapeDtypeStruct((2, *image), jnp.float32)
    variables = jax.eval_shape(lambda x: module.init(jax.random.key(0), x, train=False), x)
    endpoints: Any = jax.eval_shape(lambda v, x: module.apply(v, x, train=False), variables, x)
    return variables["params"], {name: each.shape[1:] for name, each in endpoints.items()}


def images(*shape: int) -> jax.Array:
    return jnp.asarray(np.random.default_rng(7).normal(size=shape), jnp.float32)


def test_folding_moves_every_value_of_two_by_two_pixels_into_channels() -> None:
    x = np.arange(2 * 4 * 6 * 3, dtype=np.float32).reshape(2, 4, 6, 3)
    folded = np.asarray(space_to_depth(jnp.asarray(x)))
    assert folded.shape == (2, 2, 3, 12)
    for i in range(2):
        for j in range(3):
            square = x[:, 2 * i : 2 * i + 2, 2 * j : 2 * j + 2]
            np.testing.assert_array_equal(folded[:, i, j], square.reshape(2, 12))


def test_each_layer_is_a_convolution_and_a_relu_of_the_folded_one_before() -> None:
    module, x = net(**TINY), images(2, 8, 12, 3)
    variables = random_like(jax.eval_shape(lambda: module.init(jax.random.key(0), x, train=False)))
    endpoints: Any = module.apply(variables, x, train=False)
    exact, before = wide(variables["params"]), wide(x)
    for number in (1, 2, 3):
        read = wide(space_to_depth(jnp.asarray(before, jnp.float32))) if number == 2 else before
        conv = exact[f"conv{number}"]
        expected = np.maximum(layer(read, conv["kernel"], 1) + conv["bias"], 0)
        assert_close(endpoints[f"layer{number}"], expected)
        before = wide(endpoints[f"layer{number}"])
    means = before.reshape(2, 2, 2, 2, 3, -1).mean((2, 4))  # 4 x 6 pixels in 2 x 2 parts
    problem = exact["problem"]["classifier"]
    assert_close(endpoints["main"], means.reshape(2, -1) @ problem["kernel"] + problem["bias"])


@pytest.mark.parametrize(
    ("module", "parameters"),
    [
        # 3 x 3 kernels and biases over (3, 256), (256, 256), (4 * 256, 512), (512, 512), (4 * 512, 1024),
        # and 10 classes of 2 x 2 averages of 1,024.
        (net(), 7_168 + 590_080 + 4_719_104 + 2_359_808 + 18_875_392 + 40_970),
        # Without biases (3, 128), (128, 128), (4 * 128, 256), (256, 256), their norms; the problem's.
        (net(2, "batch", **DEEPER), 3_456 + 147_456 + 1_179_648 + 589_824 + 1_536 + 590_336 + 10_250),
        (net(3, "batch", **DEEPER), 3_456 + 147_456 + 1_179_648 + 589_824 + 1_536 + 2 * 590_336 + 10_250),
    ],
    ids=["k1", "k2", "k3"],
)
def test_the_parameters_are_those_of_the_widths(module: LayerwiseCNN, parameters: int) -> None:
    found, _ = shapes(module)
    assert sum(math.prod(leaf.shape) for leaf in jax.tree.leaves(found)) == parameters


def test_a_downsampling_halves_the_plane_and_doubles_the_features() -> None:
    planes = {"layer1": (32, 32, 256), "layer2": (32, 32, 256), "layer3": (16, 16, 512)}
    assert shapes(net())[1] == planes | {"layer4": (16, 16, 512), "layer5": (8, 8, 1024), "main": (10,)}
    constant = shapes(net(growth=1, depth=3, downsample=(1, 3)))[1]
    assert constant == {
        "layer1": (16, 16, 256), "layer2": (16, 16, 256), "layer3": (8, 8, 256), "main": (10,),
    }  # fmt: skip


@pytest.mark.parametrize("k", [1, 2, 3])
def test_a_layer_with_its_problem_is_a_shorter_net(k: int) -> None:
    """So the last layer, whose problem is the net's own, is trained as all the others."""
    problem = Head(name="a", endpoint="layer2", form="conv_hidden")
    settings = {**TINY, "depth": 2}
    head = (problem, forms.conv_hidden((10,), k=k, features=3, batch_norm=True))
    phase: Net = attach(net(k, "batch", **TINY), [head], until="layer2")
    found, outputs = shapes(phase, (8, 8, 3))
    short, endpoints = shapes(net(k, "batch", **settings), (8, 8, 3))
    assert {**found["trunk"], "problem": found["head_a"]} == short
    assert outputs["a"] == endpoints["main"]


def test_parameters_do_not_depend_on_train() -> None:
    module = net(2, "batch", **TINY)
    first, second = (
        jax.eval_shape(lambda train=train: module.init(jax.random.key(0), images(2, 8, 8, 3), train=train))
        for train in (False, True)
    )
    assert first == second


def test_an_odd_plane_cannot_be_folded() -> None:
    with pytest.raises(ValueError, match="downsample"):
        shapes(net(**TINY), (7, 8, 3))
