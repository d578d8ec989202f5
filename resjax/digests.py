"""What a state is, in a few words: its layout, to tell another model's, and its digest, to tell damage."""

import hashlib
from collections.abc import Iterator
from typing import Any

import jax
import numpy as np

from resjax import mesh as meshes


def digest(state: Any) -> str:
    """A SHA-256 over names, types, shapes and bytes of all arrays: equal if and only if the bits are.

    Arrays that are shared out over processes are put together one by one; all processes call it then.
    """
    sha = hashlib.sha256()
    for name, leaf in named(state):
        array = np.asarray(meshes.readable(leaf))
        sha.update(f"{name} {array.dtype} {array.shape};".encode())
        sha.update(np.ascontiguousarray(array).view(np.uint8).data)
    return sha.hexdigest()


def layout(state: Any) -> dict[str, str]:
    """-> {name: "float32[3,3,16,16]"} of every array."""
    return {name: f"{leaf.dtype}{list(leaf.shape)}".replace(" ", "") for name, leaf in named(state)}


def named(state: Any) -> Iterator[tuple[str, Any]]:
    """Sorted by name, whatever the containers: a state that was read without its types gives the same."""
    leaves = jax.tree_util.tree_leaves_with_path(state)
    names = {jax.tree_util.keystr(path, simple=True, separator="/"): leaf for path, leaf in leaves}
    yield from sorted(names.items())
