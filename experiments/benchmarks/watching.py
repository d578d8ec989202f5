"""What probes in training cost: watching.json and .md.

    python -m experiments.benchmarks.watching [--render]

Steps of training and measurements take turns in one process, so that both meet the same machine.
"""

import dataclasses
import os
import statistics
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np

from experiments.benchmarks import page
from experiments.benchmarks.__main__ import RESULTS
from experiments.benchmarks.page import Record
from experiments.benchmarks.workload import BATCH, SIZE
from resjax import backend
from resjax.record import provenance

PATH = RESULTS / "watching.json"
ROUNDS, STEPS = 15, 5
NOTE = """# Probes in training

{table}

ResNet-20, batch 128, float32; a measurement reads 128 images. In each of {rounds} rounds {steps} steps, a
measurement and {steps} steps follow each other; a ratio is of a round's own steps. The last column is for the
default, a measurement every {every} steps. Load of the machine before: {load:.2f}.

{date}, on {kind} ({platform}, {cpu_count} cores); jax {jax}, flax {flax}; commit {commit}.
"""


def measure() -> Iterator[tuple[str, float, float]]:
    """-> (probe, seconds of a step, seconds of a measurement), round by round."""
    import jax

    from resjax import config, job
    from resjax.data.batches import train_batches
    from resjax.data.sources import Dataset
    from resjax.data.split import Split
    from resjax.programs import TrainProgram
    from resjax.watching import CHEAP, Watcher

    rng = np.random.default_rng(0)
    images = Split(rng.integers(0, 256, (BATCH, SIZE, SIZE, 3), np.uint8), rng.integers(0, 10, BATCH))
    data = Dataset("noise", 10, images, images, images)
    built = job.build(config.load("configs/cifar10_resnet.py:20"), lambda **_: data)
    stage, key = built.last, jax.random.key(0)
    task, split = TrainProgram(STEPS, stage.task_at(0)), built.device_data(images)
    index, weights = train_batches(BATCH, BATCH, 0, 0, STEPS), stage.loss_weights(0, STEPS)
    state = stage.init_state(key)

    def train() -> None:
        nonlocal state
        state, token = task(state, index, STEPS, split, key, weights)
        jax.block_until_ready(token)

    for name in CHEAP:
        watcher = Watcher(dataclasses.replace(built, watches=(watch(name),)))
        both = (train, lambda own=watcher: own(stage, state, 0))
        for each in both:
            each()
        for _ in range(ROUNDS):
            before, took, after = (_seconds(each) for each in (*both, train))
            yield name, (before + after) / (2 * STEPS), took


def watch(name: Any) -> Any:
    """-> the entry of a config with its defaults; imports JAX, which must come behind `backend.configure`."""
    from resjax.loop import Watch

    return Watch(name=name)


def _seconds(run: Callable[[], object]) -> float:
    start = time.perf_counter()
    run()
    return time.perf_counter() - start


def run() -> dict[str, Any]:
    load, rounds = os.getloadavg()[0], []
    for name, step, took in measure():
        rounds.append({"probe": name, "step": round(step, 5), "measurement": round(took, 5)})
        print(f"{name}: {took / step:.2f} steps", file=sys.stderr, flush=True)
    return {"rounds": rounds, "load": round(load, 2), **provenance(), "date": time.strftime("%Y-%m-%d")}


def markdown(record: Record) -> str:
    every = watch("gradients").every
    lines = ["| probe | cost of one, in steps (quartiles) | ms a step | share of training, % |"]
    lines += ["|---|---:|---:|---:|"]
    for name in dict.fromkeys(each["probe"] for each in record["rounds"]):
        own = [each for each in record["rounds"] if each["probe"] == name]
        low, middle, high = statistics.quantiles([each["measurement"] / each["step"] for each in own])
        step = 1000 * statistics.median(each["step"] for each in own)
        share = 100 * middle / every
        lines.append(f"| {name} | {middle:.2f} ({low:.2f} to {high:.2f}) | {step:.0f} | {share:.1f} |")
    places = {**record["device"], **record["versions"], **record}
    numbers = {"rounds": ROUNDS, "steps": STEPS, "every": every}
    return NOTE.format(table="\n".join(lines), **(places | numbers))


def main(arguments: Sequence[str]) -> None:
    backend.configure()
    page.publish(PATH, run, markdown, arguments)


if __name__ == "__main__":
    main(sys.argv[1:])
