"""What programs read: images with the way to inputs and targets, or features that were computed once.

Images lie on the device whole, or come to it a few steps at a time; what a step makes of them is the same.

Where a phase freezes the lower part of a trunk and nothing augments the images, that part gives the same
features for an example at every step: they are computed once and kept (as Belilovsky et al. 2019,
1812.11446, appendix, propose). They are computed part by part, each in a program of its own, so that the
bits are the same whether a phase follows another or a run resumes.
"""

from collections.abc import Mapping
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import struct
from jax.sharding import Mesh
from jaxtyping import Array, Float, Int, UInt8

from resjax import mesh as meshes
from resjax.anatomy import Shapes
from resjax.data.augment import Pipeline
from resjax.data.split import Split
from resjax.models.heads import Net, trunk_collections
from resjax.models.trunk import Trunk

Variables = dict[str, Any]  # Flax collections: `params`, `batch_stats`, ...
Targets = dict[str, Array]
LIMIT = 2 * 2**30  # bytes of one endpoint's activations for a split; larger ones are computed at every step
BATCH = 500  # examples at a time


class Teacher(struct.PyTreeNode):
    """A trained net whose activations are targets."""

    trunk: Trunk = struct.field(pytree_node=False)
    variables: Variables

    def __call__(self, inputs: Float[Array, "b h w c"]) -> dict[str, Array]:
        """-> its endpoints, the logits among them; what nobody uses is not computed once compiled."""
        endpoints: Any = self.trunk.apply(self.variables, inputs, train=False)
        return endpoints


class Batch(struct.PyTreeNode):
    """The examples of one step, or of several, that were gathered for it: an index has nothing to choose."""

    images: UInt8[Array, "*s b h w c"]
    labels: Int[Array, "..."]  # of s x b examples, or of each pixel of theirs
    pipeline: Pipeline
    teacher: Teacher | None = None

    def at(self, step: Any) -> "Batch":
        """-> the examples of one step of several."""
        images, labels = (
            jax.lax.dynamic_index_in_dim(each, step, keepdims=False) for each in (self.images, self.labels)
        )
        return self.replace(images=images, labels=labels)

    def read(
        self,
        net: Net,
        variables: Variables,
        index: Int[Array, " b"],
        key: Array | None = None,
        *,
        mirrored: bool = False,
    ) -> tuple[Array, Targets]:
        """-> what the trained part of the net reads, and every target; what is not used costs nothing.

        Args:
          key: of the augmentation; None: there is none, as in evaluation.
          mirrored: evaluation is of the images' mirror images.
        """
        if key is None:
            inputs = self.pipeline.evaluate(self.images, mirrored=mirrored)
        else:
            inputs = self.pipeline.train(key, self.images)
        features: Any = net.apply(variables, inputs, method="enter") if net.after else inputs
        targets = {"labels": self.labels, "input": features}
        if self.teacher is not None:
            targets |= {f"teacher/{name}": value for name, value in self.teacher(inputs).items()}
        return features, targets


class Images(struct.PyTreeNode):
    """A split that lives on the device whole."""

    images: UInt8[Array, "n h w c"]
    labels: Int[Array, "n *hw"]
    pipeline: Pipeline
    teacher: Teacher | None = None

    def at(self, step: Any) -> "Images":
        """-> itself: the index of a step says which examples are its own."""
        return self

    def read(
        self,
        net: Net,
        variables: Variables,
        index: Int[Array, " b"],
        key: Array | None = None,
        *,
        mirrored: bool = False,
    ) -> tuple[Array, Targets]:
        """As `Batch.read`, of the examples `index`."""
        batch = Batch(self.images[index], self.labels[index], self.pipeline, self.teacher)
        return batch.read(net, variables, index, key, mirrored=mirrored)


class Features(struct.PyTreeNode):
    """What the frozen part of a trunk makes of a split."""

    values: Float[Array, "n ..."]
    labels: Int[Array, " n"]

    def at(self, step: Any) -> "Features":
        return self

    def read(
        self,
        net: Net,
        variables: Variables,
        index: Int[Array, " b"],
        key: Array | None = None,
        *,
        mirrored: bool = False,
    ) -> tuple[Array, Targets]:
        if mirrored:
            raise ValueError("these are features of images whose mirror images were not computed")
        features = self.values[index]
        return features, {"labels": self.labels[index], "input": features}


DeviceData = Images | Features | Batch


class Streamed(struct.PyTreeNode):
    """A split that stays on the host; programs are given the examples that they are to compute.

    Each process reads those of its own devices, and no others.
    """

    split: Split = struct.field(pytree_node=False)
    mesh: Mesh | None = struct.field(pytree_node=False)
    pipeline: Pipeline
    teacher: Teacher | None = None

    @property
    def labels(self) -> Int[np.ndarray, " n"]:
        return self.split.labels

    def gather(self, index: Int[np.ndarray, "*s b"]) -> Batch:
        """-> these examples on the devices, which share out the last axis of the index."""
        images = self._place(self.split.images, index, np.uint8)
        labels = self._place(self.labels, index, np.int32)
        return Batch(images, labels, self.pipeline, self.teacher)

    def _place(self, values: Any, index: np.ndarray, dtype: Any) -> Array:
        sharding = meshes.examples(self.mesh, axis=index.ndim - 1)
        if sharding is None:
            return jnp.asarray(values[index].astype(dtype, copy=False))

        def of_one_device(at: Any) -> np.ndarray:
            return values[index[at[: index.ndim]]].astype(dtype, copy=False)

        shape = (*index.shape, *values.shape[1:])
        return jax.make_array_from_callback(shape, sharding, of_one_device)


Source = Images | Streamed


def is_kept(net: Net, shapes: Shapes, examples: int, *, varied: bool) -> bool:
    """-> whether the features that a net reads are computed once; `varied`: an image gives several inputs."""
    if not net.after or varied or any(head.target == "teacher" for head, _ in net.heads):
        return False
    return all(
        examples * shapes.endpoints[name].size * 4 <= LIMIT for name in parts_between(shapes, "", net.after)
    )


def parts_between(shapes: Shapes, after: str, until: str) -> list[str]:
    """-> names of the parts behind `after`, up to `until`; all of them where `after` does not come before."""
    names = list(shapes.endpoints)
    found = names[: names.index(until) + 1]
    return found[found.index(after) + 1 :] if after in found else found


class FeatureCache:
    """The splits as a phase reads them; features are kept, and taken further from one phase to the next."""

    def __init__(self, splits: Mapping[str, Source]):
        self._splits: Any = splits  # where features are to be kept, all of them are `Images`
        self._trunk, self._at = None, ""
        self._values: dict[str, Array] = {}

    def of(self, net: Net, variables: Variables, shapes: Shapes, *, keep: bool) -> dict[str, Any]:
        """Call it at the start of every phase: features are reused on the word that what they went through
        has been frozen since."""
        if not keep:
            self._trunk, self._at, self._values = None, "", {}
            return dict(self._splits)
        known = self._trunk == net.trunk and self._at in parts_between(shapes, "", net.after)
        at = self._at if known else ""
        if not known:
            self._values = {name: split.images for name, split in self._splits.items()}
        own = trunk_collections(variables)
        for name in parts_between(shapes, at, net.after):
            for split, values in self._values.items():
                if not at:
                    values = self._splits[split].pipeline.evaluate(values)
                self._values[split] = _run_part(own, values, trunk=net.trunk, after=at, until=name)
            at = name
        self._trunk, self._at = net.trunk, net.after
        return {name: Features(values, self._splits[name].labels) for name, values in self._values.items()}


@partial(jax.jit, static_argnames=("trunk", "after", "until"))
def _run_part(variables: Variables, values: Array, *, trunk: Trunk, after: str, until: str) -> Array:
    """-> one part's output for all examples, in batches of one size."""

    def run(x: Array) -> Array:
        endpoints: Any = trunk.apply(variables, x, train=False, after=after, until=until)
        return endpoints[until]

    batches = -(-len(values) // BATCH)
    filled = jnp.pad(values, [(0, batches * BATCH - len(values)), *[(0, 0)] * (values.ndim - 1)])
    found = jax.lax.map(run, filled.reshape(batches, BATCH, *values.shape[1:]))
    return found.reshape(batches * BATCH, *found.shape[2:])[: len(values)]
