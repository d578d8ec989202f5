"""A net's inference as a program that needs this package no more: stored images in, logits out.

It is StableHLO as `jax.export` keeps it: parameters and normalisation are inside, the number of images is
left open, and it is lowered for CPU, GPU and TPU alike. JAX reads programs that were exported up to six
months before (docs.jax.dev/en/latest/export/export.html).
"""

from typing import Any

import jax
import jax.numpy as jnp
from jax import export
from jaxtyping import Array, Float, UInt8

from resjax import backend
from resjax.data.augment import Pipeline
from resjax.device import Variables
from resjax.models.trunk import MAIN, Trunk

PLATFORMS = ("cpu", "cuda", "tpu")
STOCK = "tpu"  # for which convolutions and norms keep JAX's own form, which every platform takes


def make(
    trunk: Trunk, variables: Variables, pipeline: Pipeline, image: tuple[int, int, int], *, mirrored: bool
) -> bytes:
    """-> the program from uint8 images (b, h, w, c), of any number b, to float32 logits.

    Args:
      variables: of the trunk alone.
      image: (h, w, c) as stored.
      mirrored: logits are means over an image and its mirror image.
    """

    def run(images: UInt8[Array, "b h w c"]) -> Float[Array, "b ..."]:
        return logits(variables, images, pipeline, trunk=trunk, mirrored=mirrored)

    images = jax.ShapeDtypeStruct((*export.symbolic_shape("b"), *image), jnp.uint8)
    with backend.compiling_for(STOCK):
        found = export.export(jax.jit(run), platforms=PLATFORMS)(images)
    return bytes(found.serialize())


def logits(
    variables: Variables,
    images: UInt8[Array, "b h w c"],
    pipeline: Pipeline,
    *,
    trunk: Trunk,
    mirrored: bool,
) -> Float[Array, "b ..."]:
    """-> float32 logits of stored images; `variables` and `mirrored` as in `make`."""
    found = _logits(trunk, variables, pipeline.evaluate(images))
    if mirrored:
        found = (found + _logits(trunk, variables, pipeline.evaluate(images, mirrored=True))) / 2
    return found


def _logits(trunk: Trunk, variables: Variables, inputs: Array) -> Array:
    endpoints: Any = trunk.apply(variables, inputs, train=False)
    return endpoints[MAIN].astype(jnp.float32)
