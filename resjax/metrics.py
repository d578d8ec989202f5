"""Metrics as masked sums and counts, so that parts of any size add up to the exact mean."""

from collections.abc import Iterable, Mapping
from types import MappingProxyType

import jax
import jax.numpy as jnp
import numpy as np
from flax import struct
from jaxtyping import Array, Bool, Float, Int

from resjax.losses import Term, of_example
from resjax.models.trunk import MAIN


class Mean(struct.PyTreeNode):
    """A running mean: total and count, float32; counts are exact up to 2**24.

    Scalars, or one for each of k classes: then its value is the mean over the classes that were counted.
    """

    total: Float[Array, "*k"]
    count: Float[Array, "*k"]

    @classmethod
    def zero(cls, shape: tuple[int, ...] = ()) -> "Mean":
        return cls(jnp.zeros(shape, jnp.float32), jnp.zeros(shape, jnp.float32))

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
        if self.total.ndim == 0:
            return float(self.total) / max(float(self.count), 1.0)
        total, count = np.asarray(self.total, np.float64), np.asarray(self.count, np.float64)
        return float((total[count > 0] / count[count > 0]).mean()) if count.any() else 0.0


Metrics = dict[str, Mean]


def _key(output: str, name: str) -> str:
    """Metrics of the main output have no prefix."""
    return name if output == MAIN else f"{output}/{name}"


def shapes(
    outputs: Iterable[str], terms: Mapping[str, Term] = MappingProxyType({})
) -> dict[str, tuple[int, ...]]:
    """-> the keys that `measure` gives for outputs of these names, and what a sum of each is."""
    found: dict[str, tuple[int, ...]] = {}
    for output in outputs:
        found[_key(output, "loss")] = ()
        if is_classifier(output, terms):
            found[_key(output, "accuracy")] = ()
            classes = terms.get(output, Term()).pixel_classes
            found |= {_key(output, "iou"): (classes,)} if classes else {}
    return found


def is_classifier(output: str, terms: Mapping[str, Term]) -> bool:
    return terms.get(output, Term()).target == "labels"


def measure(
    outputs: Mapping[str, Float[Array, "b ..."]],
    targets: Mapping[str, Array],
    mask: Bool[Array, " b"] | None = None,
    terms: Mapping[str, Term] = MappingProxyType({}),
) -> Metrics:
    """Loss of every output, without smoothing, penalty or threshold, and the accuracy of the classifiers.

    Where pixels are labelled, accuracy is the share of them, and `iou` the mean over the classes of
    intersection over union, counted over the pixels of all examples (Long et al. 2015, 1411.4038, section 5).
    An output that `terms` does not name is a classifier with cross-entropy.
    """
    found = {}
    for output, value in outputs.items():
        term = terms.get(output, Term())
        found[_key(output, "loss")] = Mean.of(term.per_example(value, targets[term.target]), mask)
        if is_classifier(output, terms):
            guess, labels = value.argmax(-1), targets["labels"]
            found[_key(output, "accuracy")] = Mean.of(of_example(guess == labels), mask)
            if term.pixel_classes:
                found[_key(output, "iou")] = overlaps(guess, labels, term.pixel_classes, mask)
    return found


def overlaps(
    guess: Int[Array, "b *hw"], labels: Int[Array, "b *hw"], classes: int, mask: Bool[Array, " b"] | None
) -> Mean:
    """-> of each class the pixels of it that were found, and those that are of it, found to be, or both."""
    counted = jnp.ones_like(labels, bool)
    if mask is not None:
        counted &= mask.reshape(-1, *[1] * (labels.ndim - 1))
    found, true = (jax.nn.one_hot(each, classes, dtype=bool) & counted[..., None] for each in (guess, labels))
    axes = tuple(range(labels.ndim))
    return Mean((found & true).sum(axes, dtype=jnp.float32), (found | true).sum(axes, dtype=jnp.float32))


def zeros(shapes: Mapping[str, tuple[int, ...]]) -> Metrics:
    return {name: Mean.zero(shape) for name, shape in shapes.items()}


def merge(a: Metrics, b: Metrics) -> Metrics:
    return {name: a[name].merge(b[name]) for name in a}


def values(metrics: Metrics) -> dict[str, float]:
    """-> plain numbers; waits for the device."""
    return {name: mean.value() for name, mean in jax.device_get(metrics).items()}
