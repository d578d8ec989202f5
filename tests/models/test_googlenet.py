"""GoogLeNet and the DSN trunks: every number of their tables."""

import dataclasses
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from selection import parametrize_sampled

from resjax.anatomy import Anatomy, summarize
from resjax.families import build_trunk
from resjax.models.blocks import Layers
from resjax.models.googlenet import WIDTHS, local_response
from resjax.models.heads import Net

LAYERS = dataclasses.asdict(Layers(norm="none"))
# Szegedy et al. 2014, table 1: output, and multiply-adds in millions. The printed 54 of 5a is not what its
# printed widths give, 51. The column of parameters agrees with the printed widths nowhere, so it is left.
TABLE = {
    "inception3a": ((28, 28, 256), 128),
    "inception3b": ((28, 28, 480), 304),
    "inception4a": ((14, 14, 512), 73),
    "inception4b": ((14, 14, 512), 88),
    "inception4c": ((14, 14, 512), 100),
    "inception4d": ((14, 14, 528), 119),
    "inception4e": ((14, 14, 832), 170),
    "inception5a": ((7, 7, 832), 51),
    "inception5b": ((7, 7, 1024), 71),
}


def summary(name: str, shape: tuple[int, int, int], classes: int, **settings: Any) -> Anatomy:
    return summarize(Net(build_trunk(classes, name=name, **{**LAYERS, **settings})), shape)


def test_outputs_are_those_of_the_paper_s_table() -> None:
    found = summary("googlenet", (224, 224, 3), 1000)
    modules = {name: shape for name, (shape, _) in TABLE.items()}
    assert found.endpoints == {"stem": (56, 56, 192), **modules, "main": (1000,)}


@parametrize_sampled("module", sorted(TABLE), default=3)
def test_each_module_has_the_paper_s_branch_widths_and_multiply_adds(module: str) -> None:
    found = summary("googlenet", (224, 224, 3), 1000)
    layers = {layer.name.split("/")[-1]: layer for layer in found.layers if f"/{module}/" in layer.name}
    widths = ["conv1x1", "reduce3x3", "conv3x3", "reduce5x5", "conv5x5", "projection"]
    assert tuple(layers[name].shape[-1] for name in widths) == WIDTHS[module.removeprefix("inception")]
    assert sum(layer.multiply_adds for layer in layers.values()) / 1e6 == pytest.approx(
        TABLE[module][1], abs=1
    )


def test_the_five_by_five_branch_is_five_by_five() -> None:
    trunk = build_trunk(10, name="googlenet", **LAYERS)
    shapes: Any = jax.eval_shape(
        lambda: trunk.init(jax.random.key(0), jnp.zeros((1, 64, 64, 3)), train=False)
    )
    assert shapes["params"]["inception3a"]["conv5x5"]["kernel"].shape == (5, 5, 16, 32)


def test_with_norms_and_small_branches_the_count_is_torchvision_s() -> None:
    found = summary("googlenet", (224, 224, 3), 1000, norm="batch", five_as_three=True)
    assert found.parameters == 6_624_904


@pytest.mark.parametrize(("window", "side"), [("3x3", 3), ("2x2", 4)])
def test_windows_of_the_last_pool_begin_inside_and_may_hang_over(window: str, side: int) -> None:
    """Of 7 pixels, as of 112: windows of 3 begin at 0, 2, 4, and those of 2 at 6 too."""
    found = summary("googlenet", (112, 112, 3), 10, norm="batch", last_pool=window)
    assert found.endpoints["inception4e"][:2] == (7, 7)
    assert found.endpoints["inception5a"][:2] == (side, side)


def test_the_small_form_keeps_a_plane_that_the_heads_can_read() -> None:
    found = summary("googlenet", (32, 32, 3), 10, norm="batch", stem="cifar")
    assert found.endpoints["inception4a"] == (8, 8, 512)
    assert found.endpoints["inception5b"] == (4, 4, 1024)


def test_local_response_normalisation_is_its_formula() -> None:
    x = np.random.default_rng(0).normal(size=(1, 2, 2, 7)).astype(np.float32) * 30
    squares = np.pad(x.astype(np.float64) ** 2, ((0, 0), (0, 0), (0, 0), (2, 2)))
    summed = sum(squares[..., i : i + 7] for i in range(5))
    expected = x / (1 + 1e-4 / 5 * np.asarray(summed)) ** 0.75
    np.testing.assert_allclose(local_response(jnp.asarray(x)), expected, rtol=1e-5)


def test_the_dsn_trunks_have_their_parameters_and_endpoints() -> None:
    cifar = summary("dsn", (32, 32, 3), 10)
    assert cifar.parameters == 966_986
    planes = {"conv1": (32, 32, 192), "conv2": (16, 16, 192), "conv3": (8, 8, 192)}
    assert cifar.endpoints == {**planes, "main": (10,)}
    mnist = summary("dsn", (28, 28, 1), 10, trunk="mnist")
    assert mnist.parameters == pytest.approx(350_000, rel=0.02)


@pytest.mark.slow
def test_dsn_s_endpoints_are_raw_so_they_go_below_zero() -> None:
    trunk = build_trunk(10, name="dsn", trunk="mnist", **LAYERS)
    x = jax.random.normal(jax.random.key(1), (1, 28, 28, 1))
    variables = trunk.init(jax.random.key(0), x, train=False)
    endpoints: Any = trunk.apply(variables, x, train=False)
    assert all(float(endpoints[name].min()) < 0 for name in ("conv1", "conv2", "conv3"))
