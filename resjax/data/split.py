"""Images with their labels."""

import dataclasses

import numpy as np
from jaxtyping import Int64, UInt8

Images = UInt8[np.ndarray, "n h w c"]
Labels = Int64[np.ndarray, " n"] | UInt8[np.ndarray, "n h w"]  # of images, or of their pixels


@dataclasses.dataclass(frozen=True)
class Split:
    """Images (n, h, w, c) uint8, and labels (n,) int64, or of each pixel (n, h, w) uint8."""

    images: Images
    labels: Labels

    def __len__(self) -> int:
        return len(self.labels)

    def take(self, index: np.ndarray) -> "Split":
        return Split(self.images[index], self.labels[index])
