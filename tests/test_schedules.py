"""The learning rate step by step, and what its section refuses."""

import math
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from resjax.optim import SCHEDULES, make_optimizer, make_schedule


def rates(steps_per_epoch: float = 1.0, **settings: Any) -> tuple[list[float], int]:
    """-> the rate of every step, and how many there are."""
    rate, total = make_schedule(steps_per_epoch, **{"unit": "steps", "learning_rate": 1.0, **settings})
    return [float(rate(i)) for i in range(total)], total


@pytest.mark.parametrize("name", SCHEDULES)
def test_every_schedule_trains_an_optimizer(name: str) -> None:
    rate, total = make_schedule(1.0, name=name, length=20, learning_rate=0.1)
    optimizer = make_optimizer(rate, {}, name="sgd")
    params: Any = {"kernel": jnp.float32(1.0)}
    state = optimizer.init(params)
    for _ in range(total):
        updates, state = optimizer.update(params, state, params)
        params = optax.apply_updates(params, updates)
    assert abs(float(params["kernel"])) < 0.5


@pytest.mark.parametrize("name", SCHEDULES)
def test_every_schedule_is_float32_positive_and_peaks_at_the_learning_rate(name: str) -> None:
    rate, total = make_schedule(1.0, name=name, length=30, learning_rate=0.25)
    found = jax.vmap(rate)(jnp.arange(total))
    assert found.dtype == jnp.float32
    assert float(found.max()) == pytest.approx(0.25)
    assert float(found.min()) > 0


def test_the_rate_drops_at_the_stated_steps_and_no_other() -> None:
    found, _ = rates(name="step", length=10, drops=(4, 7), factor=0.1)
    np.testing.assert_allclose(found, [1] * 4 + [0.1] * 3 + [0.01] * 3, rtol=1e-6)


def test_he_et_al_s_schedule_is_theirs_to_the_step() -> None:
    """0.01 for 400 steps, then 0.1 divided by 10 after 32k and 48k of 64k."""
    rate, total = make_schedule(
        390.625, name="step", unit="steps", length=64_000, learning_rate=0.1, drops=(32_000, 48_000),
        warmup=400, warmup_from=0.01, warmup_shape="constant",
    )  # fmt: skip
    assert total == 64_000
    at = [0, 399, 400, 31_999, 32_000, 47_999, 48_000, 63_999]
    want = [0.01, 0.01, 0.1, 0.1, 0.01, 0.01, 0.001, 0.001]
    np.testing.assert_allclose([float(rate(step)) for step in at], want, rtol=1e-6)


def test_cosine_goes_from_the_peak_to_its_final_share() -> None:
    rate, total = make_schedule(1.0, name="cosine", length=100, learning_rate=2.0, final=0.1)
    want = [2.0 * (0.1 + 0.9 * (1 + math.cos(math.pi * step / 100)) / 2) for step in range(101)]
    np.testing.assert_allclose([float(rate(step)) for step in range(total + 1)], want, rtol=1e-5)


def test_one_cycle_starts_peaks_and_ends_where_it_says() -> None:
    settings: dict[str, Any] = dict(rise=0.25, start=0.04, final=0.01)
    rate, _ = make_schedule(1.0, name="one_cycle", length=100, learning_rate=0.5, **settings)
    found = [float(rate(step)) for step in range(101)]
    np.testing.assert_allclose([found[0], found[25], found[100]], [0.02, 0.5, 0.005], rtol=1e-5)
    assert all(np.diff(found[:26]) > 0)
    assert all(np.diff(found[25:]) < 0)
    halfway = 0.5 * (1 - 0.96 * (1 + math.cos(math.pi * 10 / 25)) / 2)
    assert found[10] == pytest.approx(halfway, rel=1e-5)


def test_a_linear_warm_up_rises_evenly_and_the_schedule_counts_from_the_start() -> None:
    found, _ = rates(name="step", length=8, drops=(6,), warmup=4, warmup_from=0.2)
    np.testing.assert_allclose(found, [0.2, 0.4, 0.6, 0.8, 1, 1, 0.1, 0.1], rtol=1e-6)


def test_a_constant_warm_up_jumps() -> None:
    found, _ = rates(name="constant", length=5, warmup=2, warmup_from=0.25, warmup_shape="constant")
    np.testing.assert_allclose(found, [0.25, 0.25, 1, 1, 1])


@pytest.mark.parametrize(
    ("examples", "batch", "epochs", "steps"), [(1_437, 64, 30, 674), (50_000, 128, 1, 391), (10, 4, 0.5, 1)]
)
def test_epochs_become_the_nearest_number_of_steps(
    examples: int, batch: int, epochs: float, steps: int
) -> None:
    assert rates(examples / batch, name="constant", unit="epochs", length=epochs)[1] == steps


def test_drops_and_warm_up_are_in_epochs_too() -> None:
    """2.5 steps an epoch: 4 epochs are 10 steps, 1.6 and 2.8 are 4 and 7, 0.8 are 2."""
    settings: dict[str, Any] = dict(unit="epochs", length=4, drops=(1.6, 2.8), warmup=0.8, warmup_from=0.5)
    found, total = rates(2.5, name="step", warmup_shape="constant", **settings)
    assert total == 10
    np.testing.assert_allclose(found, [0.5] * 2 + [1] * 2 + [0.1] * 3 + [0.01] * 3, rtol=1e-6)
