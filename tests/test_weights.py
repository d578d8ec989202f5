"""The weight of a head's loss over training."""

from collections.abc import Callable

import numpy as np
import pytest

from resjax import weights
from resjax.models.heads import Head


def course(schedule: str, *, normalize: bool = False, weight: float = 0.5) -> dict[str, np.ndarray]:
    """-> weights at each of 100 steps, ten epochs."""
    head = Head(name="a", endpoint="stem", weight=weight, schedule=schedule)  # type: ignore[arg-type]
    return weights.at_steps([head], 0, 100, 100, 10.0, normalize=normalize)


@pytest.mark.parametrize(
    ("schedule", "expected"),
    [
        ("constant", lambda t: 0.5),
        ("linear", lambda t: 0.5 * (1 - t / 100)),
        ("dsn", lambda t: 0.5 * 0.1 * (1 - (t // 10) / 10)),
        ("cnds", lambda t: 0.5 * np.prod([1 - e / 10 for e in range(t // 10 + 1)])),
        ("warmup", lambda t: 0.5 * (0.01 + 0.99 * t / 100)),
    ],
)
def test_schedules_are_their_formulas(schedule: str, expected: Callable[[int], float]) -> None:
    np.testing.assert_allclose(course(schedule)["a"], [expected(t) for t in range(100)], rtol=1e-6)


def test_every_schedule_is_listed_as_a_choice_of_a_head() -> None:
    import typing

    hint = typing.get_type_hints(Head)["schedule"]
    assert set(typing.get_args(hint)) == set(weights.SCHEDULES)


def test_the_main_loss_has_weight_one_and_normalised_weights_sum_to_one() -> None:
    np.testing.assert_array_equal(course("linear")["main"], np.ones(100))
    found = course("linear", normalize=True)
    np.testing.assert_allclose(found["main"] + found["a"], 1, rtol=1e-6)
    np.testing.assert_allclose(found["a"] / found["main"], course("linear")["a"], rtol=1e-6)


def test_a_later_piece_is_that_piece_of_the_whole() -> None:
    head = Head(name="a", endpoint="stem", schedule="cnds")
    piece = weights.at_steps([head], 40, 7, 100, 10.0, normalize=False)["a"]
    whole = weights.at_steps([head], 0, 100, 100, 10.0, normalize=False)["a"]
    np.testing.assert_array_equal(piece, whole[40:47])
