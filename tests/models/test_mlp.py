"""Dense nets that look linear, and branches that are scaled."""

from typing import Any, get_args

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from selection import parametrize_sampled

from resjax.models import MODELS
from resjax.models.blocks import Layers, looks_linear
from resjax.models.units import Order

KEY = jax.random.key(5, impl="rbg")


def images(count: int = 16) -> jax.Array:
    return jnp.asarray(np.random.default_rng(7).normal(size=(count, 3, 2, 1)), jnp.float32)


def initial(norm: Any = "none", **settings: Any) -> tuple[Any, Any]:
    net: Any = MODELS["residual_mlp"](4, Layers(norm=norm), **(dict(depth=6, width=16) | settings))
    return net, net.lazy_init(KEY, jax.ShapeDtypeStruct((2, 3, 2, 1), jnp.float32), train=False)


@pytest.mark.parametrize(("inputs", "outputs"), [(12, 8), (200, 200)])
@pytest.mark.parametrize(("read", "written"), [(True, True), (False, True), (True, False)])
def test_mirrored_weights_have_the_paper_s_blocks(
    read: bool, written: bool, inputs: int, outputs: int
) -> None:
    kernel = np.asarray(looks_linear(KEY, (inputs, outputs), read=read, written=written), np.float64)
    u = kernel[: inputs // (1 + read), : outputs // (1 + written)]
    rows = [u, -u] if read else [u]
    want = np.concatenate([np.concatenate([row, -row], 1) if written else row for row in rows])
    np.testing.assert_array_equal(kernel, want)
    small = u.T @ u if u.shape[0] >= u.shape[1] else u @ u.T
    np.testing.assert_allclose(small, np.eye(len(small)), rtol=0, atol=3e-6)


@parametrize_sampled(
    ("norm", "settings"),
    [
        *(("none", dict(order=order)) for order in get_args(Order)),
        ("batch", dict(order="original")),
        ("batch", dict(order="preactivation")),
    ],
    default=lambda case: case[1] == dict(order="original"),
)
def test_a_net_that_looks_linear_is_affine(norm: Any, settings: dict[str, Any]) -> None:
    """f(a x + (1 - a) y) = a f(x) + (1 - a) f(y), also outside of [x, y]."""
    net, variables = initial(norm, looks_linear=True, skip=False, **settings)
    x = images()
    mixed = jnp.concatenate([x, 3 * x[:1] - 2 * x[1:2]])
    logits = np.asarray(jax.jit(lambda v: net.apply(v, mixed, train=False)["main"])(variables), np.float64)
    np.testing.assert_allclose(logits[-1], 3 * logits[0] - 2 * logits[1], rtol=0, atol=2e-5)
    assert np.abs(logits).max() > 0.1


def test_other_initial_values_are_not_affine() -> None:
    net, variables = initial(skip=False)
    x = images(2)
    logits = net.apply(variables, jnp.concatenate([x, 3 * x[:1] - 2 * x[1:]]), train=False)["main"]
    assert float(jnp.abs(logits[2] - 3 * logits[0] + 2 * logits[1]).max()) > 0.1


@pytest.mark.slow
def test_a_plain_net_that_looks_linear_keeps_lengths() -> None:
    """Six pixels into eight pairs, all layers square but the last, which leaves four of them."""
    net, variables = initial(looks_linear=True, skip=False)
    jacobian = jax.jacrev(lambda x: net.apply(variables, x[None], train=False)["main"][0])(images()[0])
    values = np.linalg.svd(np.asarray(jacobian).reshape(4, 6), compute_uv=False)
    assert values.max() < 1 + 1e-5
    endpoints = net.apply(variables, images(), train=False)
    length = np.linalg.norm(np.asarray(images()).reshape(16, -1), axis=1)
    for name in ("stem", "block1", "block2"):  # of each pair one is 0, the other the number's size
        np.testing.assert_allclose(np.linalg.norm(endpoints[name], axis=1), length, rtol=1e-5)


@pytest.mark.slow
def test_biases_are_drawn_with_their_deviation_and_leave_the_kernels_alone() -> None:
    _, drawn = initial(bias_std=0.1, width=2000, depth=4)
    _, zero = initial(width=2000, depth=4)
    biases = [
        drawn["params"]["stem_dense"]["bias"],
        *(drawn["params"]["block1"][f"dense{i}"]["bias"] for i in (1, 2)),
    ]
    for bias in biases:
        assert float(bias.std()) == pytest.approx(0.1, rel=0.06)
        assert abs(float(bias.mean())) < 0.01
    assert not drawn["params"]["classifier"]["bias"].any()
    for module in ("stem_dense", "classifier"):
        np.testing.assert_array_equal(drawn["params"][module]["kernel"], zero["params"][module]["kernel"])


def test_the_branch_is_multiplied_before_it_is_added() -> None:
    """In the pre-activation order, where nothing follows the sum: out - in is proportional to the scale."""
    moved = []
    for scale in (1.0, 0.25):
        net, variables = initial(order="preactivation", branch_scale=scale, depth=4)
        endpoints = net.apply(variables, images(), train=False)
        moved.append(endpoints["block1"] - jax.nn.relu(endpoints["stem"]))  # which the first unit shares
    assert float(jnp.abs(moved[0]).max()) > 0.1
    np.testing.assert_allclose(moved[1], moved[0] / 4, rtol=1e-4, atol=1e-5)
