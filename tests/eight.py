"""Runs on eight CPU devices, in a process of their own; `eight.py FOLDER first` prints them as JSON.

`every` in place of `first` has more of them. JAX makes its devices when it starts, so that the process of the
other tests cannot have these. What each number is about, test_mesh.py says.
"""

import contextlib
import hashlib
import io
import json
import os
import re
import sys
from collections import Counter
from pathlib import Path
from typing import Any

if __name__ == "__main__":
    # Eight devices; and little time for the compiler, whose programs are small and run a few times.
    os.environ["XLA_FLAGS"] = " ".join(
        (
            "--xla_force_host_platform_device_count=8",
            "--xla_backend_optimization_level=0",
            "--xla_cpu_use_fusion_emitters=false",
        )
    )
    os.environ |= {"JAX_ENABLE_COMPILATION_CACHE": "true", "JAX_COMPILATION_CACHE_DIR": f"{sys.argv[1]}/xla"}

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from ml_collections import ConfigDict
from recipe import decoder, killed_and_resumed, phase, with_phases

from resjax import backend, training
from resjax import config as configs
from resjax import job as jobs
from resjax import mesh as meshes
from resjax.__main__ import main as command
from resjax.checkpoint import Checkpoints
from resjax.config import Config
from resjax.evaluation import evaluate
from resjax.mesh import Layout
from resjax.programs import TrainProgram
from resjax.training import train

BATCH, SPLIT = 64, Layout(4, 2)
LAYOUTS = {"one": Layout(1), "eight": None, "split": SPLIT}


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


def connected() -> Config:
    """Autoencoders, the second one on the kept features of the first; then five units, stacked, in a loop."""
    config = ConfigDict()
    config.data = dict(name="digits")
    config.model = dict(name="residual_mlp", depth=12, width=8)
    config.schedule = dict(name="constant", unit="steps", length=10, learning_rate=0.02)
    config.train = dict(batch_size=BATCH, scan_from=2, steps_per_dispatch=5)
    first = phase("first", decoder("block1"), until="block1", noise=0.25)
    second = phase("second", decoder("block2"), after="block1", until="block2", noise=0.25)
    return with_phases(config, first, second)


class Watched(TrainProgram):
    """Notes which examples a run trains on, and how often JAX compiles one and the same program."""

    order = hashlib.sha256()
    compiled = 0

    def __call__(self, state: Any, index: Any, count: int, *rest: Any) -> Any:
        Watched.order.update(np.asarray(index[:count]).tobytes())
        found = super().__call__(state, index, count, *rest)
        compiled: Any = self._compiled
        Watched.compiled = max(Watched.compiled, compiled._cache_size())
        return found


def run(config: Config, folder: Path, layout: Layout | None) -> dict[str, Any]:
    Watched.order, Watched.compiled = hashlib.sha256(), 0
    result = train(config, folder, layout=layout)
    noted = {"order": Watched.order.hexdigest(), "compiled": Watched.compiled}
    return {key: result[key] for key in ("state_sha256", "mesh", "metrics")} | noted


def arrays(config: Config, folder: Path) -> dict[str, np.ndarray]:
    """-> those of a run's last state, by name."""
    with Checkpoints(folder, read_only=True) as checkpoints:
        found = checkpoints.resume(jobs.build(config).state_like)
    assert found is not None
    leaves = jax.tree_util.tree_leaves_with_path(found[0])
    return {jax.tree_util.keystr(path): np.asarray(leaf, np.float64) for path, leaf in leaves}


def distance(config: Config, a: Path, b: Path) -> float:
    """-> the greatest difference between two runs' arrays, in units of each array's largest value."""
    one, two = arrays(config, a), arrays(config, b)
    assert one.keys() == two.keys()
    return max(float(np.abs(one[name] - x).max() / max(np.abs(x).max(), 1e-6)) for name, x in two.items())


def compare(config: Config, folder: Path, *names: str) -> dict[str, Any]:
    """Trains on one device, and on each of these layouts."""
    found: dict[str, Any] = {"one": run(config, folder / "one", LAYOUTS["one"])}
    for name in names:
        found[name] = run(config, folder / name, LAYOUTS[name])
        found[name]["distance"] = distance(config, folder / name, folder / "one")
    return found


def narrow(config: Config, folder: Path, layout: Layout) -> tuple[list[str], list[float]]:
    """-> the types of a last state's floating-point numbers, and the losses."""
    curve = train(config, folder, layout=layout)["curve"]
    with Checkpoints(folder, read_only=True) as checkpoints:
        found = checkpoints.arrays(int(config.schedule.length))
    types = {str(x.dtype) for x in found.values() if jnp.issubdtype(x.dtype, jnp.inexact)}
    return sorted(types), [row["train/loss"] for row in curve if "train/loss" in row]


def read_by_others(config: Config, folder: Path) -> dict[str, list[str]]:
    """-> the digests of each run's last state, as every layout reads it."""
    found: dict[str, list[str]] = {}
    for name in LAYOUTS:
        for layout in LAYOUTS.values():
            (folder / name / "result.json").unlink()
            found.setdefault(name, []).append(train(config, folder / name, layout=layout)["state_sha256"])
    return found


def go_on(config: Config, folder: Path, before: str, then: str) -> float:
    """-> how far a run that changes its layout halfway ends from one on one device."""
    with pytest.MonkeyPatch.context() as patch:
        layouts = (LAYOUTS[before], LAYOUTS[then])
        killed_and_resumed(config, folder / f"{before}-{then}", 25, patch, layouts)
    return distance(config, folder / f"{before}-{then}", folder / "one")


def collectives(config: Config, layout: Layout) -> tuple[dict[str, int], list[str]]:
    """-> how often the devices exchange what in a program of steps, and the shapes of its images."""
    mesh = meshes.make(layout)
    job = jobs.build(config, mesh=mesh)
    stage, index, key = job.last, np.zeros((5, BATCH), np.int32), jax.random.key(0)
    state = stage.init_state(key)
    state = jax.device_put(state, meshes.state(mesh, state))
    rest = (index, 5, job.device_data(job.dataset.train), key, stage.loss_weights(0, 5))
    text = TrainProgram(5, stage.task, mesh).lower(state, *rest).compile().as_text()
    kinds = r" (all-reduce|all-gather|all-to-all|collective-permute|reduce-scatter)(?:-start)?\("
    return Counter(re.findall(kinds, text)), re.findall(r"= f32\[(\d+,8,8,4)\]\S* convolution", text)


def share_of_one(config: Config, layout: Layout) -> float:
    """-> which share of the bytes of all parameters and moments the first device holds."""
    mesh = meshes.make(layout)
    state = jobs.build(config, mesh=mesh).last.init_state(jax.random.key(0))
    leaves: Any = jax.tree.leaves((state.params, state.opt_state))
    placed = [jax.device_put(leaf, meshes.state(mesh, leaf)) for leaf in leaves]
    return sum(leaf.addressable_shards[0].data.nbytes for leaf in placed) / sum(x.nbytes for x in leaves)


def tell(*argv: str) -> tuple[int, str]:
    """-> a command's exit code and what it says to stderr."""
    with contextlib.redirect_stderr(io.StringIO()) as said:
        return command(argv), said.getvalue()


def first(folder: Path) -> dict[str, Any]:
    config, conv = convolutional(), folder / "conv"
    found: dict[str, Any] = {"conv": compare(config, conv, "eight", "split")}
    found["collectives"] = {"eight": collectives(config, Layout(8)), "split": collectives(config, SPLIT)}
    found["share"] = share_of_one(config, SPLIT)
    digits = ("train", "--config=configs/digits.py", f"--workdir={folder / 'digits'}")
    found["default"] = tell(*digits, "--config.train.batch_size=100")
    found["uneven parts"] = tell(*digits, "--config.train.batch_size=64", "--config.train.accumulate=16")
    found["fewer"] = tell("eval", f"--workdir={conv / 'split'}", "--mesh=data=5")
    return found


def every(folder: Path) -> dict[str, Any]:
    found, config, conv = first(folder), convolutional(), folder / "conv"
    groups = convolutional("--config.model.norm_examples=8", "--config.schedule.length=25")
    found["groups"] = compare(groups, folder / "groups", "eight")
    parts = convolutional("--config.train.accumulate=2", "--config.schedule.length=25")
    found["parts"] = compare(parts, folder / "parts", "eight", "split")
    found["phases"] = compare(connected(), folder / "phases", "split")
    bfloat16 = convolutional("--config.model.dtype=bfloat16", "--config.schedule.length=25")
    found["narrow"] = narrow(bfloat16, folder / "narrow", Layout(2))
    found["gone on"] = {
        f"{a}-{b}": go_on(config, conv, a, b) for a, b in (("eight", "one"), ("one", "split"))
    }
    found["evaluated"] = {name: evaluate(conv / "one", layout=each) for name, each in LAYOUTS.items()}
    found["read"] = read_by_others(config, conv)
    for name, each in (("groups", groups), ("parts", parts)):
        found["collectives"][name] = collectives(each, Layout(8))
    return found


if __name__ == "__main__":
    backend.configure()
    training.TrainProgram = Watched
    print(json.dumps({"first": first, "every": every}[sys.argv[2]](Path(sys.argv[1]))))
