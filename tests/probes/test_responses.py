"""Layer responses against float64 arithmetic, and what counts as a response."""

import dataclasses
from pathlib import Path
from typing import Any, get_args

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from ml_collections import ConfigDict
from selection import parametrize_sampled

from resjax import config as configs
from resjax.config import Config
from resjax.models import MODELS
from resjax.models.blocks import Layers
from resjax.models.units import Order
from resjax.probes import responses, statistics, subject
from resjax.probes.bench import Bench
from resjax.probes.subject import Subject

ORDERS = get_args(Order)
BENCH = Bench(Path())
EPSILON = 1e-5


def images(count: int = 6, side: int = 8) -> jax.Array:
    return jnp.asarray(np.random.default_rng(3).normal(size=(count, side, side, 3)), jnp.float32)


def drawn(name: str, norm: Any = "batch", x: Any = None, **settings: Any) -> tuple[Any, Any]:
    """-> a trunk and values in no special place."""
    trunk: Any = MODELS[name](10, Layers(norm=norm), **settings)
    x, rng = images() if x is None else x, np.random.default_rng(0)

    def draw(path: Any, leaf: Any) -> jax.Array:
        positive = path[-1].key in ("scale", "var")
        values = rng.uniform(0.5, 2, leaf.shape) if positive else rng.normal(0, 0.5, leaf.shape)
        return jnp.asarray(values, jnp.float32)

    shapes = jax.eval_shape(lambda: trunk.init(jax.random.key(0), x, train=False))
    return trunk, jax.tree_util.tree_map_with_path(draw, shapes)


def names(trunk: Any, variables: Any, x: Any = None) -> list[str]:
    """-> the layers that respond; nothing is computed."""
    x = images() if x is None else x
    shapes = jax.eval_shape(lambda: responses.deviations(variables, x, trunk=trunk, after="", until="main"))
    return list(shapes)


def found(trunk: Any, variables: Any, x: Any = None) -> dict[str, float]:
    x = images() if x is None else x
    values = responses.deviations(variables, x, trunk=trunk, after="", until="main")
    return {name: float(value) for name, value in values.items()}


class Dense:
    """A residual dense net in float64 NumPy: {layer: its response}."""

    def __init__(self, variables: Any, order: str, skip: bool) -> None:
        self.v = jax.tree.map(lambda leaf: np.asarray(leaf, np.float64), variables)
        self.order, self.skip, self.response = order, skip, {}

    def norm(self, x: np.ndarray, *path: str) -> np.ndarray:
        affine, running = self.v["params"], self.v["batch_stats"]
        for part in path:
            affine, running = affine[part], running[part]
        y = (x - running["mean"]) / np.sqrt(running["var"] + EPSILON)
        return y * affine["scale"] + affine["bias"]

    def __call__(self, x: np.ndarray, units: int) -> dict[str, float]:
        pre = self.order == "preactivation"
        x = x.reshape(len(x), -1) @ self.v["params"]["stem_dense"]["kernel"]
        first = ("block1", "norm1") if pre else ("stem_norm",)
        self.response["stem_dense"] = self.norm(x, *first)
        x = x if pre else np.maximum(self.norm(x, *first), 0)
        for name in (f"block{number}" for number in range(1, units + 1)):
            x = self.unit(name, x)
        return {name: value.std() for name, value in self.response.items()}

    def unit(self, name: str, x: np.ndarray) -> np.ndarray:
        pre, own = self.order == "preactivation", self.v["params"][name]
        begun = np.maximum(self.norm(x, name, "norm1"), 0) if pre else x
        x = begun if name == "block1" else x  # the first unit's shortcut shares it
        y = self.norm(begun @ own["dense1"]["kernel"], name, "norm2" if pre else "norm1")
        self.response[f"{name}/dense1"] = y
        y = np.maximum(y, 0) @ own["dense2"]["kernel"]
        y = self.norm(y, name, "norm2") if self.order == "original" else y
        self.response[f"{name}/dense2"] = y
        y = x + y if self.skip else y
        y = self.norm(y, name, "norm2") if self.order == "norm_after_addition" else y
        return y if pre else np.maximum(y, 0)


@pytest.mark.parametrize("skip", [True, False])
@pytest.mark.parametrize("order", ["original", "norm_after_addition", "preactivation"])
def test_a_response_is_the_layer_s_output_behind_its_norm_and_before_all_else(order: Any, skip: bool) -> None:
    trunk, variables = drawn("residual_mlp", depth=8, width=5, order=order, skip=skip)
    want = Dense(variables, order, skip)(np.asarray(images(), np.float64), 3)
    got = found(trunk, variables)
    assert list(got) == list(want)
    np.testing.assert_allclose([*got.values()], [*want.values()], rtol=2e-5)


@parametrize_sampled("order", ORDERS, default=1)
def test_with_the_batch_s_statistics_a_normed_response_has_its_norm_s_scale(order: Any) -> None:
    """Each channel has mean `bias` and variance `scale`^2 var / (var + epsilon); here all scales are 3."""
    trunk, variables = drawn("cifar_resnet", depth=8, width=4, order=order, shortcut="B")
    fixed = jax.tree_util.tree_map_with_path(
        lambda path, leaf: leaf * 0 + {"scale": 3.0, "bias": 0.25}.get(path[-1].key, 0)
        if path[-1].key in ("scale", "bias") else leaf,
        variables,
    )  # fmt: skip
    estimated = statistics.estimate(fixed, images(), trunk=trunk, after="", until="main")
    got, bare = found(trunk, estimated), order in ("norm_after_addition", "preactivation")
    for name, value in got.items():
        assert (value == pytest.approx(3, rel=1e-3)) == (not (bare and name.endswith("conv2"))), name


@pytest.mark.slow
def test_estimated_statistics_are_those_of_training_mode() -> None:
    trunk, variables = drawn("cifar_resnet", depth=8, width=4, order="relu_preactivation", shortcut="C")
    run = jax.jit(lambda train, v: trunk.apply(v, images(), train=train, mutable=True)[0], static_argnums=0)
    estimated = statistics.estimate(variables, images(), trunk=trunk, after="", until="main")
    trained = run(True, variables)
    for name, value in run(False, estimated).items():
        scale = float(jnp.abs(trained[name]).max())
        np.testing.assert_allclose(value, trained[name], rtol=0, atol=2e-5 * scale)


def test_a_stem_s_statistics_are_the_batch_s_mean_and_biased_variance() -> None:
    trunk, variables = drawn("residual_mlp", depth=4, width=5)
    estimated = statistics.estimate(variables, images(), trunk=trunk, after="", until="main")
    flat = np.asarray(images(), np.float64).reshape(6, -1)
    read = flat @ np.asarray(variables["params"]["stem_dense"]["kernel"], np.float64)
    own = estimated["batch_stats"]["stem_norm"]
    np.testing.assert_allclose(own["mean"], read.mean(0), rtol=1e-5, atol=1e-5)
    np.testing.assert_allclose(own["var"], read.var(0), rtol=1e-5)
    jax.tree.map(np.testing.assert_array_equal, estimated["params"], variables["params"])


def test_nothing_is_dropped_while_statistics_are_estimated() -> None:
    """The last branch never survives training: its norms get the batch's statistics all the same."""
    trunk, variables = drawn("cifar_resnet", depth=8, width=4, survival=0.0)
    estimated = statistics.estimate(variables, images(), trunk=trunk, after="", until="main")
    new, old = (each["batch_stats"]["stage3_block1"]["norm2"]["mean"] for each in (estimated, variables))
    assert not np.allclose(new, old)


@pytest.mark.parametrize("solver", ["euler", "dopri5"])
def test_a_block_that_is_applied_again_and_again_is_left_out(solver: str) -> None:
    if solver == "dopri5":
        pytest.importorskip("diffrax")
    got = names(*drawn("ode_net", "group", width=8, solver=solver))
    assert got == ["stem_conv", *(f"halving{n}/conv{i}" for n in (1, 2) for i in (1, 2))]


@pytest.mark.parametrize("norm", ["group", "none"])
def test_nets_with_other_norms_or_none(norm: Any) -> None:
    trunk, variables = drawn("residual_mlp", norm, depth=4, width=16)
    flat = np.asarray(images(), np.float64).reshape(6, -1)
    own = jax.tree.map(lambda leaf: np.asarray(leaf, np.float64), variables["params"])
    want = flat @ own["stem_dense"]["kernel"]
    if norm == "group":
        grouped = want.reshape(6, 2, 8)
        grouped = (grouped - grouped.mean(-1, keepdims=True)) / np.sqrt(
            grouped.var(-1, keepdims=True) + EPSILON
        )
        want = grouped.reshape(6, 16) * own["stem_norm"]["scale"] + own["stem_norm"]["bias"]
    else:
        want = want + own["stem_dense"]["bias"]
    assert found(trunk, variables)["stem_dense"] == pytest.approx(want.std(), rel=1e-4)


def test_layers_on_shortcuts_and_the_logits_are_left_out() -> None:
    for settings in (dict(shortcut="C"), dict(gate="exclusive"), dict()):
        trunk, variables = drawn("cifar_resnet", depth=8, width=4, **settings)
        units = [f"stage{n}_block1/conv{i}" for n in (1, 2, 3) for i in (1, 2)]
        assert names(trunk, variables) == ["stem_conv", *units]


@pytest.mark.slow
def test_every_family_has_responses() -> None:
    x = images(2, 16)
    for name, norm, settings, count in (
        ("layerwise_cnn", "batch", dict(depth=3, width=4, k=2, downsample=(2,), hidden=4), 4),
        ("dsn", "none", dict(), 8),
        ("googlenet", "batch", dict(stem="cifar"), 1 + 9 * 6),
    ):
        trunk, variables = drawn(name, norm, x, **settings)
        assert len(names(trunk, variables, x)) == count


def digits(**settings: Any) -> Config:
    config = ConfigDict()
    config.data = dict(name="digits", holdout=37)
    config.model = dict(name="residual_mlp", depth=6, width=8, **settings)
    config.schedule = dict(name="constant", unit="steps", length=12, learning_rate=0.1)
    config.train = dict(batch_size=100)
    return configs.override(config, ())


def at_start(**settings: Any) -> Subject:
    return next(subject.at_start("net", digits(**settings), 1))


def test_a_fresh_net_has_deviations_of_one() -> None:
    found = responses.measure(at_start(), BENCH)
    assert [point.name for point in found[:5]] == [
        "stem_dense", "block1/dense1", "block1/dense2", "block2/dense1", "block2/dense2",
    ]  # fmt: skip
    assert all(point.value == pytest.approx(1, rel=1e-2) for point in found)


def test_a_trained_net_has_its_running_statistics() -> None:
    """A running variance four times as large halves every response of a layer."""
    net = at_start()

    def responding(factor: float) -> float:
        own = jax.tree.map(jnp.copy, net.averaged)
        own["batch_stats"]["trunk"]["stem_norm"]["var"] *= factor
        return responses.measure(dataclasses.replace(net, step=1, averaged=own), BENCH)[0].value

    assert responding(4.0) == pytest.approx(responding(1.0) / 2, rel=1e-4)


def test_the_second_panel_has_the_first_one_s_numbers_in_falling_order() -> None:
    points = responses.measure(at_start(norm="none"), BENCH, examples=50)
    std, ranked = ([p.value for p in points if p.quantity == name] for name in ("std", "sorted"))
    assert len(set(std)) == len(std) == 5
    assert ranked == sorted(std, reverse=True)
    assert [p.x for p in points if p.quantity == "sorted"] == [1, 2, 3, 4, 5]
