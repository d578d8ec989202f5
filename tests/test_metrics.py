"""Masked sums and counts: any split of the examples gives the whole's mean."""

import math
from itertools import pairwise

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from selection import parametrize_sampled

from resjax import losses, metrics
from resjax.losses import Term
from resjax.metrics import Mean

RNG = np.random.default_rng(0)
VALUES = RNG.normal(5, 2, 12).astype(np.float32)
LOGITS = RNG.normal(size=(12, 4)).astype(np.float32)
LABELS = RNG.integers(0, 4, 12)


def outputs(part: slice) -> dict[str, jax.Array]:
    return {"main": jnp.asarray(LOGITS[part]), "early": jnp.asarray(-LOGITS[part])}


def targets(part: slice = slice(None)) -> dict[str, jax.Array]:
    return {"labels": jnp.asarray(LABELS[part])}


def test_a_mean_is_total_over_count() -> None:
    found = Mean.of(jnp.asarray(VALUES))
    assert float(found.count) == 12
    assert found.value() == pytest.approx(VALUES.astype(np.float64).mean(), rel=1e-6)


@pytest.mark.parametrize("hidden", [math.nan, math.inf, -math.inf, 1e38])
def test_masked_values_may_be_anything(hidden: float) -> None:
    padded = jnp.asarray([1.0, hidden, 3.0, hidden], jnp.float32)
    found = Mean.of(padded, jnp.asarray([True, False, True, False]))
    assert (float(found.total), float(found.count), found.value()) == (4, 2, 2)


def test_a_value_that_is_kept_and_not_a_number_is_not_hidden() -> None:
    assert math.isnan(Mean.of(jnp.asarray([1.0, math.nan])).value())


def test_truth_values_are_counted() -> None:
    found = Mean.of(jnp.asarray([True, False, True, True]), jnp.asarray([True, True, True, False]))
    assert found.value() == pytest.approx(2 / 3)
    assert found.total.dtype == found.count.dtype == jnp.float32


def test_a_mean_of_nothing_is_zero() -> None:
    assert Mean.zero().value() == 0
    assert Mean.of(jnp.asarray([math.nan]), jnp.asarray([False])).value() == 0


@parametrize_sampled("cuts", [(6,), (1, 7), (4, 4, 8), tuple(range(1, 12))], default=[(4, 4, 8)])
def test_parts_of_any_size_merge_to_the_whole(cuts: tuple[int, ...]) -> None:
    edges = [0, *cuts, 12]
    names = metrics.shapes(["main", "early"])
    merged = metrics.zeros(names)
    for start, end in pairwise(edges):
        part = slice(start, end)
        merged = metrics.merge(merged, metrics.measure(outputs(part), targets(part)))
    whole = metrics.values(metrics.measure(outputs(slice(None)), targets()))
    assert metrics.values(merged) == pytest.approx(whole, rel=1e-6)
    assert all(float(mean.count) == 12 for mean in merged.values())


def test_padding_changes_no_metric() -> None:
    padded = {
        name: jnp.concatenate([value, jnp.full((3, 4), jnp.nan)])
        for name, value in outputs(slice(None)).items()
    }
    labels = jnp.asarray(np.concatenate([LABELS, [0, 0, 0]]))
    found = metrics.measure(padded, {"labels": labels}, jnp.arange(15) < 12)
    whole = metrics.measure(outputs(slice(None)), targets())
    assert metrics.values(found) == pytest.approx(metrics.values(whole), rel=1e-6)


def test_each_output_has_loss_and_accuracy_and_main_has_no_prefix() -> None:
    found = metrics.values(metrics.measure(outputs(slice(None)), targets()))
    assert found.keys() == {"loss", "accuracy", "early/loss", "early/accuracy"}
    assert found.keys() == set(metrics.shapes(["main", "early"]))
    assert found["accuracy"] == pytest.approx((LOGITS.argmax(1) == LABELS).mean())
    assert found["early/accuracy"] == pytest.approx((LOGITS.argmin(1) == LABELS).mean())


def test_the_sums_are_those_of_the_same_code_under_jit() -> None:
    plain = metrics.measure(outputs(slice(None)), targets())
    compiled = jax.jit(metrics.measure)(outputs(slice(None)), targets())
    assert metrics.values(compiled) == pytest.approx(metrics.values(plain), rel=1e-6)


def test_each_output_is_measured_by_the_loss_that_trains_it() -> None:
    labels = jnp.asarray(LABELS)
    terms = {"early": Term("squared_hinge")}
    found = metrics.measure(outputs(slice(None)), targets(), terms=terms)
    early = losses.squared_hinge(jnp.asarray(-LOGITS), labels)
    assert found["early/loss"].value() == pytest.approx(float(early.mean()), rel=1e-6)
    assert found["loss"].value() == pytest.approx(
        float(losses.cross_entropy(jnp.asarray(LOGITS), labels).mean())
    )
