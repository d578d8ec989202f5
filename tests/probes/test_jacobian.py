"""Jacobians of linear nets, whose singular values are known, and of others against dense ones."""

import dataclasses
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from ml_collections import ConfigDict

from resjax import config as configs
from resjax.probes import jacobian, lanczos, statistics, subject
from resjax.probes.bench import Bench, Point
from resjax.probes.subject import Subject

BENCH = Bench(Path())
OPEN = 100.0  # a bias that keeps every ReLU open


def at_start(**model: Any) -> Subject:
    config = ConfigDict()
    config.data = dict(name="digits", holdout=37)
    config.model = dict(name="residual_mlp", depth=8, width=6) | model
    config.schedule = dict(name="constant", unit="steps", length=12, learning_rate=0.1)
    config.train = dict(batch_size=100)
    return next(subject.at_start("net", configs.override(config, ()), 1))


def rotation(size: int, seed: int) -> np.ndarray:
    return np.linalg.qr(np.random.default_rng(seed).normal(size=(size, size)))[0]


def linear(kernels: Any, **model: Any) -> Subject:
    """-> a dense net without norms whose ReLUs are all open, with units of these two kernels each."""
    net = at_start(norm="none", **model)
    own = jax.tree.map(jnp.copy, net.averaged)
    trunk = own["params"]["trunk"]
    for number, pair in enumerate(kernels, 1):
        for i, kernel in enumerate(pair, 1):
            trunk[f"block{number}"][f"dense{i}"]["kernel"] = jnp.asarray(kernel, jnp.float32)
    layers = [trunk["stem_dense"], *(trunk[f"block{n}"][f"dense{i}"] for n in (1, 2, 3) for i in (1, 2))]
    for number, layer in enumerate(layers, 2):  # each bias outweighs what comes from the one before
        layer["bias"] = jnp.full_like(layer["bias"], OPEN ** (number // 2))
    return dataclasses.replace(net, averaged=own)


def of(points: list[Point], quantity: str) -> dict[str, float]:
    return {p.name: p.value for p in points if p.quantity == quantity}


@pytest.mark.slow
def test_orthogonal_units_have_singular_values_of_one() -> None:
    """W2 W1 = Q - I, so that the unit is a rotation; all ReLUs are open."""
    net = linear([(np.eye(6), rotation(6, seed) - np.eye(6)) for seed in range(3)])
    points = jacobian.measure(net, BENCH, examples=3)
    for line in ("largest", "rms", "smallest"):
        got = of(points, line)
        assert [got[f"block{n}"] for n in (1, 2, 3)] == pytest.approx([1, 1, 1], rel=1e-5)


def test_a_plain_net_of_diagonal_matrices_has_their_products() -> None:
    """Positive diagonals keep the ReLUs open."""
    diagonals = [np.array([[3, 2, 1, 1, 0.5, 0.25], [2, 2, 2, 1, 1, 1]]) * factor for factor in (1, 2, 0.5)]
    net = linear([tuple(map(np.diag, pair)) for pair in diagonals], skip=False)
    jitted: Any = jacobian.spectra
    compiled = jitted._cache_size()
    points = jacobian.measure(net, BENCH, examples=2)
    # Stem, block1, the units behind it, classifier; and the whole net: what is alike compiles once.
    assert jitted._cache_size() - compiled == 5
    want = [np.sort(a * b)[::-1] for a, b in diagonals]
    for number, values in enumerate(want, 1):
        name = f"block{number}"
        assert of(points, "largest")[name] == pytest.approx(values[0], rel=1e-5)
        assert of(points, "smallest")[name] == pytest.approx(values[-1], rel=1e-4)
        assert of(points, "rms")[name] == pytest.approx(np.square(values).mean() ** 0.5, rel=1e-5)
    exact = jax.tree.map(lambda leaf: np.asarray(leaf, np.float64), net.averaged["params"]["trunk"])
    product = exact["stem_dense"]["kernel"] * np.prod([a * b for a, b in diagonals], 0)
    singular = np.linalg.svd(product @ exact["classifier"]["kernel"], compute_uv=False)
    got = [*of(points, "net").values()]
    np.testing.assert_allclose(got, singular[: len(got)], rtol=2e-4)
    assert len(got) == 6  # of ten logits: six features


def test_a_residual_unit_s_jacobian_is_the_identity_plus_its_branch() -> None:
    rng = np.random.default_rng(0)
    kernels = [tuple(0.05 * rng.normal(size=(6, 6)) for _ in range(2)) for _ in range(3)]
    points = jacobian.measure(linear(kernels), BENCH, examples=3)
    for number, (a, b) in enumerate(kernels, 1):
        values = np.linalg.svd(np.eye(6) + a @ b, compute_uv=False)
        assert of(points, "largest")[f"block{number}"] == pytest.approx(values[0], rel=1e-5)
        assert of(points, "smallest")[f"block{number}"] == pytest.approx(values[-1], rel=1e-4)


@pytest.mark.slow
def test_a_convolutional_net_has_the_values_of_its_dense_jacobians() -> None:
    """Of a unit that changes the shape, and end to end; some ReLUs are open, some are not."""
    net = at_start(name="cifar_resnet", depth=8, width=2)
    trunk, seen = net.net.trunk, net.batch(64)[0]
    own = statistics.fixed(net, seen)
    endpoints: Any = jax.jit(lambda: trunk.apply(own, seen[:2], train=False))()
    for after, until, x in (
        ("stage1_block1", "stage2_block1", endpoints["stage1_block1"]),
        ("", "main", seen[:2]),
    ):
        span = {"after": after, "until": until}
        found, square = jacobian.spectra(own, x, trunk=trunk, steps=200, draws=300, **span)
        got = lanczos.singular_values(found)

        def run(one: jax.Array, span: Any = span) -> Any:
            return trunk.apply(own, one[None], train=False, **span)[span["until"]].reshape(-1)

        dense = np.asarray(jax.jit(jax.vmap(jax.jacrev(run)))(x), np.float64).reshape(2, -1, x[0].size)
        want = np.linalg.svd(dense, compute_uv=False)
        assert got.shape == want.shape
        assert want[:, 0].min() > 0.01
        np.testing.assert_allclose(got, want, rtol=0, atol=1e-4 * want.max())
        np.testing.assert_allclose(square, np.square(want).mean(1), rtol=0.15)


def test_at_the_start_batch_norm_has_the_statistics_of_the_examples(monkeypatch: pytest.MonkeyPatch) -> None:
    net, given = at_start(depth=4), {}

    def spectra(variables: Any, inputs: jax.Array, *, until: str, **_: Any) -> tuple[np.ndarray, np.ndarray]:
        given[until] = variables["batch_stats"], inputs
        return np.ones((len(inputs), 2, 1)), np.ones(len(inputs))

    monkeypatch.setattr(jacobian, "spectra", spectra)
    jacobian.measure(net, BENCH, examples=3)
    before = {kind: tree["trunk"] for kind, tree in net.averaged.items()}
    seen = net.batch(512)[0]
    want = statistics.estimate(before, seen, trunk=net.net.trunk, after="", until="main")
    endpoints: Any = net.net.trunk.apply(want, seen[:3], train=False)
    assert given.keys() == {"stem", "block1", "main"}
    for name, module, read in (("stem", "stem_norm", seen[:3]), ("block1", "block1", endpoints["stem"])):
        stats, inputs = given[name]
        assert stats.keys() == {module}
        jax.tree.map(np.testing.assert_array_equal, stats[module], want["batch_stats"][module])
        np.testing.assert_allclose(inputs, read, rtol=1e-5, atol=1e-5)
