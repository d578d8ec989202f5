"""Input gradients of nets of one number and along paths, against linear nets and finite differences."""

import dataclasses
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from ml_collections import ConfigDict
from refusal import refused

from resjax import config as configs
from resjax.errors import UserError
from resjax.models.heads import Net
from resjax.probes import noise, shattered, statistics, subject
from resjax.probes.bench import Bench, Point, Report, Subject
from resjax.probes.findings import Finding

BENCH = Bench(Path())


def at_start(**model: Any) -> Subject:
    config = ConfigDict()
    config.data = dict(name="digits", holdout=37)
    config.model = dict(name="residual_mlp", depth=6, width=16, skip=False) | model
    config.schedule = dict(name="constant", unit="steps", length=12, learning_rate=0.1)
    config.train = dict(batch_size=100)
    return next(subject.at_start("net", configs.override(config, ()), 1))


def of(points: list[Point], quantity: str) -> np.ndarray:
    return np.array([point.value for point in points if point.quantity == quantity])


@pytest.mark.slow
@pytest.mark.parametrize("norm", ["none", "batch"])
def test_a_net_that_looks_linear_has_one_gradient_everywhere(norm: str) -> None:
    points = shattered.measure(at_start(norm=norm, looks_linear=True), BENCH, nets=2, inputs=64, paths=2)
    np.testing.assert_allclose(np.abs(of(points, "gradient")), 1, rtol=1e-4)
    for quantity in ("autocorrelation", "covariance", "path"):
        assert len(of(points, quantity)) == {"covariance": 32 * 33 // 2}.get(quantity, 32)
        np.testing.assert_allclose(of(points, quantity), 1, rtol=1e-5)


def test_without_norms_and_biases_there_are_two_slopes() -> None:
    """f(a x) = a f(x) for a > 0: the correlation of inputs of one sign is 1."""
    points = shattered.measure(at_start(norm="none"), BENCH, nets=3, inputs=64, paths=0)
    gradient = of(points, "gradient")
    np.testing.assert_allclose(gradient[:32], gradient[0], rtol=1e-4)
    np.testing.assert_allclose(gradient[32:], gradient[-1], rtol=1e-4)
    assert abs(gradient[0] - gradient[-1]) > 0.1
    matrix = np.zeros((32, 32))
    matrix[np.triu_indices(32)] = of(points, "covariance")
    np.testing.assert_allclose(matrix[np.triu_indices(16)], 1, rtol=1e-4)
    assert not of(points, "path").size


@pytest.mark.slow
def test_a_deep_plain_net_with_norms_is_white_and_a_residual_one_with_weak_branches_is_not() -> None:
    shared: dict[str, Any] = dict(depth=40, width=64, order="preactivation")
    plain = shattered.measure(at_start(**shared), BENCH, nets=2, paths=0)
    weak = shattered.measure(
        at_start(**shared | dict(skip=True, branch_scale=0.1)), BENCH, nets=2, paths=0
    )  # fmt: skip
    assert np.abs(of(plain, "autocorrelation")[:20]).max() < 5 / np.sqrt(2 * 236)
    assert of(weak, "autocorrelation")[0] > 0.7


def test_gradients_are_finite_differences_with_the_statistics_of_the_grid_held_fixed() -> None:
    net = at_start(norm="batch", depth=4)
    trunk, x = net.net.trunk, net.batch(20)[0]
    own = statistics.fixed(net, x)
    weights = jnp.asarray(np.random.default_rng(0).normal(size=10), jnp.float32)
    got = np.asarray(shattered.gradients(own, x, weights, trunk=trunk, after=""), np.float64)
    along = np.random.default_rng(1).normal(size=x.shape[1:])

    def at(step: float) -> np.ndarray:
        moved = x + jnp.asarray(step * along, jnp.float32)[None]
        found: Any = trunk.apply(own, moved, train=False)
        return np.asarray(found["main"] @ weights, np.float64)

    slopes = (at(1e-3) - at(-1e-3)) / 2e-3
    close = np.isclose(got @ along.reshape(-1), slopes, rtol=2e-2, atol=2e-2)
    assert close.mean() > 0.8  # but where a ReLU opens or closes within the step
    assert np.abs(slopes).mean() > 0.1


def test_a_path_is_the_straight_line_and_its_output_the_first_example_s_class(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    net, given = at_start(norm="none"), []
    real = shattered.gradients

    def gradients(variables: Any, inputs: jax.Array, weights: jax.Array, **rest: Any) -> jax.Array:
        given.append((np.asarray(inputs), np.asarray(weights)))
        return real(variables, inputs, weights, **rest)

    monkeypatch.setattr(shattered, "gradients", gradients)
    points = shattered.measure(net, BENCH, nets=0, inputs=40, paths=2)
    seen, targets = (jax.device_get(each) for each in net.batch(512))
    for number, (line, weights) in enumerate(given):
        a, b = seen[2 * number], seen[2 * number + 1]
        for i in (0, 10, 39):
            np.testing.assert_allclose(line[i], a + (b - a) * i / 39, rtol=1e-5, atol=1e-5)
        assert weights.tolist() == np.eye(10)[targets["labels"][2 * number]].tolist()
    own = {kind: tree["trunk"] for kind, tree in net.averaged.items()}
    slopes = [
        real(own, jnp.asarray(line), jnp.asarray(w), trunk=net.net.trunk, after="") for line, w in given
    ]
    each = [noise.autocorrelation(np.asarray(own, np.float64), 20) for own in slopes]
    np.testing.assert_allclose(of(points, "path"), np.mean(each, 0), rtol=1e-5)


def test_the_first_draw_is_the_seed_s_and_the_others_differ() -> None:
    one, two = (shattered.measure(at_start(), BENCH, nets=n, inputs=32, paths=0) for n in (1, 2))
    np.testing.assert_array_equal(of(one, "gradient"), of(two, "gradient"))
    assert np.abs(of(one, "autocorrelation") - of(two, "autocorrelation")).max() > 1e-3


def test_a_model_that_needs_a_plane_is_refused_in_one_sentence() -> None:
    net = at_start()
    config = ConfigDict({**net.config})
    config.model = ConfigDict(dict(name="layerwise_cnn", depth=3, width=4, downsample=(2,)))
    other = dataclasses.replace(net, job=dataclasses.replace(net.job, config=configs.override(config, ())))
    message = refused(UserError, lambda: shattered.measure(other, BENCH, paths=0), "layerwise_cnn")
    assert "--probe.nets=0" in message


def test_a_net_that_ends_early_has_no_paths() -> None:
    net = at_start()
    early = dataclasses.replace(
        net, task=dataclasses.replace(net.task, net=Net(net.net.trunk, until="block1"))
    )
    with pytest.raises(UserError, match=r"^net: .*'block1'"):
        shattered.measure(early, BENCH, nets=0)


def test_figures_are_written(tmp_path: Path) -> None:
    points = tuple(shattered.measure(at_start(), BENCH, nets=2, inputs=32, paths=1))
    findings = tuple(Finding("net", seed, 0, {}, points) for seed in (0, 1))
    report = Report("shattered", "t", "d", shattered.QUANTITIES, {"inputs": 32, "nets": 2}, findings)
    shattered.draw(report, tmp_path / "shattered")
    for name in ("shattered.png", "shattered.pdf", "shattered-covariance.png", "shattered-covariance.pdf"):
        assert (tmp_path / name).stat().st_size > 1000
