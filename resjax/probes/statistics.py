"""Batch norm with fixed statistics: a run's own, and at the start of training those of one batch."""

from functools import partial
from typing import Any

import flax.linen as nn
import jax
from jaxtyping import Array, Float

from resjax.device import Variables
from resjax.models.norm import BatchNormReLU
from resjax.models.trunk import Trunk
from resjax.probes.subject import Subject

EXAMPLES = 512  # of the train split, where a probe itself reads fewer than statistics need


def fixed(subject: Subject, inputs: Float[Array, "b ..."]) -> Variables:
    """-> the trunk's variables as evaluation uses them.

    At step 0 the running statistics are no estimates yet, but zeros and ones: the mean and the biased
    variance of this batch, `inputs` as the net reads them, stand in for them.
    """
    own = subject.evaluated_trunk
    if subject.step or "batch_stats" not in own:
        return own
    net = subject.net
    return estimate(own, inputs, trunk=net.trunk, after=net.after, until=net.until)


@partial(jax.jit, static_argnames=("trunk", "after", "until"))
def estimate(
    variables: Variables, inputs: Float[Array, "b ..."], *, trunk: Trunk, after: str, until: str
) -> Variables:
    """-> the trunk's variables with the statistics of a batch, all else as in evaluation.

    So no branch and no activation is dropped, and each norm sees what norms of fixed statistics before it
    give; then evaluation of the same batch gives what training mode would give without randomness.
    """
    with nn.intercept_methods(_take):
        _, changed = trunk.apply(
            variables, inputs, train=False, after=after, until=until, mutable=["batch_stats"]
        )
    return {**variables, **changed}


def _take(call: Any, args: Any, kwargs: Any, context: Any) -> Any:
    """A norm takes the batch's statistics for its running ones, and normalises by them."""
    module = context.module
    if not isinstance(module, nn.BatchNorm | BatchNormReLU) or not module.path:  # none: the clone below
        return call(*args, **kwargs)
    batch = {"train": True} if isinstance(module, BatchNormReLU) else {"use_running_average": False}
    twin = module.clone(parent=None, name=None, momentum=0.0, **batch)  # keeps nothing of the old ones
    found, new = twin.apply(module.variables, *args, **kwargs, mutable=["batch_stats"])
    for name, value in new["batch_stats"].items():
        module.put_variable("batch_stats", name, value)
    return found
