"""Images with their labels: in memory, or in a file of which only what is asked for is read."""

import contextlib
import dataclasses
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from jaxtyping import Int64, UInt8

from resjax.errors import UserError

Images = UInt8[np.ndarray, "n h w c"]
Labels = Int64[np.ndarray, " n"] | UInt8[np.ndarray, "n h w"]  # of images, or of their pixels
LARGEST = 4 * 2**30  # bytes of a set that is held whole; a quarter of the memory of the smallest TPU chip


def is_large(size: int) -> bool:
    """-> whether a set of so many bytes is held neither in memory nor on a device."""
    return size > LARGEST


@dataclasses.dataclass(frozen=True, eq=False)
class Rows:
    """Images of a memory-mapped file, in an order of their own; they are read when they are asked for."""

    file: np.memmap
    index: Int64[np.ndarray, " n"]

    @property
    def shape(self) -> Any:
        return (len(self.index), *self.file.shape[1:])

    @property
    def nbytes(self) -> int:
        return len(self.index) * self.file[0].nbytes

    def __len__(self) -> int:
        return len(self.index)

    def __getitem__(self, at: Any) -> np.ndarray:
        """Raises UserError where the file has become shorter: to read behind its end ends a process."""
        path, due = Path(str(self.file.filename)), self.file.offset + self.file.nbytes
        with contextlib.suppress(FileNotFoundError):  # one that was removed stays readable
            found = path.stat().st_size
            if found < due:
                raise UserError(
                    f"{path} has {found:,} bytes, not {due:,}: it was cut short while it was in use; start"
                    " again, and the images are decoded anew"
                )
        return np.asarray(self.file).take(self.index[at], 0)


if TYPE_CHECKING:
    Stored = Any  # users read both kinds by index alone
else:
    Stored = Images | Rows


@dataclasses.dataclass(frozen=True, eq=False)
class Split:
    """Images (n, h, w, c) uint8, and labels (n,) int64, or of each pixel (n, h, w) uint8."""

    images: Stored
    labels: Labels

    def __len__(self) -> int:
        return len(self.labels)

    def take(self, index: np.ndarray) -> "Split":
        """-> these examples; images of a file stay there."""
        images = self.images
        chosen = Rows(images.file, images.index[index]) if isinstance(images, Rows) else images[index]
        return Split(chosen, self.labels[index])

    def apart(self, holdout: int, seed: int) -> tuple["Split", "Split"]:
        """-> what is kept, and `holdout` examples that the seed chooses, each in the order of before."""
        order = np.random.default_rng([seed, 0x5EED]).permutation(len(self))
        kept, held = np.sort(order[holdout:]), np.sort(order[:holdout])
        return self.take(kept) if holdout else self, self.take(held)  # without holdout nothing is copied
