"""Patches of images turned and scaled, so that what a net's first layer reads is uncorrelated."""

import jax
import numpy as np
from jaxtyping import Array, Float

ENOUGH = 5_000  # images; on CIFAR-10 the variances of four times as many are within 3 % of these
EPSILON = 5e-4  # added to variances, in units of the normalised image's
ORDER = ("NHWC", "HWIO", "NHWC")
Filters = Float[Array, "p p c d"]


def fit(inputs: Float[np.ndarray, "n h w c"], side: int) -> Float[np.ndarray, "p p c d"]:
    """-> filters that give each patch of `side` x `side` pixels in its principal axes, each of variance 1.

    d = side * side * c. Page 2019, "How to Train Your ResNet", part 8; Jordan 2024 (2404.00498), section 3.2.

    Args:
      inputs: normalised images, `ENOUGH` of them where there are so many.

    Raises:
      ValueError: patches that do not fit into an image.
    """
    if not 1 <= side <= min(inputs.shape[1:3]):
        raise ValueError(
            f"whiten is {side}; it must be 0, or a patch's side of at most {min(inputs.shape[1:3])}"
        )
    view = np.lib.stride_tricks.sliding_window_view(inputs, (side, side), (1, 2))  # n i j c p p
    patches = view.transpose(0, 1, 2, 4, 5, 3).reshape(-1, side * side * inputs.shape[-1]).astype(np.float64)
    variances, axes = np.linalg.eigh(np.cov(patches, rowvar=False, bias=True))
    filters = axes[:, ::-1] / np.sqrt(variances[::-1] + EPSILON)
    return filters.reshape(side, side, inputs.shape[-1], -1)


def apply(filters: Filters, inputs: Float[Array, "b h w c"]) -> Float[Array, "b h w d"]:
    """-> the patch that begins at each pixel; zeros lie beyond the last row and column."""
    far = filters.shape[0] - 1
    return jax.lax.conv_general_dilated(
        inputs, filters, (1, 1), ((0, far), (0, far)), dimension_numbers=ORDER
    )
