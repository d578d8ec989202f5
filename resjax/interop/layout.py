"""Arrays of a trunk as files have them: axes in PyTorch's order, and channels in the order of their padding.

Option A shortcuts add zeros for the channels that their input lacks. This project puts them behind the
input's channels; a common port to PyTorch puts half of them before. Both are one function of differently
ordered channels: what reads or writes a unit's output is rearranged, and what is inside its branch is not.
"""

import re
from collections.abc import Iterable, Mapping

import numpy as np

from resjax.models.resnet import ResNet
from resjax.models.trunk import Trunk

Order = np.ndarray  # the file's channel at each position here
# A path within a unit, the axis of its array that are channels of the unit's input or output, and which.
_OF_UNIT = (
    (r"conv1/kernel", -2, "read"),
    (r"conv{last}/kernel", -1, "written"),
    (r"norm{last}/\w+", -1, "written"),
    (r"excitation/squeeze/kernel", -2, "written"),
    (r"excitation/excite/\w+", -1, "written"),
)


def outward(path: str, array: np.ndarray) -> np.ndarray:
    """(h, w, i, o) -> (o, i, h, w), and (i, o) -> (o, i); squeeze-and-excitation are 1 x 1 convolutions."""
    if not path.endswith("/kernel"):
        return array
    turned = array.transpose(3, 2, 0, 1) if array.ndim == 4 else array.T
    return turned[:, :, None, None] if "/excitation/" in path else turned


def inward(path: str, tensor: np.ndarray) -> np.ndarray:
    """The inverse of `outward`."""
    if not path.endswith("/kernel"):
        return tensor
    tensor = tensor[:, :, 0, 0] if "/excitation/" in path else tensor
    return tensor.transpose(2, 3, 1, 0) if tensor.ndim == 4 else tensor.T


def widens(trunk: Trunk, channels: Mapping[str, int]) -> bool:
    """-> whether a shortcut of option A adds channels; `channels` are those of each endpoint."""
    if not (isinstance(trunk, ResNet) and trunk.skip and trunk.shortcut == "A"):
        return False
    return len({channels[part] for part in ("stem", *trunk.recomputable())}) > 1


def orders(trunk: ResNet, channels: Mapping[str, int], paths: Iterable[str]) -> dict[str, tuple[int, Order]]:
    """-> {path: (axis, order of its channels)} where a file's option A pads on both sides.

    Of a unit of the order `original`. Paths whose arrays lie within branches are left out.
    """
    last, read = {"basic": "2", "bottleneck": "3"}[trunk.block], np.arange(channels["stem"])
    streams = {}
    for part in trunk.recomputable():
        written = _padded(read, channels[part])
        streams[part], read = {"read": read, "written": written}, written
    found = {"params/classifier/kernel": (-2, read)}
    for path in paths:
        _, part, inside = path.split("/", 2)
        for pattern, axis, which in _OF_UNIT if part in streams else ():
            if re.fullmatch(pattern.replace("{last}", last), inside):
                found[path] = (axis, streams[part][which])
    return found


def _padded(order: Order, channels: int) -> Order:
    """-> the order behind a shortcut that gives so many channels: ours are the input's, then the zeros."""
    missing = channels - len(order)
    kept = order + missing // 2
    return np.concatenate([kept, np.setdiff1d(np.arange(channels), kept)])


def rearrange(
    arrays: Mapping[str, np.ndarray], found: Mapping[str, tuple[int, Order]], *, back: bool = False
) -> dict[str, np.ndarray]:
    """-> arrays as they are here, from a file's; with `back` the other way."""
    rearranged = dict(arrays)
    for path, (axis, order) in found.items():
        rearranged[path] = np.take(arrays[path], np.argsort(order) if back else order, axis)
    return rearranged
