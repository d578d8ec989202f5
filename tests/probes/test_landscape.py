"""Landscapes with a closed form, directions, and rows that outlive a stop."""

import dataclasses
from functools import partial
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jaxtyping import Array, Float
from linear import Linear, with_net

from resjax.config import Config
from resjax.errors import Interrupted, UserError
from resjax.losses import Objective, Term
from resjax.models.blocks import BoundLayers
from resjax.models.trunk import MAIN, Part
from resjax.probes import landscape, subject
from resjax.probes.bench import Bench, Point, Report, Subject
from resjax.probes.directions import filter_normalized
from resjax.probes.findings import Finding
from resjax.probes.landscape import measure

FEW: dict[str, Any] = {"points": 5, "radius": 0.5, "examples": 30}


class OneLayer(Linear):
    def parts(self, layers: BoundLayers) -> list[tuple[str, Part]]:
        return [(MAIN, partial(self._dense, MAIN, self.classes))]


class Quadratic(Term):
    def per_example(self, output: Array, target: Array, label_smoothing: float = 0.0) -> Float[Array, " b"]:
        return jnp.square(output - jax.nn.one_hot(target, 10)).sum(1)


def net(config: Config, step: int = 0) -> Subject:
    """As at the start, but for what it says of itself, and statistics that are not the initial ones."""
    found = next(subject.at_start("net", config, 1))
    statistics = jax.tree.map(lambda leaf: leaf + 0.25, found.averaged["batch_stats"])
    averaged = found.averaged | {"batch_stats": statistics}
    return dataclasses.replace(found, step=step, averaged=averaged)


@pytest.fixture
def quadratic(tiny: Config) -> Subject:
    """One linear layer and squared errors, so that the loss is a quadratic function of the parameters."""
    found = next(subject.at_start("quadratic", tiny, 1))
    inner = found.task.net.clone(trunk=OneLayer(10, found.net.trunk.layers))
    variables = inner.init(jax.random.key(1), jnp.zeros((2, 8, 8, 1), jnp.float32), train=False)
    found = with_net(found, inner, variables)
    task = dataclasses.replace(found.task, objective=Objective({"main": Quadratic()}))
    return dataclasses.replace(found, task=task)


def values(points: list[Point], quantity: str) -> np.ndarray:
    return np.array([point.value for point in points if point.quantity == quantity])


def test_a_quadratic_s_landscape(quadratic: Subject, tmp_path: Path) -> None:
    found = measure(quadratic, Bench(tmp_path), **FEW)
    inputs, labels = quadratic.images(30, "train")
    params: Any = quadratic.evaluated_trunk["params"]
    x = np.asarray(inputs, np.float64).reshape(30, -1)
    layer = {name: np.asarray(leaf, np.float64) for name, leaf in params["main_dense"].items()}
    ways = [
        np.asarray(filter_normalized(params, 0, axis)["main_dense"]["kernel"], np.float64) for axis in (0, 1)
    ]
    rest = x @ layer["kernel"] + layer["bias"] - np.eye(10)[np.asarray(labels)]
    along = [x @ way for way in ways]
    places = np.linspace(-0.5, 0.5, 5)

    def mean(a: np.ndarray, b: np.ndarray) -> float:
        return (a * b).sum() / 30

    a, b = np.meshgrid(places, places)
    expected = mean(rest, rest) + 2 * a * mean(rest, along[0]) + 2 * b * mean(rest, along[1])
    expected += a**2 * mean(along[0], along[0]) + b**2 * mean(along[1], along[1])
    expected += 2 * a * b * mean(along[0], along[1])
    surface = values(found, "surface").reshape(5, 5)
    np.testing.assert_allclose(surface, expected, rtol=1e-5)
    np.testing.assert_array_equal(values(found, "loss"), surface[2])
    logits = [x @ (layer["kernel"] + place * ways[0]) + layer["bias"] for place in places]
    right = [(each.argmax(1) == np.asarray(labels)).mean() for each in logits]
    np.testing.assert_allclose(values(found, "accuracy"), right, atol=1e-6)
    assert [point.x for point in found[:5]] == [*places]
    corner = [point for point in found if point.quantity == "surface"][4]
    assert (corner.line, corner.x, corner.name) == ("-0.5", 0.5, "0.5")


def test_each_filter_of_a_direction_is_as_long_as_the_net_s_own() -> None:
    rng = np.random.default_rng(5)
    shapes = {"conv": (3, 3, 4, 5), "dense": (6, 7), "bias": (7,), "scale": (5,)}
    params = {name: jnp.asarray(rng.normal(size=shape) * 3, jnp.float32) for name, shape in shapes.items()}
    first, second = (filter_normalized(params, 0, axis) for axis in (0, 1))
    for name, axes in (("conv", (0, 1, 2)), ("dense", (0,))):
        own = np.sqrt(np.square(np.asarray(params[name], np.float64)).sum(axes))
        assert np.ptp(own) > 0.1
        for way in (first, second):
            np.testing.assert_allclose(np.sqrt(np.square(np.asarray(way[name])).sum(axes)), own, rtol=1e-5)
        assert not np.allclose(first[name], second[name], atol=0.1)
        assert not np.allclose(first[name], params[name], atol=0.1)
    assert not first["bias"].any()
    assert not first["scale"].any()
    jax.tree.map(np.testing.assert_array_equal, first, filter_normalized(params, 0, 0))
    assert not np.allclose(filter_normalized(params, 1, 0)["dense"], first["dense"], atol=0.1)
    blank = filter_normalized(params | {"dense": jnp.zeros((6, 7), jnp.float32)}, 0, 0)
    assert not blank["dense"].any()


@pytest.mark.parametrize("step", [0, 12])
def test_statistics_are_the_batch_s_before_training_and_the_running_ones_behind_it(
    tiny: Config, step: int, tmp_path: Path
) -> None:
    found = net(tiny, step)
    inputs, labels = found.images(30, "train")
    outputs: Any = found.net.trunk.apply(
        found.evaluated_trunk, inputs, train=step == 0, mutable=["batch_stats"]
    )[0]
    logits = np.asarray(outputs["main"], np.float64)
    loss = np.log(np.exp(logits).sum(1)) - logits[np.arange(30), np.asarray(labels)]
    middle = values(measure(found, Bench(tmp_path), **FEW), "loss")[2]
    assert middle == pytest.approx(loss.mean(), rel=1e-5)
    other = values(measure(net(tiny, 12 - step), Bench(tmp_path), **FEW), "loss")[2]
    assert abs(other - middle) > 1e-3


class RowCounter:
    """Counts the rows of a surface that are computed, and interrupts the measurement before row `stop`."""

    def __init__(self, stop: int = 99):
        self.rows, self.stop = 0, stop

    def poll(self) -> None:  # called before each row
        if self.rows == self.stop:
            raise Interrupted("SIGTERM")
        self.rows += 1


def test_a_stopped_measurement_keeps_its_rows_and_ends_with_the_same_bits(
    tiny: Config, tmp_path: Path
) -> None:
    found = net(tiny)
    undisturbed = measure(found, Bench(tmp_path / "undisturbed"), **FEW)
    counter = RowCounter(stop=3)
    with pytest.raises(Interrupted):
        measure(found, Bench(tmp_path / "stopped", poll=counter.poll), **FEW)
    assert counter.rows == 3
    (file,) = (tmp_path / "stopped").iterdir()
    with np.load(file) as rows:
        np.testing.assert_array_equal(
            rows["loss"], np.float32(values(undisturbed, "surface").reshape(5, 5)[:3])
        )
    counter = RowCounter()
    for _ in range(2):  # the second time, no row is computed
        bench = Bench(tmp_path / "stopped", poll=counter.poll)
        assert measure(found, bench, **FEW) == undisturbed
        assert counter.rows == 2


def test_rows_of_another_net_or_setting_are_not_gone_on_from(tiny: Config, tmp_path: Path) -> None:
    found, counter = net(tiny), RowCounter()
    moved = found.averaged | {"params": jax.tree.map(lambda leaf: leaf * 1.5, found.averaged["params"])}
    variants: list[tuple[Subject, dict[str, Any]]] = [
        (found, {}),
        (dataclasses.replace(found, averaged=moved), {}),
        (net(tiny, 12), {}),
        (found, {"directions": 1}),
        (found, {"radius": 0.25}),
        (found, {"examples": 20}),
        (found, {"points": 3}),
    ]
    bench = Bench(tmp_path, poll=counter.poll)
    losses = [values(measure(each, bench, **(FEW | more)), "loss") for each, more in variants]
    assert counter.rows == 6 * 5 + 3
    assert len({loss.tobytes() for loss in losses}) == len(variants)


def test_what_cannot_be_measured_is_said(tiny: Config, tmp_path: Path) -> None:
    found = net(tiny)
    half = dataclasses.replace(found.task, net=found.task.net.clone(until="block1"))
    with pytest.raises(UserError, match=r"^net: "):
        measure(dataclasses.replace(found, task=half), Bench(tmp_path))


@pytest.mark.slow
def test_figures_are_drawn_also_where_the_loss_is_not_finite(tiny: Config, tmp_path: Path) -> None:
    points = measure(net(tiny), Bench(tmp_path / "bench"), **FEW)
    broken = [
        dataclasses.replace(each, value=float("nan"))
        if each.x == 0.5 and each.quantity != "accuracy"
        else each
        for each in points
    ]
    found = tuple(Finding(label, 0, 0, {}, tuple(each)) for label, each in (("a", points), ("b", broken)))
    report = Report("landscape", "Landscape", "", landscape.QUANTITIES, {}, found)
    landscape.draw(report, tmp_path / "figures" / "landscape")
    stems = ("landscape", "landscape-contour", "landscape-surface")
    names = {file.name for file in (tmp_path / "figures").iterdir()}
    assert names == {f"{stem}.{kind}" for stem in stems for kind in ("png", "pdf")}
