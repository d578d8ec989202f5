"""Lesions of nets where what must come out is known."""

import dataclasses
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from resjax import config as configs
from resjax.config import Config
from resjax.errors import UserError
from resjax.probes import lesion, subject, surgery
from resjax.probes.bench import Bench, Point, Report, Subject
from resjax.probes.findings import Finding
from resjax.probes.lesion import choices, measure, orders, spread

BENCH = Bench(Path())
FEW: dict[str, Any] = {"examples": 40, "draws": 3, "counts": 4}


def base(**model: Any) -> Config:
    settings: dict[str, Any] = {
        "data": {"name": "digits"},
        "model": {"name": "residual_mlp", "depth": 8, "width": 12, **model},
        "schedule": {"name": "constant", "unit": "steps", "length": 1, "learning_rate": 0.1},
    }
    return configs.override(settings, ())


def patient(change: Callable[[Any, Any], Any] = lambda path, leaf: leaf, **model: Any) -> Subject:
    """-> a net of other values than training begins with."""
    found = next(subject.at_start("net", base(**model), 1))
    changed = jax.tree_util.tree_map_with_path(change, found.averaged)
    return dataclasses.replace(found, averaged=changed)


def values(points: list[Point], quantity: str, line: str = "") -> dict[float, float]:
    return {point.x: point.value for point in points if (point.quantity, point.line) == (quantity, line)}


def without_branches(path: Any, leaf: Any) -> Any:
    return jnp.zeros_like(leaf) if "dense2" in [key.key for key in path] else leaf


def test_units_that_add_nothing_can_be_deleted_and_swapped() -> None:
    found = measure(patient(without_branches, order="preactivation"), BENCH, **FEW)
    errors = [point.value for point in found if point.quantity in ("deleted", "deletions", "permutations")]
    assert len(errors) == 4 + 3 * 4 + 3 * 4
    assert set(errors) == {errors[0]}
    paths = values(found, "path")
    assert paths[0] > 0
    assert paths[1] == paths[2] == paths[3] == 0
    other = measure(patient(order="preactivation"), BENCH, **FEW)
    assert len({point.value for point in other if point.quantity == "deleted"}) > 1


def test_the_error_is_the_share_of_wrong_answers() -> None:
    net = patient()
    inputs, labels = net.images(40, "test")
    found = measure(net, BENCH, **FEW)
    whole: Any = net.net.trunk.apply(net.evaluated_trunk, inputs, train=False)
    wrong = np.asarray(whole["main"]).argmax(1) != np.asarray(labels)
    assert values(found, "deleted")[0] == pytest.approx(wrong.mean())
    assert values(found, "deletions", "median")[0] == pytest.approx(wrong.mean())
    assert values(found, "permutations", "median")[1] == pytest.approx(wrong.mean())
    names = [point.name for point in found if point.quantity == "deleted"]
    assert names == ["none", "block1", "block2", "block3"]
    gone = surgery.logits(net.net.trunk, net.evaluated_trunk, inputs, kept=jnp.asarray([True, False, True]))
    wrong = np.asarray(gone).argmax(1) != np.asarray(labels)
    assert values(found, "deleted")[3] == pytest.approx(wrong.mean())  # the stem is the first part


def test_a_linear_net_s_gradient_along_paths_is_a_product_of_matrices(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(nn, "relu", lambda x: x)
    net = patient(order="preactivation", norm="none", width=11)
    inputs, labels = net.images(40, "test")
    params = jax.tree.map(lambda leaf: np.asarray(leaf, np.float64), net.evaluated_trunk["params"])
    units = [
        params[f"block{n}"]["dense1"]["kernel"] @ params[f"block{n}"]["dense2"]["kernel"] for n in (1, 2, 3)
    ]
    stem, last = params["stem_dense"]["kernel"], params["classifier"]["kernel"]
    logits = np.asarray(inputs, np.float64).reshape(40, -1) @ stem
    for unit in units:
        logits = logits + logits @ unit
    share = np.exp(logits @ last) / np.exp(logits @ last).sum(1, keepdims=True)
    slope = (share - np.eye(10)[np.asarray(labels)]) @ last.T

    def norm(chosen: list[str]) -> float:
        gradient = slope
        for number in (3, 2, 1):
            gradient = gradient @ units[number - 1].T if f"block{number}" in chosen else gradient
        return float(np.sqrt(np.square(gradient @ stem.T).sum() / 40))

    found = measure(net, BENCH, **FEW)
    names = ["block1", "block2", "block3"]
    for length in range(4):
        mean = np.mean([norm(chosen) for chosen in choices(names, length, 3)])
        assert values(found, "path")[length] == pytest.approx(mean, rel=1e-4)
        assert values(found, "paths")[length] == pytest.approx(mean * math.comb(3, length), rel=1e-4)


def test_a_plain_net_has_no_paths() -> None:
    found = measure(patient(skip=False), BENCH, **FEW)
    assert {point.quantity for point in found} == {"deleted", "deletions", "permutations"}


def test_choices_are_even_and_repeat() -> None:
    assert spread(21, 4) == [0, 7, 14, 21]
    assert spread(3, 12) == [0, 1, 2, 3]
    assert spread(0, 12) == []
    names = [f"block{n}" for n in range(6)]
    drawn = choices(names, 2, 3000)
    counts = np.array([sum(name in chosen for chosen in drawn) for name in names])
    assert {len({*chosen}) for chosen in drawn} == {2}
    np.testing.assert_allclose(counts / 3000, 1 / 3, atol=0.04)
    assert choices(names, 2, 3) == drawn[:3]
    assert [sorted(chosen) for chosen in choices(names, 6, 3)] == [names]
    pairs = [(0, 1), (2, 3), (2, 4), (3, 4)]
    swapped = orders(pairs, 5, 1, 200)
    assert {tuple(order) for order in swapped} == {
        (1, 0, 2, 3, 4),
        (0, 1, 3, 2, 4),
        (0, 1, 4, 3, 2),
        (0, 1, 2, 4, 3),
    }
    assert all({*order[:2]} == {0, 1} for order in orders(pairs, 5, 7, 50))
    assert orders(pairs, 5, 0, 9) == [[0, 1, 2, 3, 4]]


@pytest.mark.slow
def test_what_cannot_be_measured_is_said() -> None:
    for model in ({"name": "dsn", "norm": "none"}, {"name": "densenet", "depth": 10, "growth": 2}):
        flat = configs.override({**base().to_dict(), "model": model}, ())
        with pytest.raises(UserError, match=r"^net: "):
            measure(next(subject.at_start("net", flat, 1)), BENCH)


@pytest.mark.slow
def test_a_figure_has_the_panels_that_there_are_points_for(tmp_path: Path) -> None:
    nets = {"plain": patient(skip=False), "residual": patient()}
    found = tuple(Finding(name, 0, 9, {}, tuple(measure(net, BENCH, **FEW))) for name, net in nets.items())
    for count in (1, 2):
        report = Report("lesion", "Lesions", "", lesion.QUANTITIES, {}, found[:count])
        lesion.draw(report, tmp_path / f"arms{count}")
    names = {file.name for file in tmp_path.iterdir()}
    assert names == {"arms1.png", "arms1.pdf", "arms2.png", "arms2.pdf"}
