"""DenseNet: each layer reads all layers before it, and hands them on as they are."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from reference import Reference, assert_close, layer, random_like, wide
from selection import parametrize_sampled

from resjax.models import MODELS
from resjax.models.blocks import Layers
from resjax.models.densenet import IMAGENET_SIZES

IMAGES = jnp.asarray(np.random.default_rng(7).normal(size=(2, 8, 8, 3)), jnp.float32)
GROWTH = 3
KINDS = {"basic": dict(depth=16, bottleneck=False, compression=1.0), "bc": dict(depth=28)}  # 4 layers a block


def drawn(kind: str, **settings: Any) -> tuple[Any, Any]:
    net: Any = MODELS["densenet"](10, Layers(), growth=GROWTH, **{**KINDS[kind], **settings})
    return net, random_like(jax.eval_shape(lambda: net.init(jax.random.key(0), IMAGES, train=False)))


def evaluated(net: Any, variables: Any) -> dict[str, jax.Array]:
    return jax.jit(lambda tree: net.apply(tree, IMAGES, train=False))(variables)


@pytest.mark.slow
@pytest.mark.parametrize(("kind", "stem"), [("basic", 16), ("bc", 2 * GROWTH)])
def test_every_layer_adds_its_growth_and_keeps_what_it_read(kind: str, stem: int) -> None:
    endpoints = evaluated(*drawn(kind))
    before = endpoints["stem"]
    assert before.shape[-1] == stem
    for number in range(1, 5):
        got = endpoints[f"block1_layer{number}"]
        assert got.shape[-1] == stem + number * GROWTH
        np.testing.assert_array_equal(got[..., : before.shape[-1]], before)
        before = got


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
def test_a_layer_s_new_features_depend_on_those_of_every_layer_before_it(kind: str) -> None:
    """By the gradient of the last layer's own features; of a middle layer's only its own pass through."""
    net, variables = drawn(kind)
    read = evaluated(net, variables)["block1_layer3"]

    def new(read: jax.Array) -> jax.Array:
        found = net.apply(variables, read, train=False, after="block1_layer3", until="block1_layer4")
        return jnp.square(found["block1_layer4"][..., read.shape[-1] :]).sum()

    gradient = np.abs(np.asarray(jax.grad(new)(read))).max((0, 1, 2))
    stem = read.shape[-1] - 3 * GROWTH
    for first, last in ((0, stem), *((stem + i * GROWTH, stem + (i + 1) * GROWTH) for i in range(3))):
        assert (gradient[first:last] > 0).all()


@parametrize_sampled("kind", KINDS, default=["bc"])
@pytest.mark.parametrize("skip", [True, False])
def test_a_layer_is_its_formula(kind: str, skip: bool) -> None:
    net, variables = drawn(kind, skip=skip)
    endpoints, exact = evaluated(net, variables), wide(variables)
    before, own = wide(endpoints["block2_layer1"]), {key: exact[key]["block2_layer2"] for key in exact}
    norms, y = Reference(own, "preactivation", (), "none"), before
    for number in range(1, 3 if kind == "bc" else 2):
        kernel = own["params"][f"conv{number}"]["kernel"]
        y = layer(np.maximum(norms.norm(y, f"norm{number}"), 0), kernel, 1)
    assert y.shape[-1] == GROWTH
    assert_close(endpoints["block2_layer2"], np.concatenate([before, y], -1) if skip else y)


@pytest.mark.parametrize(("kind", "share"), [("basic", 1.0), ("bc", 0.5)])
def test_a_transition_halves_the_plane_and_compresses_the_features(kind: str, share: float) -> None:
    net, variables = drawn(kind)
    endpoints, exact = evaluated(net, variables), wide(variables)
    before = wide(endpoints["block1_layer4"])
    norm = Reference(exact, "preactivation", (), "none").norm(before, "transition1_norm")
    y = layer(np.maximum(norm, 0), exact["params"]["transition1_conv"]["kernel"], 1)
    assert y.shape[-1] == int(share * before.shape[-1])
    assert_close(endpoints["transition1"], y.reshape(2, 4, 2, 4, 2, -1).mean((2, 4)))


def planes(image: int, **settings: Any) -> dict[str, tuple[int, ...]]:
    """-> the shapes of endpoints of a net for 224 pixels, of square images."""
    net: Any = MODELS["imagenet_densenet"](10, Layers(), **settings)
    x = jax.ShapeDtypeStruct((1, image, image, 3), jnp.float32)
    run = jax.eval_shape(lambda x: net.init_with_output(jax.random.key(0), x, train=False)[0], x)
    return {name: each.shape[1:] for name, each in run.items()}


def test_planes_of_the_net_for_224_pixels_are_those_of_table_1(monkeypatch: pytest.MonkeyPatch) -> None:
    """One layer in each block: how many there are, golden counts tell."""
    monkeypatch.setitem(IMAGENET_SIZES, 121, (1, 1, 1, 1))
    found = planes(224)
    assert found["stem"] == (56, 56, 64)
    assert [found[f"transition{number}"] for number in (1, 2, 3)] == [(28, 28, 48), (14, 14, 40), (7, 7, 36)]
    assert planes(29)["block4_layer1"][:2] == (1, 1)
    assert planes(8, stem="cifar")["block4_layer1"][:2] == (1, 1)
    assert 0 in planes(28)["transition3"]


def test_the_plain_twin_s_layers_read_the_one_before_alone() -> None:
    net, variables = drawn("bc", skip=False)
    endpoints = evaluated(net, variables)
    widths = [
        endpoints[f"block{block}_layer{number}"].shape[-1] for block in (1, 2, 3) for number in range(1, 5)
    ]
    assert widths == [GROWTH] * 12
    assert variables["params"]["block1_layer3"]["conv1"]["kernel"].shape == (1, 1, GROWTH, 4 * GROWTH)


@pytest.mark.slow
def test_dropout_is_behind_every_convolution_but_the_first_and_in_training_only() -> None:
    (dropped, variables), (ordinary, _) = drawn("bc", dropout=0.5), drawn("bc")
    np.testing.assert_array_equal(
        evaluated(dropped, variables)["main"], evaluated(ordinary, variables)["main"]
    )
    found, _ = dropped.apply(
        variables, IMAGES, train=True, mutable=["batch_stats"], rngs={"dropout": jax.random.key(1)}
    )
    assert (np.asarray(found["stem"]) != 0).all()
    new = np.asarray(found["block1_layer1"][..., 2 * GROWTH :])
    assert abs((new == 0).mean() - 0.5) < 4 * 0.5 / np.sqrt(new.size)
