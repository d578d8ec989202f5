"""Per-example losses; whoever calls them reduces."""

import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, Float, Int


def cross_entropy(
    logits: Float[Array, "b k"], labels: Int[Array, " b"], label_smoothing: float = 0.0
) -> Float[Array, " b"]:
    """Softmax cross-entropy in nats, in float32; smoothing spreads its share evenly over all k classes."""
    targets = jax.nn.one_hot(labels, logits.shape[-1])
    smoothed = optax.smooth_labels(targets, label_smoothing)
    return optax.softmax_cross_entropy(logits.astype(jnp.float32), smoothed)
