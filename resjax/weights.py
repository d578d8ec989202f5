"""The weight of each output's loss over training, computed on the host and passed to the step as arrays.

A weight is a head's `weight` times the value of its schedule at t / N, t the step and N how many there are.
"""

from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType

import numpy as np
from jaxtyping import Float32

from resjax.models.heads import Head
from resjax.models.trunk import MAIN

Share = Callable[[np.ndarray, float], np.ndarray]  # (t / N, epochs in N) -> factor


def constant(done: np.ndarray, epochs: float) -> np.ndarray:
    return np.ones_like(done)


def linear(done: np.ndarray, epochs: float) -> np.ndarray:
    """From 1 at the start to 0 at the end."""
    return 1 - done


def dsn(done: np.ndarray, epochs: float) -> np.ndarray:
    """0.1 * (1 - t / N), t in whole epochs: Lee et al. 2014 (1409.5185), as a survey quotes it."""
    return 0.1 * (1 - np.floor(done * epochs) / epochs)


def cnds(done: np.ndarray, epochs: float) -> np.ndarray:
    """Multiplied by (1 - t / N) at each epoch t of N, so a product: Wang et al. 2015 (1505.02496)."""
    factors = np.cumprod(1 - np.arange(int(np.ceil(epochs)) + 1) / epochs)
    return np.maximum(factors[np.floor(done * epochs).astype(int)], 0)


def warmup(done: np.ndarray, epochs: float) -> np.ndarray:
    """From 0.01 at the start, linearly, to 1 at the end (the shallow-deep nets of Kaya et al. 2019)."""
    return 0.01 + 0.99 * done


SCHEDULES: Mapping[str, Share] = MappingProxyType(
    {"constant": constant, "linear": linear, "dsn": dsn, "cnds": cnds, "warmup": warmup}
)


def at_steps(
    heads: Sequence[Head],
    first: int,
    steps: int,
    total: int,
    steps_per_epoch: float,
    *,
    main: bool = True,
    normalize: bool,
) -> dict[str, Float32[np.ndarray, " steps"]]:
    """-> {output: weight at each of `steps` steps from `first` on}; the main output, if it is there, has 1.

    With `normalize`, the weights of a step are divided by their sum.
    """
    done = np.arange(first, first + steps) / total
    epochs = total / steps_per_epoch
    found = {MAIN: np.ones(steps)} if main else {}
    for head in heads:
        found[head.name] = head.weight * SCHEDULES[head.schedule](done, epochs)
    scale = sum(found.values()) if normalize else 1.0
    return {name: (values / scale).astype(np.float32) for name, values in found.items()}
