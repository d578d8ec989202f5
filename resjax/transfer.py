"""Taking over the parameters of one trunk in another, by name and shape, with a report."""

import dataclasses
from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import PyTree


@dataclasses.dataclass(frozen=True)
class Transfer:
    """What became of each array of a trunk that took over another's: names by fate.

    Attributes:
      copied: of both, with the same shape.
      new: of the trunk alone, or of another shape in the source; these keep their initial values.
      left: of the source alone, or of another shape.
    """

    copied: list[str]
    new: list[str]
    left: list[str]

    def __str__(self) -> str:
        parts = (("copied", self.copied), ("new", self.new), ("left", self.left))
        return "; ".join(f"{fate} {len(names)} arrays{_modules(names)}" for fate, names in parts)


def _modules(names: Sequence[str]) -> str:
    found = list(dict.fromkeys(name.split("/")[2] for name in names))
    return f" ({', '.join(found)})" if found else ""


def transfer(source: PyTree[Any], target: PyTree[Any]) -> tuple[PyTree[Any], Transfer]:
    """-> `target` with the arrays of `source` that have the same name and shape, and what was done."""
    old, new = (_by_name(tree) for tree in (source, target))
    copied = [name for name in new if name in old and old[name].shape == new[name].shape]

    def take(path: Any, leaf: Any) -> Any:
        name = jax.tree_util.keystr(path, simple=True, separator="/")
        return jnp.asarray(old[name], leaf.dtype) if name in copied else leaf

    rest = [[name for name in tree if name not in copied] for tree in (new, old)]
    return jax.tree_util.tree_map_with_path(take, target), Transfer(copied, *rest)


def _by_name(tree: PyTree[Any]) -> dict[str, Any]:
    leaves = jax.tree_util.tree_leaves_with_path(tree)
    return {jax.tree_util.keystr(path, simple=True, separator="/"): leaf for path, leaf in leaves}


def whole_modules(found: Transfer) -> set[str]:
    """-> modules of the trunk with every parameter copied."""
    copied, new = ({name.split("/")[2] for name in names} for names in (found.copied, found.new))
    return copied - new
