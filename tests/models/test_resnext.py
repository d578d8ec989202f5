"""ResNeXt: a convolution in groups is the sum of the paper's bottlenecks of their own."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from reference import assert_close, layer, random_like, wide

from resjax.models import MODELS
from resjax.models.blocks import Layers

IMAGES = jnp.asarray(np.random.default_rng(7).normal(size=(2, 8, 8, 3)), jnp.float32)
SMALL: dict[str, Any] = dict(depth=20, cardinality=3, group_width=2, width=4)


def normed(unit: Any, name: str, y: np.ndarray, part: slice = slice(None)) -> np.ndarray:
    """-> the running norm of some of a layer's features, and its ReLU."""
    affine, running = unit["params"][name], unit["batch_stats"][name]
    scale = affine["scale"][part] / np.sqrt(running["var"][part] + 1e-5)
    return (y - running["mean"][part]) * scale + affine["bias"][part]


def split_transform_merge(unit: Any, x: np.ndarray, cardinality: int, width: int) -> np.ndarray:
    """-> the branch, group by group: 1 x 1 down to a few features, 3 x 3 of these, 1 x 1 up; all summed."""
    kernels, total = {name: unit["params"][name]["kernel"] for name in ("conv1", "conv2", "conv3")}, 0.0
    for number in range(cardinality):
        part = slice(number * width, (number + 1) * width)
        y = np.maximum(normed(unit, "norm1", layer(x, kernels["conv1"][..., part], 1), part), 0)
        y = np.maximum(normed(unit, "norm2", layer(y, kernels["conv2"][..., part], 1), part), 0)
        total = total + layer(y, kernels["conv3"][:, :, part], 1)
    return normed(unit, "norm3", np.asarray(total))


@pytest.mark.slow
@pytest.mark.parametrize("stage", [1, 2, 3])
def test_groups_are_bottlenecks_of_their_own_summed(stage: int) -> None:
    net: Any = MODELS["cifar_resnext"](10, Layers(), **SMALL)
    variables = random_like(jax.eval_shape(lambda: net.init(jax.random.key(0), IMAGES, train=False)))
    endpoints, exact = net.apply(variables, IMAGES, train=False), wide(variables)
    before, name = wide(endpoints[f"stage{stage}_block1"]), f"stage{stage}_block2"
    unit = {kind: exact[kind][name] for kind in exact}
    branch = split_transform_merge(unit, before, 3, 2 * 2 ** (stage - 1))
    assert_close(endpoints[name], np.maximum(before + branch, 0))


@pytest.mark.parametrize(("model", "stages"), [("cifar_resnext", 3), ("imagenet_resnext", 4)])
def test_groups_widen_from_stage_to_stage_and_outputs_with_them(model: str, stages: int) -> None:
    settings = {**SMALL, "depth": 29 if model == "cifar_resnext" else 50}
    net = MODELS[model](10, Layers(), **settings)
    image = jax.ShapeDtypeStruct((1, 64, 64, 3), jnp.float32)
    params: Any = jax.eval_shape(lambda x: net.init(jax.random.key(0), x, train=False), image)["params"]
    for stage in range(1, stages + 1):
        unit, group = params[f"stage{stage}_block2"], 2 * 2 ** (stage - 1)
        assert unit["conv2"]["kernel"].shape == (3, 3, group, 3 * group)
        assert unit["conv3"]["kernel"].shape == (1, 1, 3 * group, 16 * 2 ** (stage - 1))


@pytest.mark.slow
def test_one_group_is_the_ordinary_bottleneck() -> None:
    """He et al.'s bottlenecks of the same widths: cardinality 1, a group as wide as the stage."""
    grouped: Any = MODELS["imagenet_resnext"](10, Layers(), cardinality=1, group_width=4, width=4)
    ordinary: Any = MODELS["imagenet_resnet"](10, Layers(), width=4)
    images = jnp.asarray(np.random.default_rng(1).normal(size=(2, 32, 32, 3)), jnp.float32)
    variables = random_like(jax.eval_shape(lambda: ordinary.init(jax.random.key(0), images, train=False)))
    got, want = (net.apply(variables, images, train=False)["main"] for net in (grouped, ordinary))
    np.testing.assert_array_equal(got, want)
