"""What all sides of the benchmark `cpu` train: ResNet-20 (He et al. 2015, section 4.2), on noise.

The numbers are those of configs/cifar10_resnet.py, for the peers, which know no resjax (a test compares
them). Speed does not depend on what the images show, so no data set is needed. NumPy alone is imported.
"""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
from jaxtyping import Float, Int, UInt8

DEPTH = 20
WIDTHS = (16, 32, 64)  # of the three stages, each of (DEPTH - 2) / 6 units
CLASSES = 10
BATCH = 128
RATE, MOMENTUM, DECAY = 0.1, 0.9, 1e-4  # decay of weights of layers, not of norms or biases
PAD, SIZE, CHANNELS = 4, 32, 3
TRAIN, TEST = 4096, 512  # images


def write_images(prefix: Path) -> None:
    """Writes PREFIX-train.npz and PREFIX-test.npz as `npz:PREFIX` reads them."""
    random = np.random.default_rng(0)
    for split, count in (("train", TRAIN), ("test", TEST)):
        images = random.integers(0, 256, (count, SIZE, SIZE, CHANNELS), np.uint8)
        np.savez(f"{prefix}-{split}.npz", image=images, label=np.arange(count) % CLASSES)


def read_images(
    prefix: str,
) -> tuple[UInt8[np.ndarray, "n h w c"], Int[np.ndarray, " n"], Float[np.ndarray, "1 h w c"]]:
    """-> images of train, labels, and the mean image."""
    with np.load(f"{prefix}-train.npz") as arrays:
        images, labels = arrays["image"], arrays["label"]
    return images, labels, images.mean(0, dtype=np.float64, keepdims=True).astype(np.float32)


def batches(examples: int) -> Iterator[Int[np.ndarray, " b"]]:
    """Indices of batches without end, each epoch in an order of its own."""
    random = np.random.default_rng(1)
    while True:
        order = random.permutation(examples)
        for start in range(0, examples - BATCH + 1, BATCH):
            yield order[start : start + BATCH]
