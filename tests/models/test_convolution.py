"""Convolutions with gradients of our own: JAX's values, in a form that is fast in loops."""

import re
from collections.abc import Callable
from functools import partial
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
import pytest
from jax import Array
from selection import parametrize_sampled

from resjax.models.convolution import Conv, conv_transpose

# height, width, kernel, stride, padding, input dilation
CASES = [
    (8, 8, (3, 3), (1, 1), ((1, 1), (1, 1)), (1, 1)),
    (8, 8, (3, 3), (2, 2), ((1, 1), (1, 1)), (1, 1)),
    (7, 9, (3, 5), (2, 3), ((1, 0), (2, 3)), (1, 1)),
    (9, 7, (1, 1), (2, 2), ((0, 0), (0, 0)), (1, 1)),
    (8, 8, (1, 1), (1, 1), ((0, 0), (0, 0)), (1, 1)),
    (11, 8, (5, 2), (1, 2), "VALID", (1, 1)),
    (10, 13, (7, 7), (2, 2), "SAME", (1, 1)),
    (4, 5, (3, 3), (1, 1), ((2, 1), (1, 2)), (2, 2)),
    (4, 5, (5, 3), (2, 1), ((3, 2), (1, 1)), (3, 2)),
    (6, 6, (2, 2), (3, 3), ((0, 0), (0, 0)), (1, 1)),  # rows and columns that no window reaches
]
# height, width, kernel, stride, padding: at most four pixels come out
TINY = [
    (1, 1, (3, 3), (1, 1), ((1, 1), (1, 1))),
    (2, 2, (3, 3), (1, 1), ((1, 1), (1, 1))),
    (4, 4, (3, 3), (2, 2), ((1, 1), (1, 1))),
    (4, 3, (3, 2), (2, 2), ((0, 1), (1, 0))),
    (3, 5, (3, 3), (2, 3), "VALID"),
    (3, 3, (1, 1), (2, 2), "SAME"),
    (1, 1, (1, 1), (4, 4), ((3, 0), (3, 0))),  # nothing but padding is read
]


def value_and_gradients(layer: Any, variables: Any, x: Array) -> tuple[Array, Any, Array]:
    """-> output, and the gradients of a weighted sum of it."""

    def loss(variables: Any, x: Array) -> tuple[Array, Array]:
        y = layer.apply(variables, x)
        return (y * jnp.cos(jnp.arange(y.size, dtype=y.dtype)).reshape(y.shape)).sum(), y

    (_, y), gradients = jax.jit(jax.value_and_grad(loss, (0, 1), has_aux=True))(variables, x)
    return y, *gradients


def assert_same(layer: Any, reference: Any, x: Array, bound: float = 2e-6) -> None:
    """To float32's rounding, relative to the largest element."""
    variables = reference.init(jax.random.key(1), x)
    found = jax.tree.leaves(value_and_gradients(layer, variables, x))
    expected = jax.tree.leaves(value_and_gradients(reference, variables, x))
    assert len(found) == len(expected) == 4  # output, bias, kernel, input
    for mine, theirs in zip(found, expected, strict=True):
        assert mine.shape == theirs.shape
        assert jnp.abs(mine - theirs).max() <= bound * jnp.abs(theirs).max()


@parametrize_sampled("case", CASES, ids=str, default=(CASES[0], CASES[2], CASES[6], CASES[8], CASES[9]))
def test_values_and_gradients_are_those_of_jax(case: tuple[Any, ...]) -> None:
    height, width, kernel, strides, padding, dilation = case
    x = jax.random.normal(jax.random.key(0), (4, height, width, 3))
    settings = {"strides": strides, "padding": padding, "input_dilation": dilation}
    assert_same(Conv(5, kernel, **settings), nn.Conv(5, kernel, **settings), x)


@parametrize_sampled("case", TINY, ids=str, default=(TINY[1], TINY[3]))
def test_many_features_of_few_pixels_are_multiplied(case: tuple[Any, ...]) -> None:
    height, width, kernel, strides, padding = case
    x = jax.random.normal(jax.random.key(0), (4, height, width, 128))
    layer, reference = (of(64, kernel, strides=strides, padding=padding) for of in (Conv, nn.Conv))
    assert_same(layer, reference, x, bound=1e-5)
    assert not convolutions(layer, x)
    assert convolutions(layer, jnp.zeros((4, 8, 8, 128)))
    assert convolutions(layer, jnp.zeros((4, height, width, 16)))


@pytest.mark.parametrize(("size", "used"), [(1, 1), (2, 9)])
def test_weights_that_meet_nothing_but_padding_are_not_multiplied(size: int, used: int) -> None:
    x, layer = jnp.zeros((4, size, size, 128)), Conv(64, (3, 3), padding=1, use_bias=False)
    lowered = jax.jit(layer.apply).lower(layer.init(jax.random.key(1), x), x)
    flops = (lowered.compile().cost_analysis() or {}).get("flops")
    assert flops == 2 * 4 * size * size * used * 128 * 64


def convolutions(layer: Any, x: Array) -> list[str]:
    """-> those of the program of output and gradients."""
    variables = layer.init(jax.random.key(1), x)
    traced = jax.make_jaxpr(partial(value_and_gradients, layer))(variables, x)
    return re.findall("conv_general_dilated", str(traced))


@pytest.mark.slow
@pytest.mark.parametrize("strides", [(1, 1), (2, 2), (3, 2), (4, 5)])
def test_a_transposed_convolution_is_that_of_linen(strides: tuple[int, int]) -> None:
    x = jax.random.normal(jax.random.key(0), (2, 5, 4, 3))
    for kernel in ((3, 3), (2, 5)):
        assert_same(conv_transpose(6, kernel, strides), nn.ConvTranspose(6, kernel, strides), x)


@parametrize_sampled("groups", [2, 6], default=[2])
@parametrize_sampled("case", CASES, ids=str, default=3)
def test_groups_of_features_are_those_of_jax(case: tuple[Any, ...], groups: int) -> None:
    height, width, kernel, strides, padding, dilation = case
    x = jax.random.normal(jax.random.key(0), (4, height, width, 6))
    settings = {"strides": strides, "padding": padding, "input_dilation": dilation}
    layer, reference = (of(12, kernel, feature_group_count=groups, **settings) for of in (Conv, nn.Conv))
    assert_same(layer, reference, x)


def test_many_features_in_groups_are_not_multiplied_as_if_there_were_none() -> None:
    x = jax.random.normal(jax.random.key(0), (4, 2, 2, 256))
    layer, reference = (of(256, (3, 3), padding=1, feature_group_count=2) for of in (Conv, nn.Conv))
    assert_same(layer, reference, x, bound=1e-5)


def test_what_has_no_form_of_its_own_is_left_to_jax() -> None:
    x = jax.random.normal(jax.random.key(0), (2, 9, 9, 3))
    assert_same(Conv(6, (3, 3), kernel_dilation=2), nn.Conv(6, (3, 3), kernel_dilation=2), x)


def looped_gradients(conv: Callable[..., nn.Module], groups: int) -> str:
    """-> the compiled program of three steps of descent in a loop."""
    layer: Any = conv(4, (3, 3), strides=2, padding=1, feature_group_count=groups)
    images = jnp.ones((2, 8, 8, 4))
    variables = layer.init(jax.random.key(0), images)

    def descend(x: Array, _: Any, variables: Any) -> Any:
        gradients = jax.grad(lambda variables: jnp.square(layer.apply(variables, x)).sum())(variables)
        return jax.tree.map(lambda a, b: a - 0.1 * b, variables, gradients)

    def run(variables: Any, x: Array) -> Any:
        return jax.lax.fori_loop(0, 3, partial(descend, x), variables)

    return jax.jit(run).lower(variables, images).compile().as_text() or ""


@pytest.mark.parametrize("groups", [1, 2])
def test_every_convolution_in_a_loop_has_the_order_of_the_fast_kernels(
    groups: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    orders = set(re.findall(r"dim_labels=(\S+?)[,\s]", looped_gradients(Conv, groups)))
    assert orders == {"b01f_01io->b01f"}
    monkeypatch.setenv("RESJAX_CPU_TUNING", "0")  # JAX's own, which the user can have
    assert set(re.findall(r"dim_labels=(\S+?)[,\s]", looped_gradients(Conv, groups))) > orders
