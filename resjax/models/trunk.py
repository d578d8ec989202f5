"""What every net of the bench is: a chain of named parts, which can be run from any of them to any other."""

from collections.abc import Callable, Collection, Mapping
from typing import Any, Literal, cast

import flax.linen as nn
import jax
from jaxtyping import Array, Float

from resjax.errors import did_you_mean
from resjax.models.blocks import BoundLayers, Layers
from resjax.models.convolution import SAVED

MAIN = "main"  # the last part of every trunk: its output are the logits
Part = Callable[..., Array]  # from the output of the part before, and of one further back where it reads that
_POLICIES = jax.checkpoint_policies
Remat = Literal["none", "norms", "units"]
POLICIES: dict[str, Any] = {
    "norms": _POLICIES.save_from_both_policies(
        _POLICIES.save_only_these_names(SAVED), _POLICIES.dots_with_no_batch_dims_saveable
    ),
    "units": None,  # nothing but their inputs
}


class Trunk(nn.Module):
    """A chain of parts; the output of each is an endpoint of the part's name, the last one's the logits.

    Heads and probes read endpoints, phases of training begin and end at them. A family of nets is a
    subclass that lists its parts; they make their layers when they are called.
    """

    classes: int
    layers: Layers

    def parts(self, layers: BoundLayers) -> list[tuple[str, Part]]:
        raise NotImplementedError

    def chains(self) -> list[tuple[str, ...]]:
        """-> names of parts that follow each other, draw nothing and differ in their arrays' values only."""
        return []

    def recomputable(self) -> list[str]:
        """-> parts that are one module of their own name: units."""
        return []

    def long_skips(self) -> Mapping[str, str]:
        """-> {part: the part, before the one before it, whose output it reads as well}."""
        return {}

    @nn.compact
    def __call__(
        self,
        x: Float[Array, "b ..."],
        *,
        train: bool,
        cut: Collection[str] = (),
        after: str = "",
        until: str = MAIN,
        scanned: Collection[tuple[str, ...]] = (),
        remat: Remat = "none",
    ) -> dict[str, Array]:
        """-> the endpoints of the parts behind `after`, up to and with `until`.

        Args:
          x: the image, or where `after` names an endpoint, the activations there.
          cut: endpoints where the gradient ends, so that what lies before is taught by the heads there alone.
          scanned: of `chains`, the stretches that are run as one part in a loop, so that it is compiled once.
            Their arrays are stacked under the first one's name, and there is only the last one's endpoint.
          remat: what the backward pass computes anew, of the parts that are `recomputable`.

        Raises:
          ValueError: there is no such endpoint, `until` does not come behind `after`, or a part between them
            reads one before them; or the last part is not `main`.
        """
        parts = self.parts(self.layers.bind(train))
        names, skips = [name for name, _ in parts], self.long_skips()
        first, last = _span(names, after, until)
        _check_skips(skips, names, first, last, after)
        endpoints, handed, chains, inside = {}, {}, {chain[0]: chain for chain in scanned}, 0
        for number, (name, part) in enumerate(parts[first : last + 1], first):
            if inside:  # a chain that has been run
                inside -= 1
                continue
            chain = chains.get(name, (name,))
            inside, end = len(chain) - 1, chain[-1]
            if inside or (remat != "none" and name in self.recomputable()):
                settings = {"train": train, "after": names[number - 1], "until": name}
                endpoints[end] = self._run_chain(name, len(chain), x, remat, settings)
            else:
                beside = [handed[skips[name]]] if name in skips else []
                endpoints[end] = self.run_part(name, part, x, *beside)
            x = handed[end] = jax.lax.stop_gradient(endpoints[end]) if end in cut else endpoints[end]
        return endpoints

    def _run_chain(self, name: str, length: int, x: Array, remat: Remat, settings: dict[str, Any]) -> Array:
        """-> the output of a unit whose arrays lie under its name, or of a loop over units like it."""
        own = {kind: tree[name] for kind, tree in self.variables.items() if name in tree}
        mutable = [kind for kind in own if self.is_mutable_collection(kind)]
        alone, scope = self.clone(parent=None), cast(Any, self.scope)  # whose names the keys are made of

        def run(x: Array, arrays: dict[str, Any]) -> tuple[Array, dict[str, Any]]:
            given = {kind: {name: tree} for kind, tree in arrays.items()}
            found: Any = alone.apply(given, x, mutable=mutable, rngs=dict(scope.rngs), **settings)
            return found[0][name], {kind: tree[name] for kind, tree in found[1].items()}

        if remat != "none":
            run = jax.checkpoint(run, prevent_cse=length == 1, policy=POLICIES[remat])
        x, changed = jax.lax.scan(run, x, own) if length > 1 else run(x, own)
        for kind, tree in changed.items():
            self.put_variable(kind, name, tree)
        return x

    def run_part(self, name: str, part: Part, x: Array, *beside: Array) -> Array:
        """A method, so that `anatomy` can see where a part begins."""
        return part(x, *beside)


def _span(names: list[str], after: str, until: str) -> tuple[int, int]:
    if names[-1:] != [MAIN]:
        raise ValueError(f"the parts are {names}; the last one must be '{MAIN}', whose output are the logits")
    for key, name in (("after", after), ("until", until)):
        if name not in names and (name or key == "until"):
            raise ValueError(f"{key} is '{name}', which this model does not have{did_you_mean(name, names)}")
    first = names.index(after) + 1 if after else 0
    if names.index(until) < first:
        raise ValueError(f"until is '{until}'; it must come behind after, '{after}'")
    return first, names.index(until)


def _check_skips(skips: Mapping[str, str], names: list[str], first: int, last: int, after: str) -> None:
    run = names[first : last + 1]
    for name in run:
        if skips.get(name, name) not in run:
            raise ValueError(
                f"after is '{after}', but '{name}' reads '{skips[name]}' as well; begin before that"
            )
