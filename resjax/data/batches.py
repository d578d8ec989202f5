"""Which examples a step sees: pure functions of (seed, step), numpy only."""

import functools

import numpy as np
from jaxtyping import Bool, Int32


@functools.lru_cache(maxsize=2)  # consecutive batches share an epoch, or straddle two
def epoch_order(size: int, seed: int, epoch: int) -> Int32[np.ndarray, " n"]:
    """The permutation of `range(size)` that epoch number `epoch` goes through."""
    order = np.random.default_rng([seed, epoch]).permutation(size).astype(np.int32)
    order.flags.writeable = False
    return order


def train_batches(
    size: int, batch_size: int, seed: int, first_step: int, steps: int
) -> Int32[np.ndarray, "steps b"]:
    """Indices of the examples of `steps` batches from step `first_step` on.

    Epochs follow one another without a gap: a batch may hold the end of one and the start of the next,
    so that every example comes exactly once an epoch and no remainder is dropped.
    """
    first, last = first_step * batch_size, (first_step + steps) * batch_size
    epochs = range(first // size, (last - 1) // size + 1)
    stream = np.concatenate([epoch_order(size, seed, epoch) for epoch in epochs])
    start = first - epochs[0] * size
    return stream[start : start + last - first].reshape(steps, batch_size)


def eval_batches(size: int, batch_size: int) -> tuple[Int32[np.ndarray, "k b"], Bool[np.ndarray, "k b"]]:
    """Indices that cover `range(size)` once in batches of one size, and a mask that is False on padding."""
    batches = -(-size // batch_size)
    index = np.arange(batches * batch_size, dtype=np.int32)
    mask = index < size
    return np.where(mask, index, 0).reshape(batches, -1), mask.reshape(batches, -1)
