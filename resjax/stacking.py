"""Chains of identical parts in two layouts: each part's arrays by themselves, or stacked to be scanned over.

On disk, between phases and to whoever reads a state, the arrays are apart, under their parts' names. A
step that scans over a chain has them stacked along a new first axis, under the name of its first part.
"""

from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
from jax import core

Chain = tuple[str, ...]  # names of parts that follow each other


def stack(tree: Any, chains: Sequence[Chain]) -> Any:
    """-> a tree of parameters, statistics or optimizer state whose chains are stacked."""

    def stacked(trunk: dict[str, Any]) -> dict[str, Any]:
        for chain in chains:
            if chain[0] in trunk:  # statistics may be of some parts only
                arrays = jax.tree.map(lambda *each: jnp.stack(each), *(trunk[name] for name in chain))
                gone = set(chain[1:])
                trunk = {name: part for name, part in trunk.items() if name not in gone}
                trunk[chain[0]] = arrays
        return trunk

    return _at_trunks(tree, stacked) if chains else tree


def unstack(tree: Any, chains: Sequence[Chain]) -> Any:
    """The inverse of `stack`."""

    def apart(trunk: dict[str, Any]) -> dict[str, Any]:
        trunk = dict(trunk)
        for chain in chains:
            if chain[0] in trunk:
                leaves, names = jax.tree.flatten(trunk[chain[0]])
                each = zip(*map(_rows, leaves), strict=True)
                trunk |= {name: names.unflatten(part) for name, part in zip(chain, each, strict=True)}
        return trunk

    return _at_trunks(tree, apart) if chains else tree


def _rows(leaf: Any) -> list[Any]:
    """-> what lies along the first axis; JAX does not iterate over arrays of which others hold parts."""
    traced = isinstance(leaf, core.Tracer)
    if traced or not isinstance(leaf, jax.Array) or leaf.is_fully_addressable or leaf.is_fully_replicated:
        return list(leaf)
    return [leaf[number] for number in range(len(leaf))]


def _at_trunks(tree: Any, change: Callable[[dict[str, Any]], dict[str, Any]]) -> Any:
    def is_node(node: Any) -> bool:
        return isinstance(node, dict) and "trunk" in node

    def at(node: Any) -> Any:
        return {**node, "trunk": change(node["trunk"])} if is_node(node) else node

    return jax.tree.map(at, tree, is_leaf=is_node)


def choose(chains: Sequence[Chain], read: Sequence[str], least: int) -> tuple[Chain, ...]:
    """-> what of the chains is scanned: stretches of `least` parts or more that end where something reads.

    Args:
      read: endpoints that are needed by themselves.
    """
    found = []
    for chain in chains:
        ends = [number for number, name in enumerate(chain, 1) if name in read]
        starts = [0, *ends]
        for start, end in zip(starts, [*ends, len(chain)], strict=True):
            if end - start >= max(2, least):
                found.append(chain[start:end])
    return tuple(found)
