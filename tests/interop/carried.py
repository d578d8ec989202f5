"""Nets as files have them and as configs describe them, for the tests of import and export."""

from functools import partial
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from joined_dicts import DenseNet
from safetensors.numpy import save_file
from state_dicts import FAST, Net, ResNet, Tensors, WideResNet, draw

from resjax import config as configs
from resjax.config import Config
from resjax.data import sources
from resjax.probes import subject

SMALL: dict[str, Any] = dict(width=8)
EIGHTEEN: dict[str, Any] = dict(name="imagenet_resnet", depth=18, **SMALL)
FIFTY: dict[str, Any] = dict(name="imagenet_resnet", depth=50, width=4)
GROUPS: dict[str, Any] = dict(name="imagenet_resnext", depth=50, width=4)
TWENTY: dict[str, Any] = dict(name="cifar_resnet", depth=20, **SMALL)
A: dict[str, Any] = dict(stem=3, classifier="linear")
# What a file holds, the section `model` that is the same net, and where option A's zeros are.
NETS: dict[str, tuple[Net, dict[str, Any], str | None]] = {
    "torchvision resnet18": (ResNet((2, 2, 2, 2), 8), EIGHTEEN, None),
    "torchvision resnet50": (ResNet((3, 4, 6, 3), 4, inner=1), FIFTY, None),
    "torchvision resnext50": (
        ResNet((3, 4, 6, 3), 4, inner=2, groups=4), dict(GROUPS, cardinality=4, group_width=2), None
    ),
    "torchvision wide_resnet50_2": (
        ResNet((3, 4, 6, 3), 4, inner=2), dict(GROUPS, cardinality=1, group_width=8), None
    ),
    "timm seresnet50": (
        ResNet((3, 4, 6, 3), 4, inner=1, ratio=4), dict(FIFTY, excitation=4), None
    ),
    "timm resnet26d": (
        ResNet((2, 2, 2, 2), 4, inner=1, shortcut="pool", stem=0),
        dict(FIFTY, depth=26, stem="deep", shortcut="D"), None,
    ),
    "pytorch-cifar resnet18": (
        ResNet((2, 2, 2, 2), 8, shortcut="shortcut", **A), dict(EIGHTEEN, stem="cifar"), None
    ),
    "pytorch_resnet_cifar10, A": (ResNet((3, 3, 3), 8, shortcut="both", **A), TWENTY, "both"),
    "A behind": (ResNet((3, 3, 3), 8, shortcut="behind", **A), TWENTY, "behind"),
    "B": (ResNet((3, 3, 3), 8, shortcut="shortcut", **A), dict(TWENTY, shortcut="B"), None),
    "B, fc": (ResNet((3, 3, 3), 8, stem=3), dict(TWENTY, shortcut="B"), None),
    "WideResNet-pytorch 16-2": (WideResNet(2, 2), dict(name="wide_resnet", depth=16, widen=2), None),
    "WideResNet-pytorch 10-1": (WideResNet(1, 1), dict(name="wide_resnet", depth=10, widen=1), None),
    "efficient_densenet_pytorch": (
        DenseNet((3, 3, 3), 4, "norm_final", 3), dict(name="densenet", depth=22, growth=4), None
    ),
}  # fmt: skip
MEAN, STD = 0.4, 0.3


def config_of(model: dict[str, Any], *flags: str) -> Config:
    base = {"data": {"name": "digits"}, "model": model}
    base["schedule"] = dict(name="constant", unit="steps", length=2, learning_rate=0.01)
    base["train"] = dict(batch_size=100, eval_every=0.2)
    constants = (f"mean=({MEAN},)", f"std=({STD},)", "normalize=constants")
    return configs.override(base, [*(f"--config.input.{each}" for each in constants), *flags])


def config_file(folder: Path, model: dict[str, Any], more: str = "") -> Path:
    """-> the same as a file, for the command line."""
    file = folder / "net.py"
    file.write_text(
        "from ml_collections import ConfigDict\n\ndef get_config():\n    config = ConfigDict()\n"
        f"    config.data = dict(name='digits')\n    config.model = dict(**{model!r})\n"
        "    config.schedule = dict(length=1, learning_rate=0.01)\n"
        f"    config.train = dict(batch_size=100)\n    {more}\n    return config\n"
    )
    return file


def saved(folder: Path, net: Net, seed: int = 0) -> tuple[Path, Tensors]:
    """-> a .safetensors file of a net's drawn values, and they."""
    tensors = draw(net.shapes(), seed)
    path = folder / "net.safetensors"
    save_file(tensors, path)
    return path, tensors


def read_images() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """-> stored test images (n, h, w, 1), the same as PyTorch's nets read them, and labels."""
    test = sources.load(name="digits").test
    inputs = (test.images.transpose(0, 3, 1, 2) / 255 - MEAN) / STD
    return test.images, inputs.astype(np.float32), test.labels


def logits_of(workdir: Path, images: np.ndarray) -> np.ndarray:
    """-> what evaluation has of a run's net for stored images."""
    run = subject.of_run("", workdir)
    evaluate = jax.jit(partial(run.net.apply, train=False), compiler_options=FAST)
    found: Any = evaluate(run.averaged, run.job.pipeline.evaluate(jnp.asarray(images)))
    return np.asarray(found["main"])


def assert_close(got: np.ndarray, want: np.ndarray, tolerance: float = 1e-4) -> None:
    """Nowhere further apart than the share `tolerance` of the largest logit."""
    assert got.shape == want.shape
    np.testing.assert_allclose(got, want, rtol=0, atol=tolerance * np.abs(want).max())
