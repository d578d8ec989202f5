"""Linear readouts on runs whose depth is known, and CKA against its definition in float64 NumPy."""

import dataclasses
import json
import shutil
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from resjax import config as configs
from resjax.checkpoint import Checkpoints
from resjax.config import Config
from resjax.errors import UserError
from resjax.probes import effective_depth, subject
from resjax.probes.bench import Bench, Point, Report, Subject
from resjax.probes.effective_depth import cka, gram, measure, readout, u_centred
from resjax.probes.findings import Finding
from resjax.training import train

SETTINGS: dict[str, Any] = {"epochs": 15, "learning_rate": 0.1, "examples": 60}
NAMES = ["stem", "block1", "block2", "block3", "main"]


@pytest.fixture(scope="module")
def config() -> Config:
    base: dict[str, Any] = {
        "data": {"name": "digits", "holdout": 37},
        "model": {"name": "residual_mlp", "depth": 8, "width": 16},
        "schedule": {"name": "constant", "unit": "steps", "length": 60, "learning_rate": 0.05},
        "train": {"batch_size": 100, "ema_decay": 0.5, "eval_every": 5.0},
    }
    return configs.override(base, ())


@pytest.fixture(scope="module")
def run(config: Config, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of three units, of which the second and the third give their input through."""
    trained, emptied = (tmp_path_factory.mktemp(name) for name in ("trained", "emptied"))
    train(config, trained)
    found = subject.of_run("", trained)
    with Checkpoints(trained, read_only=True) as checkpoints:
        state, meta = checkpoints.resume(found.job.state_like) or (None, {})
    assert state is not None
    shutil.copy(trained / "config.json", emptied)
    with Checkpoints(emptied) as checkpoints:
        checkpoints.save(60, _without_branches(state, "block2", "block3"), meta)
    return emptied


def _without_branches(state: Any, *units: str) -> Any:
    """The norm before the addition gives zeros; what comes behind a ReLU passes the next one unchanged."""

    def blank(path: Any, leaf: Any) -> Any:
        name = jax.tree_util.keystr(path, simple=True, separator="/")
        gone = any(f"{unit}/norm2/{kind}" in name for unit in units for kind in ("scale", "bias"))
        return jnp.zeros_like(leaf) if gone else leaf

    return jax.tree_util.tree_map_with_path(blank, state)


@pytest.fixture(scope="module")
def net(run: Path) -> Subject:
    return subject.of_run("emptied", run)


def learn(config: Config, folder: Path) -> Any:
    with jax.numpy_dtype_promotion("standard"):  # Optax's Adam raises a float to a whole number's power
        return train(config, folder, load=subject.load)


@pytest.fixture(scope="module")
def points(net: Subject, tmp_path_factory: pytest.TempPathFactory) -> list[Point]:
    with jax.numpy_dtype_promotion("standard"):
        return measure(net, Bench(tmp_path_factory.mktemp("bench")), **SETTINGS)


def values(points: list[Point], quantity: str, line: str = "") -> dict[str, float]:
    return {point.name: point.value for point in points if (point.quantity, point.line) == (quantity, line)}


def features(net: Subject, split: str) -> tuple[dict[str, np.ndarray], np.ndarray]:
    inputs, labels = net.images(10_000, split)
    endpoints: Any = net.net.trunk.apply(net.evaluated_trunk, inputs, train=False)
    wide = {name: np.asarray(value, np.float64) for name, value in endpoints.items()}
    return wide, np.asarray(labels)


@pytest.mark.slow
def test_identities_are_read_as_well_as_what_comes_before_them(points: list[Point]) -> None:
    found = values(points, "accuracy")
    assert list(found) == NAMES
    assert found["block2"] == pytest.approx(found["block1"], abs=0.01)
    assert found["block3"] == pytest.approx(found["block1"], abs=0.01)
    alike = values(points, "cka", "block1")
    assert alike["block3"] == pytest.approx(1, abs=1e-5)
    assert alike["stem"] < 0.99


@pytest.mark.slow
def test_the_readout_is_the_optimal_linear_classifier_s(points: list[Point], net: Subject) -> None:
    train_set, labels = features(net, "train")
    test_set, answers = features(net, "test")
    found = values(points, "accuracy")
    for name in ("stem", "block1", "block3"):
        best = make_pipeline(StandardScaler(), LogisticRegression(C=1e3, max_iter=3000))
        best.fit(train_set[name], labels)
        assert found[name] == pytest.approx(best.score(test_set[name], answers), abs=0.05)


@pytest.mark.slow
def test_the_net_s_own_classifier_and_all_of_its_trunk_stay_as_they_are(
    points: list[Point], net: Subject, tmp_path: Path
) -> None:
    test_set, answers = features(net, "test")
    own = (test_set["main"].argmax(1) == answers).mean()
    assert values(points, "accuracy")["main"] == pytest.approx(own, abs=1e-6)
    assert net.workdir is not None
    learn(readout(net, net.workdir, 1, 0.1), tmp_path)
    after = subject.of_run("", tmp_path)
    for name, tree in net.averaged.items():
        jax.tree.map(np.testing.assert_array_equal, tree["trunk"], after.variables[name]["trunk"])


def test_a_readout_learns_from_what_evaluation_sees(net: Subject, tmp_path: Path) -> None:
    """The loss of the first step, of all examples, from the features in float64."""
    assert net.workdir is not None
    flags = [
        *("--config.train.batch_size=1400", "--config.train.eval_every=1"),
        *("--config.schedule.unit=steps", "--config.schedule.length=1"),
    ]
    once = configs.override(readout(net, net.workdir, 1, 0.25), flags)
    start: Any = next(subject.at_start("", once, 1)).variables["params"]
    metrics = learn(once, tmp_path)["metrics"]
    found, labels = features(net, "train")
    for name in ("stem", "block1", "block3"):
        layer = start[f"head_at_{name}"]["classifier"]
        standard = (found[name] - found[name].mean(0)) / np.sqrt(found[name].var(0) + 1e-5)
        logits = standard @ np.asarray(layer["kernel"], np.float64) + np.asarray(layer["bias"], np.float64)
        losses = np.log(np.exp(logits).sum(1)) - logits[np.arange(len(labels)), labels]
        assert metrics[f"train/at_{name}/loss"] == pytest.approx(losses.mean(), rel=1e-5)


def test_readouts_are_not_augmented_and_read_what_the_net_reads(net: Subject) -> None:
    flags = ["--config.input.pad=2", "--config.input.flip=True", "--config.input.normalize=unit"]
    config = configs.override(net.config, flags)
    augmented = dataclasses.replace(net, job=dataclasses.replace(net.job, config=config))
    found = readout(augmented, Path("run"), 1, 0.1)
    assert (found.input.pad, found.input.flip, found.input.normalize) == (0, False, "unit")


@pytest.mark.slow
def test_cka_is_the_unbiased_estimate_s_formula(points: list[Point], net: Subject) -> None:
    """Song et al. 2012, eq. 5, from the features, with sums over the matrices as they stand there."""
    inputs, _ = net.batch(60, "test")
    own = {name: tree["trunk"] for name, tree in net.averaged.items()}
    endpoints: Any = net.net.trunk.apply(own, inputs, train=False)
    grams = []
    for value in endpoints.values():
        flat = np.asarray(value, np.float64).reshape(60, -1)
        grams.append((flat @ flat.T) * (1 - np.eye(60)))

    def hsic(k: np.ndarray, other: np.ndarray) -> float:
        n = len(k)
        both = k.sum() * other.sum() / ((n - 1) * (n - 2)) - 2 / (n - 2) * (k @ other).sum()
        return (np.trace(k @ other) + both) / (n * (n - 3))

    for row, line in enumerate(NAMES):
        expected = [hsic(grams[row], g) / np.sqrt(hsic(grams[row], grams[row]) * hsic(g, g)) for g in grams]
        np.testing.assert_allclose([*values(points, "cka", line).values()], expected, atol=2e-5)


@pytest.mark.slow
def test_cka_sees_neither_rotation_nor_scale_nor_shift() -> None:
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(40, 6)), rng.normal(size=(40, 9))
    rotation = np.linalg.qr(rng.normal(size=(6, 6)))[0]
    turned, stretched = 7e3 * x @ rotation + 2.0, x * np.arange(1, 7)
    found = cka(jnp.stack([gram(jnp.float32(each)) for each in (x, turned, stretched, y)]))
    np.testing.assert_allclose(found[0, :2], 1, atol=1e-5)
    np.testing.assert_allclose(found[1], found[0], atol=1e-4)
    np.testing.assert_allclose(np.diag(found), 1, atol=1e-6)
    assert found[0, 2] < 0.95  # another scale for each feature is not isotropic


@pytest.mark.slow
def test_cka_of_unrelated_features_is_zero_on_average_even_where_they_outnumber_examples() -> None:
    x = np.random.default_rng(1).normal(size=(80, 12, 1000))
    found = np.asarray(cka(jnp.stack([gram(jnp.float32(each)) for each in x])))
    apart = found[np.triu_indices(80, 1)]
    assert abs(apart.mean()) < 4 * apart.std() / np.sqrt(len(apart))
    np.testing.assert_allclose(u_centred(gram(jnp.float32(x[0]))[None]).sum(1), 0, atol=1e-3)


def test_it_goes_on_from_a_finished_training_and_not_from_other_settings(
    net: Subject, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = []

    def count(config: Config, folder: Path, *_: Any) -> Any:
        asked.append(folder)
        return {"metrics": {f"test/at_{name}/accuracy": 0.5 for name in NAMES} | {"test/accuracy": 0.5}}

    monkeypatch.setattr(effective_depth, "train", count)
    for epochs in (1, 1, 2):
        measure(net, Bench(tmp_path), epochs=epochs, examples=4)
    assert asked[0] == asked[1] != asked[2]


def test_what_cannot_be_measured_is_said(config: Config, net: Subject, tmp_path: Path) -> None:
    at_start = next(subject.at_start("fresh", config, 1))
    with pytest.raises(UserError, match="fresh"):
        measure(at_start, Bench(tmp_path))
    wrong: dict[str, Any] = {"epochs": 0, "learning_rate": 0.0, "examples": 3}
    for key, value in wrong.items():
        with pytest.raises(ValueError, match=f"^{key} is {value}"):
            measure(net, Bench(tmp_path), **{key: value})


def test_figures_show_arms_of_different_depths(points: list[Point], tmp_path: Path) -> None:
    fewer = [p for p in points if "block3" not in (p.line, p.name)]
    found = [Finding("deep", 0, 60, {}, tuple(points)), Finding("shallow", 0, 60, {}, tuple(fewer))]
    report = Report("effective-depth", "", "", effective_depth.QUANTITIES, {}, tuple(found))
    effective_depth.draw(report, tmp_path / "effective-depth")
    names = {file.name for file in tmp_path.iterdir()}
    both = ("effective-depth", "effective-depth-cka")
    assert names == {f"{name}.{kind}" for name in both for kind in ("png", "pdf")}
    assert json.dumps(report.lines("cka")) == json.dumps(NAMES)
