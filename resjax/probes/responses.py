"""Standard deviations of layer responses: how much each layer of a net does."""

from collections import OrderedDict
from functools import partial
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Float

from resjax import checks
from resjax.device import Variables
from resjax.models.excitation import SqueezeExcitation
from resjax.models.norm import BatchNormReLU
from resjax.models.ode import Flow
from resjax.models.shortcuts import ProjectionShortcut, ShortcutGate
from resjax.models.trunk import MAIN, Trunk
from resjax.models.units import Unit
from resjax.probes import statistics
from resjax.probes.bench import Bench, Point, Quantity, Subject

QUANTITIES = (
    Quantity(
        name="std", title="responses in the layers' order", x_label="layer, from the image",
        y_label="standard deviation (no unit)",
    ),
    Quantity(
        name="sorted", title="responses by their size", x_label="rank of the layer",
        y_label="standard deviation (no unit)",
    ),
)  # fmt: skip
LAYERS = (nn.Conv, nn.Dense)
BESIDE = (ProjectionShortcut, ShortcutGate, SqueezeExcitation)  # whose layers are not the net's own
NORMS = (nn.BatchNorm, nn.GroupNorm, nn.LayerNorm, BatchNormReLU)


def measure(subject: Subject, bench: Bench, *, examples: int = 512) -> list[Point]:
    """Standard deviation of the response of each layer.

    The response of a convolution or dense layer is its output behind the norm that follows it, before
    any ReLU or addition: (b, h, w, c) or (b, c). The standard deviation is one number for a layer, over the
    examples, pixels and channels together.

    - `std`: by the layer's number from the image on.
    - `sorted`: the same numbers from the largest to the smallest; over seeds, means of a rank.

    Left out: the layer that gives the logits, what lies on shortcuts (projections, gates),
    squeeze-and-excitation, and the one block of an `ode_net` by `euler` or `dopri5`, which responds anew at
    every evaluation. Where a unit's order has no norm between its last layer and the addition
    (pre-activation, norm after addition), that layer's output is taken as it is, in the plain twin too; a net
    without norms gives outputs as they are.

    On `examples` of the train split, not augmented, as evaluation runs the net: all branches are there, times
    their probability, and batch norm has its running statistics, moving averages where there are any. At step
    0, where those are no estimates yet, it has the statistics of this batch: then a layer with a norm
    behind it has nearly 1, whatever the net.

    He et al. 2015 (1512.03385), section 4.2 and figure 7, of 3 x 3 layers: residual nets respond less than
    plain ones, and deeper ones less in each layer. The paper does not say over what the deviation is taken.
    """
    checks.at_least(2, examples=examples)
    inputs, _ = subject.batch(examples)
    net, variables = subject.net, statistics.fixed(subject, inputs)
    found = jax.device_get(deviations(variables, inputs, trunk=net.trunk, after=net.after, until=net.until))
    points = [Point("std", "", x, name, float(value)) for x, (name, value) in enumerate(found.items(), 1)]
    ranked = sorted(map(float, found.values()), reverse=True)
    return points + [Point("sorted", "", x, f"rank {x}", value) for x, value in enumerate(ranked, 1)]


@partial(jax.jit, static_argnames=("trunk", "after", "until"))
def deviations(
    variables: Variables, inputs: Float[Array, "b ..."], *, trunk: Trunk, after: str, until: str
) -> OrderedDict[str, Float[Array, ""]]:
    """-> {layer: standard deviation of its response}, in the order of the calls."""
    listener = _Listener()
    with nn.intercept_methods(listener):
        trunk.apply(variables, inputs, train=False, after=after, until=until)
    if until == MAIN:
        listener.responses.popitem()  # the logits, or what is averaged to them
    return OrderedDict(
        (name, value.astype(jnp.float32).std()) for name, value in listener.responses.items()
    )  # fmt: skip


class _Listener:
    """Hears every layer and every norm while a net is traced.

    Attributes:
      within: a block is run that is applied again and again.
      bare: layers' outputs that may still meet their norm, which reads just that array.
    """

    def __init__(self) -> None:
        self.responses: OrderedDict[str, Array] = OrderedDict()
        self.within = False
        self.bare: list[tuple[Array, str]] = []

    def __call__(self, call: Any, args: Any, kwargs: Any, context: Any) -> Any:
        module = context.module
        self.within |= isinstance(module, Flow)
        found = call(*args, **kwargs)
        self.within &= not isinstance(module, Flow)
        if context.method_name != "__call__" or self.within:
            return found
        if isinstance(module, LAYERS) and not isinstance(module.parent, BESIDE):
            name = "/".join(module.path)
            self.responses[name] = found
            if not _is_added(module):
                self.bare.append((found, name))
        elif isinstance(module, NORMS):
            for name in (name for output, name in self.bare if output is args[0]):
                self.responses[name] = _normalized(module, args[0], found)
        return found


def _is_added(layer: nn.Module) -> bool:
    """-> whether it is the last of a unit in which no norm comes before the addition."""
    unit = layer.parent
    return isinstance(unit, Unit) and not unit.normed and layer.name == unit.branch[-1][0]


def _normalized(norm: nn.Module, x: Array, found: Array) -> Array:
    """-> what a norm gives, without the addition and the ReLU that `BatchNormReLU` does as well."""
    if not isinstance(norm, BatchNormReLU):
        return found
    affine, running = norm.variables["params"], norm.variables["batch_stats"]
    factor = affine["scale"] * lax.rsqrt(running["var"] + norm.epsilon)
    spread = partial(jnp.broadcast_to, shape=x.shape)
    return (x.astype(factor.dtype) - spread(running["mean"])) * spread(factor) + spread(affine["bias"])
