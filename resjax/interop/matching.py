"""Which tensor of a file is which array of a trunk."""

import dataclasses
import re
from collections.abc import Mapping, Sequence

import numpy as np

from resjax.interop import layout
from resjax.interop.files import Arrays
from resjax.interop.names import NAMINGS, OWN, Naming

Shape = tuple[int, ...]
HEAD = r"aux\d*"  # what files call auxiliary heads
LISTED = 8  # of each kind of misfit; the others are counted


@dataclasses.dataclass(frozen=True)
class Match:
    """How a file fits a trunk.

    Attributes:
      names: {path of an array here: name there}.
      missing, left, misshapen: what the file lacks, has beside, and has in another shape.
    """

    naming: Naming
    names: dict[str, str]
    missing: list[str]
    left: list[str]
    misshapen: list[str]

    @property
    def misfits(self) -> int:
        return len(self.missing) + len(self.left) + len(self.misshapen)

    @property
    def heads(self) -> list[str]:
        """-> the modules of auxiliary heads, where nothing but they does not fit."""
        modules = {name.partition(".")[0] for name in self.left}
        only = len(self.left) == self.misfits and all(re.fullmatch(HEAD, module) for module in modules)
        return sorted(modules) if only else []

    def __str__(self) -> str:
        """-> what does not fit, in one line."""
        kinds = (("missing", self.missing), ("left over", self.left), ("of another shape", self.misshapen))
        return "; ".join(f"{kind}: {_listed(names)}" for kind, names in kinds if names)


def match(shapes: Mapping[str, Shape], tensors: Mapping[str, np.ndarray]) -> Match:
    """-> the naming that fits a file best, and how it fits; `shapes` are those of the trunk's arrays."""
    found = []
    for naming in NAMINGS.values():
        names = naming.spell_all(shapes)
        if names is not None:
            found.append(_compare(naming, names, shapes, tensors))
    return min(found, key=lambda each: each.misfits)


def _compare(
    naming: Naming, names: dict[str, str], shapes: Mapping[str, Shape], tensors: Mapping[str, np.ndarray]
) -> Match:
    expected = {name: expected_shape(naming, path, shapes[path]) for path, name in names.items()}
    misshapen = [
        f"{name} {_plain(tensors[name].shape)}, not {_plain(shape)}"
        for name, shape in expected.items()
        if name in tensors and tensors[name].shape != shape
    ]
    missing = [name for name in expected if name not in tensors]
    left = [name for name in tensors if name not in expected]
    return Match(naming, names, missing, left, misshapen)


def expected_shape(naming: Naming, path: str, shape: Shape) -> Shape:
    """-> of the tensor that is the array of this shape here."""
    blank = np.broadcast_to(np.zeros((), np.float32), shape)
    return blank.shape if naming is OWN else layout.outward(path, blank).shape


def taken(found: Match, tensors: Mapping[str, np.ndarray]) -> Arrays:
    """-> {path: array} with axes in the order that they have here."""
    return {
        path: tensors[name] if found.naming is OWN else layout.inward(path, tensors[name])
        for path, name in found.names.items()
    }


def given(naming: Naming, arrays: Mapping[str, np.ndarray]) -> Arrays:
    """-> {name: tensor} with axes in the order that they have there; raises ValueError for an unnamed one."""
    names = naming.spell_all(arrays)
    if names is None:
        raise ValueError(f"it has arrays that the naming {naming.title} lacks")
    return {
        name: arrays[path] if naming is OWN else layout.outward(path, arrays[path])
        for path, name in names.items()
    }


def _plain(shape: Shape) -> str:
    return "x".join(map(str, shape)) or "a number"


def _listed(names: Sequence[str]) -> str:
    more = f" and {len(names) - LISTED} more" if len(names) > LISTED else ""
    return ", ".join(names[:LISTED]) + more
