"""Per-example losses by name; whoever calls them reduces."""

import dataclasses
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Literal

import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, Float, Int

Loss = Literal["cross_entropy", "squared_hinge"]


def cross_entropy(
    logits: Float[Array, "b k"], labels: Int[Array, " b"], label_smoothing: float = 0.0
) -> Float[Array, " b"]:
    """Softmax cross-entropy in nats, in float32; smoothing spreads its share evenly over all k classes."""
    targets = jax.nn.one_hot(labels, logits.shape[-1])
    smoothed = optax.smooth_labels(targets, label_smoothing)
    return optax.softmax_cross_entropy(logits.astype(jnp.float32), smoothed)


def squared_hinge(
    logits: Float[Array, "b k"], labels: Int[Array, " b"], label_smoothing: float = 0.0
) -> Float[Array, " b"]:
    """Sum over k one-vs-rest margins of max(0, 1 - t * logit)**2, t = +1 for the label and -1 for the rest.

    Lee et al. 2014 (1409.5185), the L2-SVM. Smoothing shrinks the targets t as it does probabilities.
    """
    targets = 2 * optax.smooth_labels(jax.nn.one_hot(labels, logits.shape[-1]), label_smoothing) - 1
    return jnp.square(jax.nn.relu(1 - targets * logits.astype(jnp.float32))).sum(-1)


LOSSES: Mapping[str, Callable[..., Float[Array, " b"]]] = MappingProxyType(
    {"cross_entropy": cross_entropy, "squared_hinge": squared_hinge}
)


@dataclasses.dataclass(frozen=True)
class Objective:
    """The weighted sum of the mean losses of all outputs.

    Attributes:
      losses: {output: kind}.
      gammas: {output: threshold}: a loss counts as max(0, loss - gamma), so that a companion teaches no
        longer once it is good enough (1409.5185, eq. 3).
    """

    losses: Mapping[str, str]
    gammas: Mapping[str, float]
    label_smoothing: float = 0.0

    def __call__(
        self,
        outputs: Mapping[str, Float[Array, "b k"]],
        labels: Int[Array, " b"],
        weights: Mapping[str, Float[Array, ""]],
    ) -> Float[Array, ""]:
        terms = []
        for name, logits in outputs.items():
            loss = LOSSES[self.losses[name]](logits, labels, self.label_smoothing).mean()
            gamma = self.gammas[name]
            terms.append(weights[name] * (jax.nn.relu(loss - gamma) if gamma else loss))
        return jnp.stack(terms).sum()
