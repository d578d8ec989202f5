"""The order of examples, pinned; every example once an epoch and once an evaluation."""

import numpy as np
import pytest

from resjax.data.batches import epoch_order, eval_batches, train_batches

SIZES = [(10, 3), (10, 10), (1, 1), (7, 2), (100, 99), (12, 4), (5, 1)]


def test_the_order_is_as_ever() -> None:
    """Golden: another order would change every result, and no resumed run would end with the same bits."""
    first, second = (epoch_order(50_000, 0, epoch)[:8].tolist() for epoch in (0, 1))
    assert first == [25461, 5892, 10377, 28814, 9578, 43565, 28804, 22391]
    assert second == [48816, 23726, 42675, 23406, 38390, 33293, 31921, 21028]


def test_the_first_batch_starts_with_the_first_epoch_s_order() -> None:
    assert train_batches(50_000, 128, 0, 0, 1)[0, :2].tolist() == [25461, 5892]


def test_every_epoch_is_a_permutation_of_its_own() -> None:
    orders = [epoch_order(1437, seed, epoch) for seed in (0, 1) for epoch in (0, 1, 500)]
    for order in orders:
        np.testing.assert_array_equal(np.sort(order), np.arange(1437))
    assert len({order.tobytes() for order in orders}) == len(orders)


def test_an_order_cannot_be_changed_by_whoever_holds_it() -> None:
    with pytest.raises(ValueError, match="read-only"):
        epoch_order(10, 0, 0)[0] = 3


@pytest.mark.parametrize(("size", "batch_size"), SIZES)
def test_batches_straddle_epochs_and_hold_every_example_once_in_each(size: int, batch_size: int) -> None:
    epochs = 4
    steps = -(-epochs * size // batch_size)
    stream = train_batches(size, batch_size, 3, 0, steps).ravel()
    for epoch in range(epochs):
        part = stream[epoch * size : (epoch + 1) * size]
        np.testing.assert_array_equal(part, epoch_order(size, 3, epoch))


@pytest.mark.parametrize(("size", "batch_size"), SIZES)
@pytest.mark.parametrize("pieces", [(1,) * 23, (23,), (2, 20, 1), (7, 7, 9)], ids=str)
def test_pieces_are_the_whole(size: int, batch_size: int, pieces: tuple[int, ...]) -> None:
    """A resumed run asks for other pieces than one that was not stopped."""
    whole = train_batches(size, batch_size, 0, 5, 23)
    starts = 5 + np.cumsum((0, *pieces))
    parts = [
        train_batches(size, batch_size, 0, int(start), count)
        for start, count in zip(starts, pieces, strict=False)
    ]
    np.testing.assert_array_equal(np.concatenate(parts), whole)


@pytest.mark.parametrize("batch_size", [*range(1, 13), 359, 360, 361, 720, 1000])
@pytest.mark.parametrize("size", [1, 2, 11, 12, 360])
def test_evaluation_covers_every_example_once(size: int, batch_size: int) -> None:
    index, mask = eval_batches(size, batch_size)
    assert index.shape == mask.shape == (-(-size // batch_size), batch_size)
    np.testing.assert_array_equal(index[mask], np.arange(size))
    assert ((index >= 0) & (index < size)).all()  # padding points at an example, never outside
