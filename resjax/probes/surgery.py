"""Operations on the units of a trunk while it is applied: taking them out, reordering them, following a path.

What is done is data, not structure, so one compiled program serves every choice.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int

from resjax import stacking
from resjax.device import Variables
from resjax.models.trunk import MAIN, Trunk
from resjax.models.units import OriginalUnit, Unit
from resjax.stacking import Chain


class _Additions:
    """An interceptor that changes what units add up; a subclass says how.

    What lies behind the addition, a ReLU or a norm, stays where it is.
    """

    def __init__(self, choices: Mapping[str, Array]):
        self._choices = choices
        self._shortcuts: dict[str, Array] = {}

    def __call__(self, call: Any, args: Any, kwargs: Any, context: Any) -> Any:
        unit, method, name = context.module, context.method_name, context.module.name or ""
        if not isinstance(unit, Unit) or name not in self._choices:
            return call(*args, **kwargs)
        choice = self._choices[name]
        if unit.shortcut is None:
            found = call(*args, **kwargs)
            return self.plain(choice, found, args[0]) if method == "__call__" else found
        if method == "end":
            return call(self.add(choice, args[0], self._shortcuts[name]))
        if method == "close" and isinstance(unit, OriginalUnit) and args[2] is None:
            return self.fused(choice, call, unit, *args)
        found = call(*args, **kwargs)
        if method == "along":
            self._shortcuts[name] = found[0]
        return found

    def plain(self, choice: Array, output: Array, x: Array) -> Array:
        """-> the output of a unit without a shortcut, from its own and its input."""
        raise NotImplementedError

    def add(self, choice: Array, total: Array, shortcut: Array) -> Array:
        """-> the sum, from the unit's own and its shortcut."""
        raise NotImplementedError

    def fused(
        self, choice: Array, call: Any, unit: OriginalUnit, y: Array, shortcut: Array, _: None
    ) -> Array:
        """-> the output of a unit that normalises, adds and rectifies in one function."""
        return unit.end(unit.added(y) + shortcut)  # one after the other, so `add` sees the sum


class _Deletion(_Additions):
    """Choices: True keeps the unit, False its shortcut alone, and of a plain unit its input."""

    def plain(self, choice: Array, output: Array, x: Array) -> Array:
        return jnp.where(choice, output, x) if output.shape == x.shape else output

    def add(self, choice: Array, total: Array, shortcut: Array) -> Array:
        return jnp.where(choice, total, shortcut)

    def fused(
        self, choice: Array, call: Any, unit: OriginalUnit, y: Array, shortcut: Array, _: None
    ) -> Array:
        return jnp.where(choice, call(y, shortcut, None), unit.end(shortcut))  # what is kept keeps its bits


class _Path(_Additions):
    """Choices: the gradient goes through the branch, True, or through the shortcut; values stay."""

    def plain(self, choice: Array, output: Array, x: Array) -> Array:
        return output

    def add(self, choice: Array, total: Array, shortcut: Array) -> Array:
        way = jnp.where(choice, total - shortcut, shortcut)
        return jax.lax.stop_gradient(total) + (way - jax.lax.stop_gradient(way))


def units(trunk: Trunk) -> tuple[str, ...]:
    """-> names of the units, from the image on."""
    return tuple(trunk.recomputable())


def kinds(trunk: Trunk, image: tuple[int, ...]) -> tuple[set[str], set[str]]:
    """-> names of the units that have a shortcut, and of those that keep their input's shape."""
    residual, same = set[str](), set[str]()

    def record(call: Any, args: Any, kwargs: Any, context: Any) -> Any:
        found, unit = call(*args, **kwargs), context.module
        if isinstance(unit, Unit) and context.method_name == "__call__":
            residual.update([unit.name or ""] if unit.shortcut is not None else [])
            same.update([unit.name or ""] if found.shape == args[0].shape else [])
        return found

    images = jax.ShapeDtypeStruct((1, *image), jnp.float32)
    with nn.intercept_methods(record):
        jax.eval_shape(lambda x: trunk.init(jax.random.key(0), x, train=False), images)
    return residual, same


def logits(
    trunk: Trunk,
    variables: Variables,
    inputs: Float[Array, "b h w c"],
    *,
    kept: Bool[Array, " u"] | None = None,
    through: Bool[Array, " u"] | None = None,
) -> Float[Array, "b k"]:
    """-> the trunk's logits in evaluation.

    Args:
      kept: which units are there. What is left of a unit that is not is its shortcut, and what comes behind
        the addition; a unit without a shortcut gives its input through, and stays where that has another
        shape.
      through: whether the gradient goes through a unit's branch; else it goes through its shortcut. Values
        are the net's own.
    """
    if kept is not None and through is not None:
        raise ValueError("gradients of a net that lacks units are not followed; give kept or through")
    kind, choices = (_Path, through) if kept is None else (_Deletion, kept)
    names = units(trunk)
    with nn.intercept_methods(kind({} if choices is None else dict(zip(names, choices, strict=True)))):
        endpoints: Any = trunk.apply(variables, inputs, train=False)
    return endpoints[MAIN].astype(jnp.float32)


def permute(
    variables: Variables, order: Int[Array, " u"], names: Sequence[str], chains: Sequence[Chain]
) -> Variables:
    """-> variables with the arrays of unit order[i] in the place of unit i.

    Args:
      chains: units that follow each other and differ in their arrays alone; a unit stays in its chain.
    """
    whole = stacking.stack({kind: {"trunk": tree} for kind, tree in variables.items()}, chains)
    for chain in chains:
        first = names.index(chain[0])
        local = order[first : first + len(chain)] - first
        for trunk in (tree["trunk"] for tree in whole.values() if chain[0] in tree["trunk"]):
            trunk[chain[0]] = jax.tree.map(lambda each, local=local: each[local], trunk[chain[0]])
    return {kind: tree["trunk"] for kind, tree in stacking.unstack(whole, chains).items()}
