"""Transformers and mixers: patches, where the norm stands, what a shortcut is, who sees whom."""

from functools import partial
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from selection import parametrize_sampled

from resjax.anatomy import dissect
from resjax.models import MODELS, forms
from resjax.models.blocks import Layers
from resjax.models.heads import Head, attach
from resjax.models.tokens import Attention, Block, Perceptron, cut

KEY = jax.random.key(5, impl="rbg")
SMALL: dict[str, dict[str, Any]] = {
    "vit": dict(blocks=3, width=8, heads=2, patch=4),
    "mixer": dict(blocks=3, width=8, hidden_tokens=6, hidden_channels=10, patch=4),
}
LAYERS = Layers(norm="layer")


def images(batch: int = 2) -> jax.Array:
    return jnp.asarray(np.random.default_rng(7).normal(size=(batch, 8, 8, 3)), jnp.float32)


def net(name: str, **settings: Any) -> Any:
    return MODELS[name](10, LAYERS, **(SMALL[name] | settings))


def initial(name: str, **settings: Any) -> tuple[Any, Any]:
    found = net(name, **settings)
    return found, jax.jit(lambda x: found.init(KEY, x, train=False))(images())


def endpoints(found: Any, variables: Any, x: jax.Array, **settings: Any) -> dict[str, jax.Array]:
    return jax.jit(lambda v, x: found.apply(v, x, train=False, **settings))(variables, x)


def test_patches_come_row_by_row() -> None:
    """The dense layer on patches is a convolution with the patch as kernel and stride."""
    x = images()
    kernel = np.random.default_rng(3).normal(size=(4, 4, 3, 5)).astype(np.float32)
    want = jax.lax.conv_general_dilated(
        x, jnp.asarray(kernel), (4, 4), "VALID", dimension_numbers=("NHWC", "HWIO", "NHWC")
    )
    got = cut(x, 4) @ kernel.reshape(-1, 5)
    np.testing.assert_allclose(got, want.reshape(2, 4, 5), rtol=0, atol=1e-4)


def normed(x: jax.Array) -> jax.Array:
    """Layer norm as at the start of training: no scale, no shift."""
    found: Any = nn.LayerNorm(use_scale=False, use_bias=False, epsilon=1e-5).apply({}, x)
    return found


@parametrize_sampled("skip", [True, False], default=[True])
@pytest.mark.parametrize("placement", ["pre", "post"])
@parametrize_sampled(("name", "inner"), [("vit", "perceptron"), ("mixer", "channels")], default=1)
def test_a_branch_that_gives_nothing_leaves_what_its_order_says(
    name: str, inner: str, placement: str, skip: bool
) -> None:
    """All last layers are zero: pre-LN is the identity, post-LN norms twice, no skip gives zero."""
    found, variables = initial(name, placement=placement, skip=skip)
    block = variables["params"]["block2"]
    for part in block.values():
        for last in {"out", "dense2"} & part.keys():
            part[last] = jax.tree.map(jnp.zeros_like, part[last])
    assert inner in block
    got = endpoints(found, variables, images())
    before, after = got["block1"], got["block2"]
    want = (normed(normed(before)) if placement == "post" else before) if skip else jnp.zeros_like(before)
    np.testing.assert_allclose(after, want, rtol=0, atol=1e-5)


@pytest.mark.slow
@pytest.mark.parametrize("name", SMALL)
def test_post_ln_leaves_each_token_with_unit_size_and_pre_ln_lets_it_grow(name: str) -> None:
    """Xiong et al. 2020, section 3: the reason why only one of them needs a norm before the classifier."""
    sizes = {}
    for placement in ("pre", "post"):
        found, variables = initial(name, placement=placement, blocks=8)
        assert ("final_norm" in variables["params"]) == (placement == "pre")
        got = endpoints(found, variables, images())
        sizes[placement] = [float(jnp.square(got[f"block{n}"]).mean()) for n in (1, 8)]
    np.testing.assert_allclose(sizes["post"], 1, rtol=0, atol=1e-3)
    assert sizes["pre"][1] > 2 * sizes["pre"][0]


@parametrize_sampled("name", SMALL, default=1)
def test_a_plain_twin_starts_from_the_same_bits(name: str) -> None:
    (_, residual), (_, plain) = initial(name), initial(name, skip=False)
    jax.tree.map(np.testing.assert_array_equal, residual, plain)


@pytest.mark.slow
def test_attention_does_not_know_the_order_of_tokens_but_the_embedding_does() -> None:
    found, variables = initial("vit", blocks=1)
    x = images()
    swapped = jnp.concatenate([x[:, 4:], x[:, :4]], 1)  # rows of patches change places
    differs = endpoints(found, variables, x)["main"] - endpoints(found, variables, swapped)["main"]
    assert jnp.abs(differs).max() > 1e-3
    variables["params"]["embedding"]["positions"] *= 0
    a, b = (endpoints(found, variables, each)["main"] for each in (x, swapped))
    np.testing.assert_allclose(a, b, rtol=0, atol=1e-5)


@pytest.mark.slow
def test_a_mixer_of_tokens_alone_keeps_channels_apart() -> None:
    """The token-mixing half of a block: a channel's output depends on that channel, behind the norm alone."""
    found, variables = initial("mixer", blocks=1)
    channels = variables["params"]["block1"]["channels"]
    channels["dense2"] = jax.tree.map(jnp.zeros_like, channels["dense2"])
    tokens = jnp.asarray(np.random.default_rng(1).normal(size=(1, 4, 8)), jnp.float32)
    scale = variables["params"]["block1"]["tokens_norm"]["scale"].at[3:].set(0)
    variables["params"]["block1"]["tokens_norm"]["scale"] = scale  # only three channels reach the perceptron

    def run(x: jax.Array) -> jax.Array:
        return found.apply(variables, x, train=False, after="embedding", until="block1")["block1"]

    moved = jax.jit(run)(tokens) - tokens
    assert jnp.abs(moved[..., :3]).max() > 1e-3
    same = np.ptp(np.asarray(moved[..., 3:]), axis=-1)  # the others all get what a zero gives
    np.testing.assert_allclose(same, 0, rtol=0, atol=1e-6)


@pytest.mark.slow
def test_the_class_token_is_what_is_classified() -> None:
    found, variables = initial("vit", pool="class", blocks=1)
    got = endpoints(found, variables, images())
    assert got["embedding"].shape == got["block1"].shape == (2, 5, 8)
    read = normed(got["block1"])[:, 0] @ variables["params"]["classifier"]["kernel"]
    np.testing.assert_allclose(got["main"], read, rtol=0, atol=1e-5)


@pytest.mark.parametrize("name", SMALL)
def test_a_head_reads_the_average_token_and_logits_stay_wide_in_bfloat16(name: str) -> None:
    head = Head(name="early", endpoint="block1")
    trunk = MODELS[name](10, Layers(norm="layer", dtype="bfloat16"), **SMALL[name])
    whole = attach(trunk, [(head, forms.pooled_linear((10,)))])
    with jax.numpy_dtype_promotion("standard"):
        variables = jax.eval_shape(lambda: whole.init(KEY, images(), train=False))
        outputs = jax.eval_shape(lambda v: whole.apply(v, images(), train=True), variables)
    assert {leaf.dtype for leaf in jax.tree.leaves((variables, outputs))} == {np.dtype(np.float32)}
    assert {key: value.shape for key, value in outputs.items()} == {"main": (2, 10), "early": (2, 10)}


def test_attention_s_products_are_counted() -> None:
    layers = {layer.name: layer for layer in dissect(net("vit"), (8, 8, 3)).layers}
    products = layers["trunk/block1/attention"]
    assert (products.kind, products.parameters, products.multiply_adds) == ("Attention", 0, 2 * 4 * 4 * 8)
    assert layers["trunk/block1/attention/qkv"].multiply_adds == 4 * 8 * 24
    assert Attention(2, LAYERS.bind(False)).products(jnp.zeros((3, 5, 8))) == 2 * 5 * 5 * 8


def test_a_function_survives_by_its_probability_and_the_shortcut_always() -> None:
    """In evaluation it counts times that; a step of training has it or lacks it."""
    inner = (("perceptron", partial(Perceptron, 5, LAYERS.bind(False))),)
    x = jnp.asarray(np.random.default_rng(1).normal(size=(2, 3, 8)), jnp.float32)
    whole, thinned = (Block(inner, LAYERS.bind(False), "pre", True, s) for s in (1.0, 0.3))
    variables = whole.init(KEY, x)
    branch = jnp.asarray(whole.apply(variables, x)) - x
    got: Any = thinned.apply(variables, x)
    np.testing.assert_allclose(got, x + 0.3 * branch, rtol=0, atol=1e-5)
    trained = Block(inner, LAYERS.bind(True), "pre", True, 0.3)
    run = jax.jit(lambda key: trained.apply(variables, x, rngs={"dropout": key}))
    found = [np.asarray(run(jax.random.key(seed))) for seed in range(12)]
    kept = [not np.array_equal(each, x) for each in found]
    assert set(kept) == {True, False}
    for each, is_kept in zip(found, kept, strict=True):
        np.testing.assert_allclose(each, x + float(is_kept) * branch, rtol=0, atol=1e-5)
