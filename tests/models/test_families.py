"""What every family of nets must bear: heads at each endpoint, its parts apart, loops, bfloat16, phases."""

import os
from collections.abc import Callable, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from kinds import ALL, FAMILIES, LAYER, NONE, PIXELS, SHALLOWEST, UNCHAINED, build
from recipe import head, phase, with_phases
from reference import random_like
from selection import parametrize_sampled

from resjax import stacking
from resjax.anatomy import summarize
from resjax.config import Config
from resjax.models import MODELS
from resjax.models.blocks import Layers
from resjax.models.densenet import IMAGENET_SIZES
from resjax.models.forms import FORMS
from resjax.models.heads import Head, Net, attach
from resjax.models.tokens import Block
from resjax.models.trunk import Trunk
from resjax.models.units import Unit
from resjax.training import train

IMAGES = jnp.asarray(np.random.default_rng(7).normal(size=(4, 8, 8, 3)), jnp.float32)
SHALLOW = (1, 2, 1, 1)  # layers in DenseNet-121's blocks here, for its 58 take a minute to compile
FAST = {"xla_backend_optimization_level": 0}  # to compile
# With the fusion emitters, as users compile: other programs round in the same way only with them.
HAS_FLAG = "--xla_cpu_use_fusion_emitters" in os.environ["XLA_FLAGS"]
FUSED = FAST | ({"xla_cpu_use_fusion_emitters": True} if HAS_FLAG else {})


@pytest.fixture(autouse=True)
def shallow(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(IMAGENET_SIZES, 121, SHALLOW)


def headed(trunk: Trunk, *endpoints: str) -> Net:
    heads = [Head(name=f"at_{endpoint}", endpoint=endpoint) for endpoint in endpoints]
    return attach(trunk, [(each, FORMS["pooled_linear"]((10,))) for each in heads])


def drawn(module: Any) -> Any:
    return random_like(jax.eval_shape(lambda: module.init(jax.random.key(0), IMAGES, train=False)))


def test_no_family_is_forgotten() -> None:
    assert {name for name, _, _ in ALL.values()} == set(MODELS)


# Kinds with many layers, which take long to trace at each endpoint.
DEEP = ("wide", "rezero", "euler", "dopri5", "adjoint", "resnext", "excited", "layerscale", "googlenet")


@parametrize_sampled("kind", ALL, default=lambda kind: kind not in DEEP and "imagenet" not in kind)
def test_a_head_reads_every_endpoint_and_every_parameter_is_counted(kind: str) -> None:
    trunk = build(kind)
    endpoints = summarize(Net(trunk), (8, 8, 3)).endpoints
    net = headed(trunk, *endpoints)
    variables: Any = jax.eval_shape(lambda: net.init(jax.random.key(0), IMAGES, train=False))
    outputs: Any = jax.eval_shape(lambda tree: net.apply(tree, IMAGES, train=False), variables)
    want = dict.fromkeys(net.output_names, (4, 10)) | ({"main": (4, 8, 8, 10)} if kind in PIXELS else {})
    assert {name: each.shape for name, each in outputs.items()} == want
    found = summarize(net, (8, 8, 3))
    assert found.parameters == sum(leaf.size for leaf in jax.tree.leaves(variables["params"]))
    named = {name for names in found.modules.values() for name in names}
    assert named == set(variables["params"]["trunk"])  # so phases can freeze and train each


@parametrize_sampled(
    "kind",
    [kind for kind in FAMILIES if kind != "unet"],  # a U-Net's way up reads two endpoints
    default=("highway", "excited", "layerscale"),
)
def test_a_net_is_its_parts_one_behind_the_other(kind: str) -> None:
    trunk = build(kind)
    variables, x = drawn(trunk), IMAGES
    whole: Any = trunk.apply(variables, IMAGES, train=False)
    names = list(whole)
    for after, until in zip(["", *names], names, strict=False):
        part: Any = trunk.apply(variables, x, train=False, after=after, until=until)
        x = part[until]
        np.testing.assert_array_equal(x, whole[until])


def gradients(net: Net, variables: Any, options: Mapping[str, Any] = FAST) -> Any:
    """Computes gradients of a sum, outputs and statistics in training, with all units unstacked."""

    def loss(params: Any) -> Any:
        given, rngs = {**variables, "params": params}, {"dropout": jax.random.key(1)}
        found: Any = net.apply(given, IMAGES, train=True, mutable=["batch_stats"], rngs=rngs)
        return jnp.sin(found[0]["main"]).sum(), found

    run = jax.jit(jax.grad(loss, has_aux=True), compiler_options=dict(options))
    return stacking.unstack(run(variables["params"]), net.scanned)


@pytest.mark.parametrize("model", MODELS)
def test_family_forward_and_backward(model: str) -> None:
    """In training mode: outputs have their shape, and a gradient reaches every parameter."""
    layers, settings = SHALLOWEST[model]
    net = headed(MODELS[model](10, Layers(**layers), **settings))
    gradient, (outputs, _) = gradients(net, drawn(net))
    assert outputs["main"].shape == ((4, 8, 8, 10) if model in PIXELS else (4, 10))
    for path, leaf in jax.tree_util.tree_leaves_with_path(gradient):
        assert np.isfinite(leaf).all(), path
        assert np.any(leaf), path


def assert_same(got: Any, want: Any) -> None:
    assert jax.tree.structure(got) == jax.tree.structure(want)
    for a, b in zip(jax.tree.leaves(got), jax.tree.leaves(want), strict=True):
        np.testing.assert_allclose(a, b, rtol=0, atol=2e-4 * max(np.abs(b).max(), 1e-2))


@pytest.mark.slow
@pytest.mark.parametrize("kind", [kind for kind in FAMILIES if kind not in UNCHAINED])
def test_units_in_a_loop_or_computed_anew_are_the_same(kind: str) -> None:
    net = headed(build(kind))
    variables = drawn(net)
    want = gradients(net, variables, FUSED)
    chains = stacking.choose(net.trunk.chains(), [], 2)
    if kind not in ("wide, dropout", "dense", "imagenet dense"):  # their units draw, or differ in shape
        assert chains
        looped = net.clone(scanned=chains)
        assert_same(gradients(looped, stacking.stack(variables, chains), FUSED), want)
    assert_same(gradients(net.clone(remat="units"), variables, FUSED), want)


@parametrize_sampled("kind", ALL, default=("resnext", "dense", "transformer", "recurrent", "unet", "dsn"))
def test_bfloat16_stays_narrow_and_keeps_parameters_and_logits_wide(kind: str) -> None:
    net = headed(build(kind, dtype="bfloat16"))
    rngs = {"params": jax.random.key(0), "dropout": jax.random.key(1)}

    def run() -> Any:
        variables: Any = net.init(rngs, IMAGES, train=True)
        own = {name: tree["trunk"] for name, tree in variables.items()}
        endpoints = net.trunk.apply(own, IMAGES, train=True, mutable=["batch_stats"], rngs=rngs)[0]
        return variables, net.apply(variables, IMAGES, train=False), endpoints

    with jax.numpy_dtype_promotion("standard"):  # Linen's BatchNorm mixes its float32 statistics in
        variables, outputs, endpoints = jax.eval_shape(run)
    assert {leaf.dtype for leaf in jax.tree.leaves((variables, outputs))} == {np.dtype(np.float32)}
    assert {each.dtype for each in endpoints.values()} == {np.dtype(jnp.bfloat16)}


RANDOM: dict[str, tuple[str, dict[str, Any], dict[str, Any]]] = {
    "wide_resnet": ("stage3_block1", {}, dict(depth=10, widen=1)),
    "cifar_resnext": ("stage3_block1", {}, dict(depth=11, cardinality=2, group_width=2, width=4)),
    "fixup_resnet": ("stage3_block1", NONE, dict(depth=8, width=4)),
    "imagenet_resnet": ("stage4_block2", {}, dict(depth=18, width=2)),
    "residual_mlp": ("block3", {}, dict(depth=8, width=8)),
    "fcn": ("stage3_block1", {}, dict(depth=8, width=4)),
    "vit": ("block2", LAYER, dict(blocks=2, width=8, heads=2, patch=4)),
    "mixer": ("block2", LAYER, dict(blocks=2, width=8, hidden_tokens=6, hidden_channels=10, patch=4)),
    "ode_net": ("block1", dict(norm="group"), dict(width=8, steps=1)),
}
LEARNS = ("conv", "dense", "attention", "perceptron", "tokens", "channels")  # how names of branches begin


@parametrize_sampled("model", RANDOM, default=("residual_mlp", "vit"))
def test_a_last_unit_that_never_survives_learns_nothing_and_the_others_may(model: str) -> None:
    last, layers, settings = RANDOM[model]
    net = headed(MODELS[model](10, Layers(**layers), **settings, survival=0.0))
    assert net.trunk.chains() == []
    found = gradients(net, drawn(net))[0]["trunk"]
    branch = {name: part for name, part in found[last].items() if name.startswith(LEARNS)}
    assert branch
    assert not any(np.any(leaf) for leaf in jax.tree.leaves(branch))
    assert np.any(found["classifier"]["kernel"])


@parametrize_sampled("model", RANDOM, default=("residual_mlp", "wide_resnet", "vit"))
def test_survival_falls_evenly_to_the_last_unit(model: str) -> None:
    last, layers, settings = RANDOM[model]
    trunk = MODELS[model](10, Layers(**layers), **settings, survival=0.5)
    found: dict[str, float] = {}

    def watch(call: Callable[..., Any], args: Any, kwargs: Any, context: Any) -> Any:
        if isinstance(context.module, Unit | Block):
            found[context.module.name or ""] = context.module.survival
        return call(*args, **kwargs)

    with jax.numpy_dtype_promotion("standard"), nn.intercept_methods(watch):
        jax.eval_shape(lambda: trunk.init(jax.random.key(0), IMAGES, train=False))
    assert list(found)[-1] == last
    np.testing.assert_allclose(list(found.values()), 1 - np.arange(1, len(found) + 1) / len(found) * 0.5)


PHASED = (
    "wide",
    "resnext",
    "dense",
    "highway",
    "fixup",
    "excited",
    "transformer",
    "mixer",
    "recurrent",
    "ode",
)
PHASED_PIXELS = {"unet": dict(form="fcn", pooled=True), "fcn": dict(form="fcn")}  # their heads
CANVASES = dict(data__name="canvas:digits", data__holdout=1800, train__batch_size=20)


@pytest.mark.slow
@pytest.mark.parametrize("kind", PHASED)
def test_it_is_trained_in_phases_with_a_head(kind: str, tiny: Config, tmp_path: Path) -> None:
    """On digits, as `resjax train` does it."""
    trained_in_phases(kind, tiny, tmp_path)


@pytest.mark.slow
@pytest.mark.parametrize("kind", PHASED_PIXELS)
def test_a_net_that_labels_pixels_is_trained_in_phases_with_a_head(
    kind: str, tiny: Config, tmp_path: Path
) -> None:
    trained_in_phases(kind, tiny, tmp_path, PHASED_PIXELS[kind], **CANVASES)


def trained_in_phases(
    kind: str, tiny: Config, tmp_path: Path, form: Mapping[str, Any] = MappingProxyType({}), **changes: Any
) -> None:
    name, layers, own = FAMILIES[kind]
    first = next(iter(list(summarize(Net(build(kind)), (8, 8, 3)).endpoints)[1:]))
    greedy = phase("greedy", head(first, **form), until=first, steps=4)
    model = {f"model__{key}": value for key, value in {**layers, **own}.items()}
    config = with_phases(tiny, greedy, model__name=name, **model, **changes, schedule__length=6)
    result = train(config, tmp_path)
    losses = [row["train/loss"] for row in result["curve"] if "train/loss" in row]
    assert len(losses) > 1
    assert np.isfinite(losses).all()
