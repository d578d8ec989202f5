"""The loss gradient at each step of a recurrent net: what reaches the states far back."""

from collections.abc import Mapping
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from resjax import checks
from resjax.device import Targets, Variables
from resjax.errors import UserError
from resjax.losses import Term
from resjax.models.heads import Net
from resjax.models.recurrent import NUDGES, Recurrent
from resjax.models.trunk import MAIN
from resjax.probes.bench import Bench, Point, Quantity, Subject

QUANTITIES = (
    Quantity(
        name="states", title="gradient of the state", x_label="step, from the first one",
        y_label="norm, RMS over examples (nats)", log=True,
    ),
    Quantity(
        name="share", title="gradient of the state, last step's = 1", x_label="steps back from the last one",
        y_label="ratio of norms (no unit)", log=True,
    ),
)  # fmt: skip


def measure(subject: Subject, bench: Bench, *, examples: int = 128) -> list[Point]:
    """Gradient of the main loss with respect to the state behind each step, on every way to the loss.

    On `examples` of the train split, not augmented. L is the mean of the main loss over the batch.

    - `states`: at step t, the root mean square over the b examples of ||dL_i / ds_i(t)||, which is
      sqrt(b) ||dL / ds(t)||. s is all that a step leaves to the next: h, and the memory c of an LSTM, whose
      norm is taken jointly. Where it is zero to the last bit, there is no point.
    - `share`: the same, divided by that of the last step, which the classifier reads.

    In plain recurrent nets it falls, or grows, about exponentially towards the first steps: Pascanu et al.
    2013 (1211.5063). A skip of delay d divides the length of the shortest way by d: Zhang et al. 2016
    (1602.08210), section 3, the recurrent skip coefficient.
    """
    checks.at_least(1, examples=examples)
    if not isinstance(subject.net.trunk, Recurrent) or subject.net.after or subject.net.until != MAIN:
        raise UserError(
            f"config.model.name is '{subject.config.model.name}', whose states do not go through time; it"
            " must be 'recurrent', and its whole net be trained"
        )
    inputs, targets = subject.batch(examples)
    term = subject.task.objective.terms[MAIN]
    steps = subject.anatomy.endpoints["states"][0]
    norms = jax.device_get(
        _norms(subject.variables, inputs, targets, net=subject.net, term=term, steps=steps)
    )  # fmt: skip
    found = [Point("states", "", x, f"step {x}", float(value)) for x, value in enumerate(norms, 1) if value]
    back = [
        Point("share", "", x, f"{x} back", float(value / norms[-1])) for x, value in enumerate(norms[::-1])
    ]
    return found + [point for point in back if point.value > 0]


@partial(jax.jit, static_argnames=("net", "term", "steps"))
def _norms(
    variables: Variables, inputs: Array, targets: Targets, *, net: Net, term: Term, steps: int
) -> Float[Array, " t"]:
    """-> sqrt(b) ||dL / ds(t)|| of every step, the states h first and the memories second."""

    def loss(nudges: Mapping[str, Any]) -> Float[Array, ""]:
        outputs: Any = net.apply({**variables, NUDGES: {"trunk": {"states": nudges}}}, inputs, train=False)
        return term.per_example(outputs[MAIN], targets[term.target]).mean()

    zeros = {"states": jnp.zeros((steps, 2, len(inputs), net.trunk.width))}  # pyright: ignore
    found = jax.grad(loss)(zeros)["states"]
    return jnp.sqrt(jnp.square(found).sum((1, 2, 3)) * len(inputs))
