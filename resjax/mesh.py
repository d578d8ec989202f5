"""Many devices, of one process or of several: what of a run each of them holds.

A mesh has two axes. The examples of a batch are shared out over both. Parameters, moments and moving averages
are whole on every device, or split over the devices along `fsdp` and put together for a step (stage 3 of
Rajbhandari et al. 2020, 1910.02054). A step is a pure function of whole arrays, and its numbers depend on the
mesh by rounding alone: from the shardings computed here, of whatever `Mesh`, the compiler makes each
device's part of it.

One device has no mesh, `None`, and no shardings: its programs are what they would be without this module.
"""

import dataclasses
from collections.abc import Sequence
from functools import partial
from typing import Any, TypeVar

import jax
import numpy as np
from jax.experimental import multihost_utils
from jax.sharding import AxisType, Mesh, NamedSharding, PartitionSpec, SingleDeviceSharding

from resjax import processes
from resjax.errors import UserError, did_you_mean

DATA, FSDP = AXES = ("data", "fsdp")
Tree = TypeVar("Tree")


@dataclasses.dataclass(frozen=True)
class Layout:
    """How many devices a mesh has along each axis."""

    data: int = 1
    fsdp: int = 1

    def __str__(self) -> str:
        return f"{DATA}={self.data}" + (f",{FSDP}={self.fsdp}" if self.fsdp > 1 else "")

    @property
    def size(self) -> int:
        return self.data * self.fsdp

    def mesh(self, devices: Sequence[Any]) -> Mesh:
        """-> of the first of these devices."""
        types = (AxisType.Auto,) * len(AXES)  # by default, shardings would be part of every array's type
        shape, first = (self.data, self.fsdp), devices[: self.size]
        return jax.make_mesh(shape, AXES, axis_types=types, devices=first)


def parse(text: str | None) -> Layout | None:
    """-> the layout that `data=8` or `data=4,fsdp=2` means, None where none is given; raises UserError for
    any other text.
    """
    if text is None:
        return None
    found: dict[str, int] = {}
    for part in text.split(","):
        axis, _, count = part.partition("=")
        if axis not in AXES:
            raise UserError(f"--mesh is '{text}': there is no axis '{axis}'{did_you_mean(axis, AXES)}")
        if axis in found or not count.isdecimal() or int(count) < 1:
            raise UserError(f"--mesh is '{text}'; it must look like data=8 or data=4,fsdp=2")
        found[axis] = int(count)
    return Layout(**found)


def make(layout: Layout | None = None, batch_size: int = 0, parts: int = 1) -> Mesh | None:
    """-> the mesh of a run on this host, or on those of all processes.

    Args:
      layout: None: all devices, along `data`.
      batch_size: examples of a training step; 0: nothing is trained.
      parts: in which a step computes them, one after the other.

    Raises:
      UserError: there are not so many devices, or they cannot share out the batch evenly.
    """
    devices, others = jax.devices(), processes.count()
    place = "this machine" if others == 1 else f"the run of {others} processes"
    layout = choose(layout, len(devices), batch_size, parts, place)
    if others > 1 and layout.size < len(devices):
        raise UserError(
            f"--mesh {layout} takes {layout.size} of the {len(devices)} devices of {others} processes; it"
            " must take all of them"
        )
    return layout.mesh(devices) if layout.size > 1 else None


def choose(
    layout: Layout | None, count: int, batch_size: int, parts: int = 1, place: str = "this machine"
) -> Layout:
    """-> of `count` devices, those that a run takes; raises UserError as `make` does."""
    layout = layout or Layout(count)
    if layout.size > count:
        raise UserError(
            f"--mesh {layout} takes {layout.size} devices, but {place} has {count}; take at most that many"
        )
    if layout.size > 1 and batch_size % (layout.size * max(parts, 1)):
        raise UserError(_uneven(layout.size, batch_size, max(parts, 1)))
    return layout


def _uneven(devices: int, batch_size: int, parts: int) -> str:
    alone = processes.count() == 1  # several use all of their devices
    fitting = [count for count in range(1, devices) if alone and batch_size % (count * parts) == 0]
    accumulated = f" in {parts} parts (config.train.accumulate)" if parts > 1 else ""
    other = f", or use --mesh {Layout(fitting[-1])}" if fitting else ""
    return (
        f"config.train.batch_size is {batch_size}, which {devices} devices cannot share out evenly"
        f"{accumulated}; make it a multiple of {devices * parts}{other}"
    )


def axes(mesh: Mesh | None) -> dict[str, int]:
    """-> devices along each axis, without an `fsdp` that splits nothing; for records."""
    shape = {DATA: 1} if mesh is None else mesh.shape
    return {axis: count for axis, count in shape.items() if count > 1 or axis == DATA}


def size(mesh: Mesh | None) -> int:
    return 1 if mesh is None else mesh.size


def examples(mesh: Mesh | None, axis: int = 0) -> NamedSharding | None:
    """-> of an array of which one axis, the first, is that of a batch: every device has as many."""
    return None if mesh is None else NamedSharding(mesh, PartitionSpec(*[None] * axis, AXES))


def whole(mesh: Mesh | None) -> NamedSharding | None:
    """-> of an array, or all arrays of a tree, that every device holds."""
    return None if mesh is None else NamedSharding(mesh, PartitionSpec())


def state(mesh: Mesh | None, tree: Any) -> Any:
    """-> of each array of a training state, or of its shapes: split along `fsdp`, where its sizes allow."""
    return None if mesh is None else jax.tree.map(partial(_split, mesh), tree)


def _split(mesh: Mesh, leaf: Any) -> NamedSharding:
    """The longest axis that can be shared out is. Arrays without one are whole everywhere, and so are
    vectors: to exchange the values of norms and biases takes long for the memory that it saves.
    """
    count = mesh.shape[FSDP]
    fitting = [axis for axis, length in enumerate(leaf.shape) if length and length % count == 0]
    if count == 1 or len(leaf.shape) < 2 or not fitting:
        return NamedSharding(mesh, PartitionSpec())
    longest = max(fitting, key=lambda axis: leaf.shape[axis])
    return NamedSharding(mesh, PartitionSpec(*[None] * longest, FSDP))


def constrain(tree: Tree, shardings: Any) -> Tree:
    """Tells the compiler, inside a program; outside of one, `put` takes the same shardings."""
    return tree if shardings is None else jax.lax.with_sharding_constraint(tree, shardings)


def put(tree: Tree, shardings: Any) -> Tree:
    """-> the arrays, where `shardings` say, one of all or one of each; all processes give equal ones.

    `jax.device_put` would compare them, and send them all to all processes for that.
    """
    if processes.count() == 1:
        return jax.device_put(tree, shardings)
    if isinstance(shardings, NamedSharding):
        return jax.tree.map(partial(_put, sharding=shardings), tree)
    return jax.tree.map(_put, tree, shardings)


def _put(leaf: Any, sharding: NamedSharding) -> jax.Array:
    if isinstance(leaf, jax.Array) and not leaf.is_fully_addressable:
        return jax.device_put(leaf, sharding)
    array = np.asarray(leaf)
    return jax.make_array_from_callback(array.shape, sharding, lambda index: array[index])


def readable(tree: Tree) -> Tree:
    """-> the arrays; those that this process has only parts of are put together. All processes call it."""
    return jax.tree.map(_readable, tree)


def _readable(leaf: Any) -> Any:
    if not isinstance(leaf, jax.Array) or leaf.is_fully_addressable or leaf.is_fully_replicated:
        return leaf
    if not isinstance(leaf.sharding, NamedSharding):
        return multihost_utils.process_allgather(leaf, tiled=True)
    return jax.device_put(leaf, NamedSharding(leaf.sharding.mesh, PartitionSpec()))


def like(mesh: Mesh | None, shapes: Tree) -> Tree:
    """-> shapes and types of a state, and where it is to lie: a checkpoint is read to there, whatever the
    devices that it was written from.
    """
    alone = SingleDeviceSharding(jax.devices()[0])

    def at(leaf: Any) -> jax.ShapeDtypeStruct:
        sharding = alone if mesh is None else _split(mesh, leaf)
        return jax.ShapeDtypeStruct(leaf.shape, leaf.dtype, sharding=sharding)

    return jax.tree.map(at, shapes)
