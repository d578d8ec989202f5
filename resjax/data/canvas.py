"""Images composed of real digits, every pixel labelled: a segmentation task that needs no download.

Each canvas holds two to five digits of one split, as large as they are or twice that, at random places; where
they overlap, the later one lies on top. A pixel's label is 1 + the digit where its ink is, and 0 elsewhere.
"""

import numpy as np
from jaxtyping import UInt8

from resjax.data.split import Split

CLASSES = 11  # the background, and ten digits
CANVASES = {"digits": (32, (2000, 500)), "mnist": (64, (10_000, 2000))}  # side, numbers of train and test
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


def apart(name: str, digits: Split, holdout: int, seed: int) -> tuple[Split, Split]:
    """-> canvases to train on, and `holdout` held-out ones that share no digit with them.

    As large a share of the digits is held out, by a rule that `seed` fixes.
    """
    side, (canvases, _) = CANVASES[name]
    kept, held = digits.apart(max(1, len(digits) * holdout // canvases), seed)
    return compose(kept, canvases - holdout, side, 0), compose(held, holdout, side, 2)


def _enlarged(
    digit: UInt8[np.ndarray, "h w"], side: int, draw: np.random.Generator
) -> UInt8[np.ndarray, "i j"]:
    """-> the digit, once or twice as large, where that takes at most half of the canvas."""
    factor = int(draw.integers(1, 3)) if 4 * max(digit.shape) <= side else 1
    return np.kron(digit, np.ones((factor, factor), np.uint8))
