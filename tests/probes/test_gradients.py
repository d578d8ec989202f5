"""Gradient norms against a linear net's in float64, and what the log of a run says of them."""

import json
from pathlib import Path
from typing import Any

import jax
import numpy as np
import pytest
from linear import linear_subject
from recipe import killed_and_resumed

from resjax import config as configs
from resjax.config import Config
from resjax.errors import UserError
from resjax.probes import gradients, history, subject
from resjax.probes.bench import Bench
from resjax.probes.findings import Point
from resjax.training import train

BENCH = Bench(Path())


def table(points: list[Point]) -> dict[tuple[str, str, str], float]:
    return {(point.quantity, point.line, point.name): point.value for point in points}


def norm(*arrays: np.ndarray) -> float:
    return float(np.sqrt(sum(np.square(array).sum() for array in arrays)))


def slope(logits: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """-> the gradient of the mean cross-entropy with respect to the logits."""
    p = np.exp(logits - logits.max(1, keepdims=True))
    return (p / p.sum(1, keepdims=True) - np.eye(10)[labels]) / len(labels)


def test_a_linear_net_s_gradients_are_those_of_the_formula(tiny: Config) -> None:
    found = linear_subject(tiny)
    x, targets = found.batch(32)
    p: Any = jax.tree.map(lambda leaf: np.asarray(leaf, np.float64), found.variables["params"])
    weights = [p["trunk"][f"{name}_dense"] for name in ("stem", "block1", "main")]
    head = p["head_early"]["classifier"]
    labels, values = np.asarray(targets["labels"]), [np.asarray(x, np.float64).reshape(32, -1)]
    for layer in weights:
        values.append(values[-1] @ layer["kernel"] + layer["bias"])
    ends = {
        "main": slope(values[3], labels),
        "early": slope(values[2] @ head["kernel"] + head["bias"], labels),
    }
    main = [
        ends["main"] @ weights[2]["kernel"].T @ weights[1]["kernel"].T,
        ends["main"] @ weights[2]["kernel"].T,
    ]
    early = [ends["early"] @ head["kernel"].T @ weights[1]["kernel"].T, ends["early"] @ head["kernel"].T]

    def of(parts: list[np.ndarray]) -> list[tuple[np.ndarray, np.ndarray]]:
        """-> gradients of kernel and bias of the layers that put these gradients out."""
        return [(values[i].T @ each, each.sum(0)) for i, each in enumerate(parts)]

    expected = {}
    for line, parts in (
        ("main", [*main, ends["main"]]),
        ("early", early),
        ("all, weighted", [a + 0.5 * b for a, b in zip(main, early, strict=True)] + [ends["main"]]),
    ):
        for name, part, pair in zip(("stem", "block1", "main"), parts, of(parts), strict=False):
            expected["activations", line, name] = norm(part) * 32**0.5
            expected["parameters", line, name] = norm(*pair)
    for name, a, b in zip(("stem", "block1"), of(main), of(early), strict=True):
        inner = sum((x * y).sum() for x, y in zip(a, b, strict=True))
        expected["cosine", "early", name] = inner / norm(*a) / norm(*b)
    got = table(gradients.measure(found, BENCH, examples=32))
    assert got.keys() == expected.keys()
    for key, value in expected.items():
        assert got[key] == pytest.approx(value, rel=2e-5), key


def test_without_heads_there_is_the_main_loss_alone(tiny: Config) -> None:
    (found,) = subject.at_start("a", tiny, 1)
    assert {point.line for point in gradients.measure(found, BENCH, examples=16)} == {"main"}


def watched(config: Config, every: int = 5, **changes: Any) -> Config:
    watch = {"name": "gradients", "every": every, "examples": 20}
    flags = [f"--config.{key.replace('__', '.')}={value}" for key, value in changes.items()]
    return configs.override({**config.to_dict(), "probes": (watch,)}, flags)


def test_a_run_logs_its_gradients_and_is_the_same_run(tiny: Config, finished: Path, tmp_path: Path) -> None:
    """The last line is what the probe finds in the last checkpoint."""
    bare = json.loads((finished / "result.json").read_text())
    seen = train(watched(tiny, every=4), tmp_path / "seen")
    assert bare["state_sha256"] == seen["state_sha256"]
    assert bare["curve"] == seen["curve"]
    logged = table(history.read(tmp_path / "seen", "gradients"))
    steps = {point.x for point in history.read(tmp_path / "seen", "gradients")}
    assert steps == {0, 4, 8, 12}
    final = subject.of_run("run", tmp_path / "seen")
    points = gradients.measure(final, BENCH, examples=20)
    for point in (point for point in points if point.quantity != history.HISTORY):
        key = (history.HISTORY, f"{point.quantity}/{point.line}", point.name)
        assert logged[key] == pytest.approx(point.value, rel=1e-6)
    assert [point for point in points if point.quantity == history.HISTORY]


@pytest.mark.slow
def test_a_resumed_run_logs_the_same_gradients(
    tiny: Config, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = watched(tiny, every=3, train__checkpoint_every=4)
    train(config, tmp_path / "whole")
    killed_and_resumed(config, tmp_path / "stopped", 8, monkeypatch)
    logs = [(tmp_path / name / "metrics.jsonl").read_text().splitlines() for name in ("whole", "stopped")]
    assert [json.loads(line) for line in logs[0]] == [json.loads(line) for line in logs[1]]


@pytest.mark.slow
def test_the_history_is_drawn(tiny: Config, tmp_path: Path) -> None:
    from resjax import probing
    from resjax.progress import Display

    train(watched(tiny), tmp_path / "run")
    nets = probing.subjects([str(tmp_path / "run")], [], "last", 1)
    probing.probe("gradients", nets, {"examples": 20}, tmp_path / "out", Display(quiet=True))
    assert (tmp_path / "out/gradients-history.png").stat().st_size > 10_000


def test_examples_that_do_not_fill_the_groups_of_batch_norm_are_refused(tiny: Config, tmp_path: Path) -> None:
    from resjax import probing
    from resjax.progress import Display

    config = configs.override(tiny, ["--config.model.norm_examples=50"])
    watched = configs.override({**config.to_dict(), "probes": ({"name": "gradients", "examples": 30},)}, ())
    with pytest.raises(UserError, match=r"config\.probes\[0\]\.examples is 30"):
        train(watched, tmp_path / "run")
    nets = subject.at_start("net", config, 1)
    with pytest.raises(UserError, match=r"--probe\.examples is 30"):
        probing.measure("gradients", nets, {"examples": 30}, tmp_path, Display(quiet=True))
