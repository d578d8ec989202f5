"""Metrics as masked sums and counts, so that parts of any size add up to the exact mean."""

from collections.abc import Iterable, Mapping
from types import MappingProxyType

import jax
import jax.numpy as jnp
from flax import struct
from jaxtyping import Array, Bool, Float

from resjax.losses import Term
from resjax.models.trunk import MAIN


class Mean(struct.PyTreeNode):
    """A running mean: total and count, float32 scalars; counts are exact up to 2**24."""

    total: Float[Array, ""]
    count: Float[Array, ""]

    @classmethod
    def zero(cls) -> "Mean":
        return cls(jnp.zeros((), jnp.float32), jnp.zeros((), jnp.float32))

    @classmethod
    def of(cls, values: Array, mask: Bool[Array, " b"] | None = None) -> "Mean":
        """The mean of `values` where `mask` is True; masked values may be anything, even NaN."""
        if mask is None:
            mask = jnp.ones(values.shape, bool)
        kept = jnp.where(mask, values.astype(jnp.float32), 0)
        return cls(kept.sum(), mask.sum(dtype=jnp.float32))

    def merge(self, other: "Mean") -> "Mean":
        return Mean(self.total + other.total, self.count + other.count)

    def value(self) -> float:
        return float(self.total) / max(float(self.count), 1.0)


Metrics = dict[str, Mean]


def _key(output: str, name: str) -> str:
    """Metrics of the main output have no prefix."""
    return name if output == MAIN else f"{output}/{name}"


def metric_names(outputs: Iterable[str], terms: Mapping[str, Term] = MappingProxyType({})) -> list[str]:
    """-> the keys that `measure` gives for outputs of these names."""
    kinds = {output: ["loss", *(["accuracy"] if is_classifier(output, terms) else [])] for output in outputs}
    return [_key(output, kind) for output, names in kinds.items() for kind in names]


def is_classifier(output: str, terms: Mapping[str, Term]) -> bool:
    return terms.get(output, Term()).target == "labels"


def measure(
    outputs: Mapping[str, Float[Array, "b ..."]],
    targets: Mapping[str, Array],
    mask: Bool[Array, " b"] | None = None,
    terms: Mapping[str, Term] = MappingProxyType({}),
) -> Metrics:
    """Loss of every output, without smoothing, penalty or threshold, and the accuracy of the classifiers.

    An output that `terms` does not name is a classifier with cross-entropy.
    """
    found = {}
    for output, value in outputs.items():
        term = terms.get(output, Term())
        found[_key(output, "loss")] = Mean.of(term.per_example(value, targets[term.target]), mask)
        if is_classifier(output, terms):
            found[_key(output, "accuracy")] = Mean.of(value.argmax(-1) == targets["labels"], mask)
    return found


def zeros(names: Iterable[str]) -> Metrics:
    return {name: Mean.zero() for name in names}


def merge(a: Metrics, b: Metrics) -> Metrics:
    return {name: a[name].merge(b[name]) for name in a}


def values(metrics: Metrics) -> dict[str, float]:
    """-> plain numbers; waits for the device."""
    return {name: mean.value() for name, mean in jax.device_get(metrics).items()}
