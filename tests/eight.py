"""Runs on eight CPU devices, in a process of their own: `python eight.py FOLDER` prints what test_mesh.py reads.

JAX makes the devices when it starts, so that the process of the other tests cannot have them.
"""

import hashlib
import json
import os
import re
import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

if __name__ == "__main__":
    os.environ["XLA_FLAGS"] = "--xla_force_host_platform_device_count=8"

import jax
import numpy as np
import pytest
from ml_collections import ConfigDict
from recipe import greedy, killed_and_resumed

from resjax import config as configs
from resjax import job as jobs
from resjax import mesh as meshes
from resjax import train as training
from resjax.checkpoint import Checkpoints
from resjax.config import Config
from resjax.evaluate import evaluate
from resjax.mesh import Layout
from resjax.programs import TrainProgram
from resjax.train import train

LAYOUTS = {"one": Layout(1), "eight": None, "split": Layout(4, 2)}
BATCH, GROUP = 64, 8


def convolutional(*flags: str) -> Config:
    """Fifty steps of ResNet-8 on digits, cropped and flipped, with momentum and a moving average."""
    config = ConfigDict()
    config.data = dict(name="digits")
    config.input = dict(pad=1, flip=True)
    config.model = dict(name="cifar_resnet", depth=8, width=4)
    config.schedule = dict(name="cosine", unit="steps", length=50, learning_rate=0.02)
    config.train = dict(batch_size=BATCH, eval_batch_size=100, ema_decay=0.9, eval_every=100)
    config.train.update(log_every=10, checkpoint_every=25, steps_per_dispatch=5)
    return configs.override(config, flags)


def connected(*flags: str) -> Config:
    """Ten steps of a net of 12 layers on digits, ten of them in a loop over stacked arrays."""
    config = ConfigDict()
    config.data = dict(name="digits")
    config.model = dict(name="residual_mlp", depth=12, width=8)
    config.schedule = dict(name="constant", unit="steps", length=10, learning_rate=0.02)
    config.train = dict(batch_size=BATCH, scan_from=2, steps_per_dispatch=5)
    return configs.override(config, flags)


class Watched(TrainProgram):
    """Notes which examples a run trains on, and how many programs JAX makes of one."""

    order: Any
    compiled: list[int]

    def __call__(self, state: Any, index: Any, count: int, *rest: Any) -> Any:
        Watched.order.update(np.asarray(index[:count]).tobytes())
        found = super().__call__(state, index, count, *rest)
        Watched.compiled.append(self._compiled._cache_size())  # pyright: ignore[reportFunctionMemberAccess]
        return found


def run(config: Config, folder: Path, layout: Layout | None) -> dict[str, Any]:
    Watched.order, Watched.compiled = hashlib.sha256(), []
    found = train(config, folder, layout=layout)
    kept = ("state_sha256", "mesh", "metrics")
    noted = {"order": Watched.order.hexdigest(), "programs": max(Watched.compiled, default=0)}
    return {key: found[key] for key in kept} | noted


def state(config: Config, folder: Path) -> dict[str, Any]:
    """-> the arrays of a run's last state, by name."""
    with Checkpoints(folder, read_only=True) as checkpoints:
        found = checkpoints.resume(jobs.build(config).state_like)
    assert found is not None
    leaves = jax.tree_util.tree_leaves_with_path(found[0])
    return {jax.tree_util.keystr(path): np.asarray(leaf, np.float64) for path, leaf in leaves}


def distance(config: Config, a: Path, b: Path) -> float:
    """-> the largest difference of two runs' arrays, in units of each array's largest value."""
    one, two = state(config, a), state(config, b)
    assert one.keys() == two.keys()
    return max(float(np.abs(one[name] - two[name]).max() / max(np.abs(two[name]).max(), 1e-3)) for name in one)


def compare(config: Config, folder: Path, *names: str) -> dict[str, Any]:
    """Trains on one device, and on each of the layouts."""
    found: dict[str, Any] = {"one": run(config, folder / "one", LAYOUTS["one"])}
    for name in names:
        ran = run(config, folder / name, LAYOUTS[name])
        found[name] = ran | {"distance": distance(config, folder / name, folder / "one")}
    return found


def read_again(config: Config, folder: Path) -> dict[str, str]:
    """-> the digests of a finished state that each layout reads from its last checkpoint."""
    found = {}
    for name, layout in LAYOUTS.items():
        (folder / "result.json").unlink()
        found[name] = train(config, folder, layout=layout)["state_sha256"]
    return found


def main(folder: Path) -> dict[str, Any]:
    training.TrainProgram = Watched
    found: dict[str, Any] = {"devices": jax.device_count()}
    config = convolutional()
    found["convolutional"] = compare(config, folder / "conv", "eight", "split")
    return found


if __name__ == "__main__":
    print(json.dumps(main(Path(sys.argv[1]))))
