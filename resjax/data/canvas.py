"""Images composed of real digits, every pixel labelled: a segmentation task that needs no download.

Each canvas holds two to five digits of one split, as large as they are or twice that, at random places; where
they overlap, the later one lies on top. A pixel's label is 1 + the digit where its ink is, and 0 elsewhere.
"""

import numpy as np
from jaxtyping import UInt8

from resjax.data.split import Split

CLASSES = 11  # the background, and ten digits
INK = 64  # intensities from here on are labelled


def compose(digits: Split, canvases: int, side: int, seed: int) -> Split:
    """-> so many canvases of `side` x `side` pixels; the same ones for the same arguments."""
    draw = np.random.default_rng([seed, 0xCA57])
    images = np.zeros((canvases, side, side, 1), np.uint8)
    labels = np.zeros((canvases, side, side), np.uint8)
    for image, label in zip(images, labels, strict=True):
        for number in draw.integers(len(digits), size=draw.integers(2, 6)):
            digit = _enlarged(digits.images[number, ..., 0], side, draw)
            top, left = draw.integers(0, side - np.array(digit.shape) + 1)
            place = (slice(top, top + digit.shape[0]), slice(left, left + digit.shape[1]))
            ink = digit >= INK
            image[place][ink] = digit[ink][:, None]
            label[place][ink] = 1 + digits.labels[number]
    return Split(images, labels)


def _enlarged(
    digit: UInt8[np.ndarray, "h w"], side: int, draw: np.random.Generator
) -> UInt8[np.ndarray, "i j"]:
    """-> the digit, once or twice as large, where that takes at most half of the canvas."""
    factor = int(draw.integers(1, 3)) if 4 * max(digit.shape) <= side else 1
    return np.kron(digit, np.ones((factor, factor), np.uint8))
