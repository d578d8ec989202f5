"""Nets for images of 224 pixels, as files have them and as configs describe them, and images for them."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from carried import MEAN, STD, config_of
from joined_dicts import DenseNet, GoogLeNet
from state_dicts import Net

from resjax.config import Config
from resjax.models.densenet import IMAGENET_SIZES

SIDE = 48  # planes of 24, 12, 6 and 3: the last halving meets an odd edge
PORT: dict[str, Any] = dict(
    name="googlenet", norm="batch", norm_epsilon=1e-3, local_norm=False, five_as_three=True, last_pool="2x2"
)
SIZES = (1, 2, 2, 1)  # layers in DenseNet-121's blocks here, for the 58 that it has take a minute to compile
# What a file holds, and the section `model` that is the same net.
NETS: dict[str, tuple[Net, dict[str, Any]]] = {
    "torchvision densenet121": (DenseNet(SIZES, 2), dict(name="imagenet_densenet", growth=2)),
    "torchvision googlenet": (GoogLeNet(), PORT),
}


def shallow(patch: pytest.MonkeyPatch) -> None:
    patch.setitem(IMAGENET_SIZES, 121, SIZES)


def data(folder: Path) -> Path:
    """-> the prefix of a data set of random images and ten classes."""
    rng = np.random.default_rng(0)
    for split in ("train", "test"):
        images = rng.integers(0, 256, (10, SIDE, SIDE), np.uint8)
        np.savez(folder / f"random-{split}.npz", image=images, label=np.arange(10))
    return folder / "random"


def large_config(prefix: Path, model: dict[str, Any], *flags: str) -> Config:
    return config_of(model, f"--config.data.name=npz:{prefix}", "--config.train.batch_size=2", *flags)


def large_images(prefix: Path) -> tuple[np.ndarray, np.ndarray]:
    """-> stored test images (n, h, w, 1), and the same as PyTorch's nets read them."""
    images = np.load(f"{prefix}-test.npz")["image"]
    return images[..., None], ((images[:, None] / 255 - MEAN) / STD).astype(np.float32)
