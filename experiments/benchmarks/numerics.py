"""Whether what is fast on the CPU learns the same: numerics.json and .md.

    resjax prepare tfds:cifar10
    python -m experiments.benchmarks.numerics [--render]

The same short runs as the command line makes them, with the settings and gradients of `resjax.backend` and
with JAX's own.
"""

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from experiments.benchmarks import page
from experiments.benchmarks.__main__ import RESULTS
from experiments.benchmarks.harness import ROOT
from experiments.benchmarks.page import Record
from resjax import stats
from resjax.record import provenance

PATH = RESULTS / "numerics.json"
SEEDS = (0, 1, 2)
ARMS = {"as it is": "1", "RESJAX_CPU_TUNING=0": "0"}
CONFIG = "configs/cifar10_resnet.py:8"
# One step in a program: inside of a loop, XLA:CPU's own gradients of convolutions are many times slower.
OVERRIDES = {"schedule.name": "one_cycle", "schedule.unit": "epochs", "schedule.length": 2}
OVERRIDES |= {"train.steps_per_dispatch": 1}
NOTE = """# What is fast on the CPU, and what it learns

{table}

Test accuracy of ResNet-8 on CIFAR-10 after two epochs (a shortened run), mean ± std over {n} seeds: with
the kernels, the allocator and the gradients that [backend.py](../../../resjax/backend.py) chooses, and with
those of JAX and Flax. The difference, paired by seed, is {mean:+.2f} points (95 % interval {low:+.2f} to
{high:+.2f}). The two differ in rounding alone, of which training soon makes another draw, as another seed
does.

{date}, on {kind} ({platform}, {cpu_count} cores); jax {jax}, flax {flax}; commit {commit}.
"""


def measure() -> Iterator[dict[str, Any]]:
    """-> run after run."""
    for seed in SEEDS:
        for arm, tuning in ARMS.items():
            with tempfile.TemporaryDirectory(prefix="resjax-") as workdir:
                command = [sys.executable, "-m", "resjax", "train", "--config", CONFIG, "--workdir", workdir]
                command += [f"--config.{key}={value}" for key, value in (OVERRIDES | {"seed": seed}).items()]
                own = os.environ | {"RESJAX_CPU_TUNING": tuning}
                subprocess.run(command, cwd=ROOT, env=own, check=True)
                found = json.loads((Path(workdir) / "result.json").read_text())
            kept = {key: found[key] for key in ("compiler_options", "seconds", "state_sha256")}
            yield {"arm": arm, "seed": seed, "accuracy": found["metrics"]["test/accuracy"], **kept}


def run() -> dict[str, Any]:
    return {"runs": list(measure()), **provenance(), "date": time.strftime("%Y-%m-%d")}


def accuracies(record: Record, arm: str) -> dict[int, float]:
    """-> {seed: test accuracy, in percent}."""
    return {each["seed"]: 100 * each["accuracy"] for each in record["runs"] if each["arm"] == arm}


def markdown(record: Record) -> str:
    ours, stock = (accuracies(record, arm) for arm in ARMS)
    lines = ["| settings | test accuracy, % | n |", "|---|---:|---:|"]
    for arm in ARMS:
        found = stats.summarize(list(accuracies(record, arm).values()))
        lines.append(f"| {arm} | {found.mean:.2f} ± {found.std:.2f} | {found.n} |")
    difference = stats.paired_difference(ours, stock)
    if difference is None:
        raise ValueError("no seed was run both ways")
    numbers = {"n": difference.n, "mean": difference.mean, "low": difference.low, "high": difference.high}
    places = {**record["device"], **record["versions"], **record}
    return NOTE.format(table="\n".join(lines), **(places | numbers))


if __name__ == "__main__":
    page.publish(PATH, run, markdown, sys.argv[1:])
