"""What a training step needs by depth and rematerialisation, as the compiler plans it: memory.json and .md.

    python -m experiments.benchmarks.memory [--render]

Nothing is run: the program of one step is compiled and asked for its plan. So depths that this machine could
not train are in the table too.
"""

import sys
import time
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from experiments.benchmarks import page
from experiments.benchmarks.__main__ import RESULTS
from experiments.benchmarks.page import Record
from experiments.benchmarks.workload import BATCH, SIZE
from resjax import backend
from resjax.record import provenance

PATH = RESULTS / "memory.json"
POLICIES = ("none", "norms", "units")
BOTTLENECK = {"model.block": "bottleneck", "model.order": "preactivation", "model.shortcut": "B"}
NETS: dict[str, tuple[int, dict[str, Any]]] = {
    "ResNet-20": (20, {}),
    "ResNet-56": (56, {}),
    "ResNet-110": (110, {}),
    "ResNet-164, pre-activation": (164, BOTTLENECK),
    "ResNet-1001, pre-activation": (1001, BOTTLENECK),
}

NOTE = """# Memory of a training step, by depth and rematerialisation

{table}

What XLA plans for temporaries of a step of 128 images of 32 x 32 pixels, float32, SGD with momentum, beside
parameters and data. Nothing was run.

{kind} ({platform}); jax {jax}, flax {flax}; commit {commit}.
"""


def measure() -> Iterator[dict[str, Any]]:
    for net, (depth, settings) in NETS.items():
        for policy in POLICIES:
            yield {"net": net, "remat": policy, **plan(depth, settings | {"train.remat": policy})}


def plan(depth: int, settings: Mapping[str, Any]) -> dict[str, Any]:
    """-> how one step's memory is planned, how long the compiler took, and the longest loop over units."""
    import jax

    from resjax import config, job
    from resjax.data.sources import Dataset
    from resjax.data.split import Split
    from resjax.programs import TrainProgram

    images = Split(np.zeros((BATCH, SIZE, SIZE, 3), np.uint8), np.zeros(BATCH, np.int64))
    overrides = [f"--config.{key}={value}" for key, value in settings.items()]
    loaded = config.load(f"configs/cifar10_resnet.py:{depth}", overrides)
    found = job.build(loaded, lambda **_: Dataset("noise", 10, images, images, images))
    stage = found.last
    state = jax.eval_shape(stage.pack, stage.state_like(0))
    index, weights = np.zeros((1, BATCH), np.int32), stage.loss_weights(0, 1)
    start = time.perf_counter()
    program = TrainProgram(1, stage.task)
    lowered = program.lower(state, index, 1, found.device_data(images), jax.random.key(0), weights)
    temporary = lowered.compile().memory_analysis().temp_size_in_bytes
    return {
        "temporary_bytes": temporary,
        "compile_seconds": round(time.perf_counter() - start, 2),
        "loop": max(map(len, stage.net.scanned), default=0),
    }


def markdown(record: Record) -> str:
    rows = {(row["net"], row["remat"]): row for row in record["rows"]}
    lines = ["| net | remat | units in a loop | temporaries, GB | none = 1 | traced and compiled in, s |"]
    lines += ["|---|---|---:|---:|---:|---:|"]
    for (net, policy), row in rows.items():
        size, whole = (rows[net, each]["temporary_bytes"] for each in (policy, "none"))
        loop = str(row["loop"] or "-")
        cells = [net, policy, loop, f"{size / 1e9:.2f}", f"{size / whole:.2f}", f"{row['compile_seconds']}"]
        lines.append(f"| {' | '.join(cells)} |")
    return NOTE.format(
        table="\n".join(lines), **record["device"], **record["versions"], commit=record["commit"]
    )


def run() -> dict[str, Any]:
    return {"benchmark": "memory", "rows": list(measure()), **provenance()}


if __name__ == "__main__":
    backend.configure()
    page.publish(PATH, run, markdown, sys.argv[1:])
