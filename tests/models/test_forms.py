"""The forms of a head: shapes, parameters, and what they cannot read."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from selection import parametrize_sampled

from resjax.models import forms

PLANE = jnp.ones((2, 14, 14, 512))
# Of the forms that do not give logits: what they can map 8 x 8 x 16 to.
SHAPES = {
    "conv_decoder": (16, 16, 3),
    "conv_regressor": (5, 6, 7),
    "identity": (8, 8, 16),
    "fcn": (16, 16, 5),
}


def parameters(form: str, x: jax.Array = PLANE, **settings: object) -> dict[str, tuple[int, ...]]:
    module = forms.FORMS[form]((10,), **settings)
    shapes = jax.eval_shape(lambda: module.init(jax.random.key(0), x, train=False))["params"]
    flat = jax.tree_util.tree_leaves_with_path(shapes)
    return {jax.tree_util.keystr(path, simple=True, separator="/"): leaf.shape for path, leaf in flat}


def test_googlenet_s_head_is_the_paper_s() -> None:
    """On 4a of GoogLeNet: 14 x 14 x 512 is pooled to 4 x 4, then 128 filters, 1,024 units."""
    assert parameters("googlenet") == {
        "conv/kernel": (1, 1, 512, 128),
        "conv/bias": (128,),
        "hidden/kernel": (4 * 4 * 128, 1024),
        "hidden/bias": (1024,),
        "classifier/kernel": (1024, 10),
        "classifier/bias": (10,),
    }


def test_batch_norm_takes_the_place_of_biases() -> None:
    found = parameters("googlenet", batch_norm=True)
    assert {"conv_norm/scale", "hidden_norm/bias"} <= found.keys()
    assert not {"conv/bias", "hidden/bias"} & found.keys()


@pytest.mark.parametrize(("form", "inputs"), [("pooled_linear", 512), ("flattened_linear", 14 * 14 * 512)])
def test_linear_heads_read_the_mean_or_everything(form: str, inputs: int) -> None:
    assert parameters(form)["classifier/kernel"] == (inputs, 10)


@parametrize_sampled("form", sorted(forms.FORMS), default=("pooled_linear", "googlenet", "conv_decoder"))
def test_every_form_gives_its_target_s_shape_and_drops_only_in_training(form: str) -> None:
    target = SHAPES.get(form, (10,))
    module, key = forms.FORMS[form](target), jax.random.key(0)
    x = jax.random.normal(key, (3, 8, 8, 16))
    variables = module.init(key, x, train=False)
    first, again = (jnp.asarray(module.apply(variables, x, train=False)) for _ in range(2))
    assert first.shape == (3, *target)
    np.testing.assert_array_equal(first, again)
    trained = module.apply(variables, x, train=True, rngs={"dropout": key}, mutable=["batch_stats"])[0]
    changes = ("googlenet", "normed_linear", "fcn")  # they drop, or have the statistics of the batch
    assert (form in changes) == bool(jnp.abs(trained - first).max() > 1e-6)


@pytest.mark.parametrize("form", ["pooled_linear", "normed_linear"])
def test_pooled_heads_read_vectors_as_they_are(form: str) -> None:
    assert parameters(form, jnp.ones((2, 64)))["classifier/kernel"] == (64, 10)


def test_normed_linear_is_linear_and_blind_to_the_scale_of_a_feature() -> None:
    module, x = forms.FORMS["normed_linear"]((10,)), jax.random.normal(jax.random.key(1), (40, 6))
    variables = module.init(jax.random.key(0), x, train=False)
    assert {*variables["params"]} == {"classifier"}

    def trained(x: jax.Array) -> tuple[jax.Array, dict[str, Any]]:
        found: Any = module.apply(variables, x, train=True, mutable=["batch_stats"])
        return found

    stretched = x * jnp.arange(1.0, 7.0)[None] + 3
    np.testing.assert_allclose(trained(stretched)[0], trained(x)[0], atol=1e-4)
    moved = {**variables, **trained(x)[1]}
    inputs = jnp.concatenate([x[:2], x[:2].mean(0, keepdims=True)])
    a, b, half = np.asarray(module.apply(moved, inputs, train=False))
    np.testing.assert_allclose(half, (a + b) / 2, atol=1e-5)


@pytest.mark.parametrize(("form", "shape"), [("googlenet", (2, 4, 4, 8)), ("conv", (2, 64))])
def test_a_form_that_needs_a_plane_says_so(form: str, shape: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match=f"^form is '{form}'"):
        parameters(form, jnp.ones(shape))


@pytest.mark.parametrize("target", [(10,), (30, 30, 5)])
def test_labels_of_pixels_that_a_plane_cannot_be_enlarged_to_are_named(target: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match="form is 'fcn'"):
        forms.fcn(target).init(jax.random.key(0), jnp.ones((1, 8, 8, 4)), train=False)
