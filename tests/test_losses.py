"""Losses against float64 NumPy."""

from typing import get_args, get_type_hints

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from resjax.losses import Term, cross_entropy, squared_hinge
from resjax.models.heads import CLASS_LOSSES, Head


def exact(logits: np.ndarray, labels: np.ndarray, smoothing: float = 0.0) -> np.ndarray:
    """The definition: - sum over classes of target * log(softmax)."""
    shifted = logits - logits.max(1, keepdims=True)
    log_softmax = shifted - np.log(np.exp(shifted).sum(1, keepdims=True))
    targets = np.full(logits.shape, smoothing / logits.shape[1])
    targets[np.arange(len(labels)), labels] += 1 - smoothing
    return -(targets * log_softmax).sum(1)


def example(scale: float = 3.0) -> tuple[jax.Array, jax.Array]:
    rng = np.random.default_rng(0)
    return jnp.asarray(rng.normal(0, scale, (7, 5)), jnp.float32), jnp.asarray(rng.integers(0, 5, 7))


@pytest.mark.parametrize("smoothing", [0.0, 0.1, 0.9])
@pytest.mark.parametrize("scale", [0.0, 1.0, 30.0])
def test_it_is_the_definition(smoothing: float, scale: float) -> None:
    logits, labels = example(scale)
    want = exact(np.asarray(logits, np.float64), np.asarray(labels), smoothing)
    np.testing.assert_allclose(cross_entropy(logits, labels, smoothing), want, rtol=2e-6, atol=2e-6)


@pytest.mark.parametrize("smoothing", [0.0, 0.1])
def test_huge_logits_give_finite_losses_and_gradients(smoothing: float) -> None:
    logits, labels = jnp.asarray([[1e4, -1e4, 0.0], [1e30, 0.0, -1e30]], jnp.float32), jnp.asarray([0, 0])
    want = exact(np.asarray(logits, np.float64), np.asarray(labels), smoothing)
    np.testing.assert_allclose(cross_entropy(logits, labels, smoothing), want, rtol=1e-6)
    gradient = jax.grad(lambda x: cross_entropy(x, labels, smoothing).sum())(logits)
    assert np.isfinite(gradient).all()


def test_equal_logits_cost_the_logarithm_of_the_number_of_classes() -> None:
    loss = cross_entropy(jnp.zeros((2, 10)), jnp.asarray([3, 9]))
    np.testing.assert_allclose(loss, np.log(10), rtol=1e-6)


def test_the_gradient_is_softmax_minus_target() -> None:
    logits, labels = example()
    gradient = jax.grad(lambda x: cross_entropy(x, labels, 0.1).sum())(logits)
    exponentials = np.exp(np.asarray(logits, np.float64))
    softmax = exponentials / exponentials.sum(1, keepdims=True)
    targets = 0.9 * np.eye(5)[np.asarray(labels)] + 0.1 / 5
    np.testing.assert_allclose(gradient, softmax - targets, atol=1e-6)


def test_it_is_float32_whatever_the_logits_are() -> None:
    logits, labels = example()
    narrow = logits.astype(jnp.bfloat16)
    loss = cross_entropy(narrow, labels)
    assert loss.dtype == jnp.float32
    want = exact(np.asarray(narrow, np.float64), np.asarray(labels))
    np.testing.assert_allclose(loss, want, rtol=2e-6, atol=2e-6)


def test_each_example_has_its_own_loss() -> None:
    logits, labels = example()
    one_by_one = [cross_entropy(logits[i : i + 1], labels[i : i + 1])[0] for i in range(7)]
    np.testing.assert_allclose(cross_entropy(logits, labels), np.asarray(one_by_one), rtol=1e-6)


@pytest.mark.parametrize("smoothing", [0.0, 0.2])
def test_the_squared_hinge_sums_over_one_margin_for_each_class(smoothing: float) -> None:
    logits, labels = example()
    probabilities = (1 - smoothing) * np.eye(5)[np.asarray(labels)] + smoothing / 5
    margins = 1 - (2 * probabilities - 1) * np.asarray(logits, np.float64)
    want = (np.maximum(margins, 0) ** 2).sum(1)
    np.testing.assert_allclose(squared_hinge(logits, labels, smoothing), want, rtol=1e-5)


@pytest.mark.parametrize("name", get_args(get_type_hints(Head)["loss"]))
def test_every_loss_falls_along_its_gradient_and_stays_finite_at_large_logits(name: str) -> None:
    logits = jnp.asarray([[0.5, 0.2, -1], [1, 0, 0]], jnp.float32)
    target = jnp.asarray([0, 2]) if name in CLASS_LOSSES else -logits  # what a teacher says

    def mean(logits: jax.Array) -> jax.Array:
        return Term(name).per_example(logits, target, 0.1).mean()

    assert mean(logits - 0.05 * jax.grad(mean)(logits)) < mean(logits)
    assert np.isfinite(jax.grad(mean)(1e4 * logits)).all()
