"""What every net of the bench is: a chain of named parts, which can be run from any of them to any other."""

from collections.abc import Callable, Collection

import flax.linen as nn
import jax
from jaxtyping import Array, Float

from resjax.errors import did_you_mean
from resjax.models.blocks import BoundLayers, Layers

MAIN = "main"  # the last part of every trunk: its output are the logits
Part = Callable[[Array], Array]


class Trunk(nn.Module):
    """A chain of parts; the output of each is an endpoint of the part's name, the last one's the logits.

    Heads and probes read endpoints, phases of training begin and end at them. A family of nets is a
    subclass that lists its parts; they make their layers when they are called.
    """

    classes: int
    layers: Layers

    def parts(self, layers: BoundLayers) -> list[tuple[str, Part]]:
        raise NotImplementedError

    @nn.compact
    def __call__(
        self,
        x: Float[Array, "b ..."],
        *,
        train: bool,
        cut: Collection[str] = (),
        after: str = "",
        until: str = MAIN,
    ) -> dict[str, Array]:
        """-> the endpoints of the parts behind `after`, up to and with `until`.

        Args:
          x: the image, or where `after` names an endpoint, the activations there.
          cut: endpoints where the gradient ends, so that what lies before is taught by the heads there alone.

        Raises:
          ValueError: there is no such endpoint, or `until` does not come behind `after`.
        """
        parts = self.parts(self.layers.bind(train))
        first, last = _span([name for name, _ in parts], after, until)
        endpoints = {}
        for name, part in parts[first : last + 1]:
            endpoints[name] = self.run_part(name, part, x)
            x = jax.lax.stop_gradient(endpoints[name]) if name in cut else endpoints[name]
        return endpoints

    def run_part(self, name: str, part: Part, x: Array) -> Array:
        """A method, so that `anatomy` can see where a part begins."""
        return part(x)


def _span(names: list[str], after: str, until: str) -> tuple[int, int]:
    for key, name in (("after", after), ("until", until)):
        if name not in names and (name or key == "until"):
            raise ValueError(f"{key} is '{name}', which this model does not have{did_you_mean(name, names)}")
    first = names.index(after) + 1 if after else 0
    if names.index(until) < first:
        raise ValueError(f"until is '{until}'; it must come behind after, '{after}'")
    return first, names.index(until)
