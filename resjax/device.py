"""Splits on the device: images with the way to inputs and targets, or features that were computed once.

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
from flax import struct
from jaxtyping import Array, Float, Int, UInt8

from resjax.anatomy import Shapes
from resjax.data.augment import Pipeline
from resjax.models.heads import Net
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


class Images(struct.PyTreeNode):
    """A split that lives on the device whole."""

    images: UInt8[Array, "n h w c"]
    labels: Int[Array, "n *hw"]
    pipeline: Pipeline
    teacher: Teacher | None = None

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
        images = self.images[index]
        if key is None:
            inputs = self.pipeline.evaluate(images, mirrored=mirrored)
        else:
            inputs = self.pipeline.train(key, images)
        features: Any = net.apply(variables, inputs, method="enter") if net.after else inputs
        targets = {"labels": self.labels[index], "input": features}
        if self.teacher is not None:
            targets |= {f"teacher/{name}": value for name, value in self.teacher(inputs).items()}
        return features, targets


class Features(struct.PyTreeNode):
    """What the frozen part of a trunk makes of a split."""

    values: Float[Array, "n ..."]
    labels: Int[Array, " n"]

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


DeviceData = Images | Features


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

    def __init__(self, splits: Mapping[str, Images]):
        self._splits, self._trunk, self._at = splits, None, ""
        self._values: dict[str, Array] = {}

    def of(self, net: Net, variables: Variables, shapes: Shapes, *, keep: bool) -> dict[str, DeviceData]:
        """Call it at the start of every phase: features are reused on the word that what they went through
        has been frozen since."""
        if not keep:
            self._trunk, self._at, self._values = None, "", {}
            return dict(self._splits)
        known = self._trunk == net.trunk and self._at in parts_between(shapes, "", net.after)
        at = self._at if known else ""
        if not known:
            self._values = {name: split.images for name, split in self._splits.items()}
        own = {name: tree["trunk"] for name, tree in variables.items() if "trunk" in tree}
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
