"""Per-example losses by name; whoever calls them reduces."""

import dataclasses
from collections.abc import Mapping
from types import MappingProxyType
from typing import Literal

import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, Float, Int, Shaped

Loss = Literal["cross_entropy", "squared_hinge"]


def cross_entropy(
    logits: Float[Array, "b *hw k"], labels: Int[Array, "b *hw"], label_smoothing: float = 0.0
) -> Float[Array, " b"]:
    """Softmax cross-entropy in nats, in float32, the mean over an example's pixels where those are labelled.

    Smoothing spreads its share evenly over all k classes.
    """
    targets = jax.nn.one_hot(labels, logits.shape[-1])
    smoothed = optax.smooth_labels(targets, label_smoothing)
    return of_example(optax.softmax_cross_entropy(logits.astype(jnp.float32), smoothed))


def squared_hinge(
    logits: Float[Array, "b *hw k"], labels: Int[Array, "b *hw"], label_smoothing: float = 0.0
) -> Float[Array, " b"]:
    """Sum over k one-vs-rest margins of max(0, 1 - t * logit)**2, t = +1 for the label and -1 for the rest.

    Lee et al. 2014 (1409.5185), the L2-SVM. Smoothing shrinks the targets t as it does probabilities.
    """
    targets = 2 * optax.smooth_labels(jax.nn.one_hot(labels, logits.shape[-1]), label_smoothing) - 1
    return of_example(jnp.square(jax.nn.relu(1 - targets * logits.astype(jnp.float32))).sum(-1))


def of_example(values: Shaped[Array, "b *hw"]) -> Shaped[Array, " b"]:
    """-> means over each example's pixels; what is one number of each already, as it is."""
    return values.mean(range(1, values.ndim), dtype=jnp.float32) if values.ndim > 1 else values


def squared_error(output: Float[Array, "b *shape"], target: Float[Array, "b *shape"]) -> Float[Array, " b"]:
    """Mean over the activations of an example, so that it does not grow with their number."""
    difference = output.astype(jnp.float32) - target.astype(jnp.float32)
    return jnp.square(difference).reshape(len(difference), -1).mean(-1)


def distillation(
    logits: Float[Array, "b k"], teacher: Float[Array, "b k"], temperature: float = 1.0
) -> Float[Array, " b"]:
    """Cross-entropy in nats to the teacher's softmax, both logits divided by the temperature.

    Romero et al. 2015 (1412.6550), eq. 2; Hinton et al. 2015 (1503.02531) multiply by the temperature's
    square, which here is the weight's business.
    """
    soft = jax.nn.softmax(teacher.astype(jnp.float32) / temperature)
    return optax.softmax_cross_entropy(logits.astype(jnp.float32) / temperature, soft)


@dataclasses.dataclass(frozen=True)
class Term:
    """What becomes of one output.

    Attributes:
      loss: its kind.
      target: name of its target; accuracy is measured where that is `labels`.
      gamma: threshold: it counts as max(0, loss - gamma), so that a companion teaches no longer once it is
        good enough (1409.5185, eq. 3).
      penalty: factor of the squared norm of its head's kernels, inside the threshold.
      temperature: of distillation.
      pixel_classes: how many classes its pixels may have; 0: labels are of images.
    """

    loss: str = "cross_entropy"
    target: str = "labels"
    gamma: float = 0.0
    penalty: float = 0.0
    temperature: float = 1.0
    pixel_classes: int = 0

    def per_example(self, output: Array, target: Array, label_smoothing: float = 0.0) -> Float[Array, " b"]:
        if self.loss == "squared_error":
            return squared_error(output, target)
        if self.loss == "distillation":
            return distillation(output, target, self.temperature)
        kind = {"cross_entropy": cross_entropy, "squared_hinge": squared_hinge}[self.loss]
        return kind(output, target, label_smoothing)


@dataclasses.dataclass(frozen=True)
class Objective:
    """The weighted sum of the mean losses of all outputs; `terms` says for each what it is."""

    terms: Mapping[str, Term]
    label_smoothing: float = 0.0

    def __call__(
        self,
        outputs: Mapping[str, Float[Array, "b ..."]],
        targets: Mapping[str, Array],
        weights: Mapping[str, Float[Array, ""]],
        squared_norms: Mapping[str, Float[Array, ""]] = MappingProxyType({}),
    ) -> Float[Array, ""]:
        """`squared_norms` are those of the heads that have a penalty, by output."""
        found = []
        for name, output in outputs.items():
            term = self.terms[name]
            loss = term.per_example(output, targets[term.target], self.label_smoothing).mean()
            if term.penalty:
                loss = loss + term.penalty * squared_norms[name]
            found.append(weights[name] * (jax.nn.relu(loss - term.gamma) if term.gamma else loss))
        return jnp.stack(found).sum()
