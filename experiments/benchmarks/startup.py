"""How long it takes until something happens: startup.json and .md.

    python -m experiments.benchmarks.startup [--render]

Each time is of new processes, several times over; the fastest, the median and the slowest are shown. On a
machine whose speed moves from outside, the fastest says most.
"""

import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from experiments.benchmarks import page, workload
from experiments.benchmarks.__main__ import RESULTS
from experiments.benchmarks.harness import ROOT, Live, Side, environment, module
from experiments.benchmarks.memory import BOTTLENECK, plan
from experiments.benchmarks.page import Record
from experiments.benchmarks.rounds import probe
from resjax import backend
from resjax.record import provenance

PATH = RESULTS / "startup.json"
REPEATS = 5
DEEP = 1001
NOTE = """# Start-up

{table}

The first step is ResNet-20's (batch 128, images in memory), counted from the start of the process, imports
and initial values included; cold: with an empty compilation cache, warm: with that of the run before.
ResNet-1001 (pre-activation bottlenecks, identical units in a loop) is traced and compiled without a cache,
and not run.
A matrix product of NumPy ran at {slowest:.0f} to {fastest:.0f} GFLOP/s between them.

{date}, on {kind} ({platform}, {cpu_count} cores); jax {jax}, flax {flax}, python {python}; commit {commit}.
"""


def measure() -> Iterator[tuple[str, float]]:
    """-> (what, seconds), over and over."""
    for _ in range(REPEATS):
        yield "resjax train --help", help_seconds()
        with tempfile.TemporaryDirectory(prefix="resjax-", ignore_cleanup_errors=True) as folder:
            workload.write_images(Path(folder) / "images")
            yield "first step, cold", first_step_seconds(Path(folder))
            yield "first step, warm", first_step_seconds(Path(folder))
        yield f"ResNet-{DEEP} traced and compiled", compile_seconds()


def help_seconds() -> float:
    start = time.perf_counter()
    command = [sys.executable, "-m", "resjax", "train", "--help"]
    subprocess.run(command, cwd=ROOT, capture_output=True, check=True)
    return time.perf_counter() - start


def first_step_seconds(folder: Path) -> float:
    """The folder holds the images, and the caches of every run in it."""
    command = module("resjax_side", "--images", folder / "images", "--steps", 2)
    with Live(Side("resjax", "resjax train", command), folder) as live:
        return float(live.facts["first_step_seconds"])


def compile_seconds() -> float:
    """In a process of its own, which knows nothing that was compiled before."""
    with tempfile.TemporaryDirectory(prefix="resjax-") as folder:
        command = [sys.executable, "-m", "experiments.benchmarks.startup", "--compile"]
        own = environment(Path(folder))
        return float(subprocess.run(command, cwd=ROOT, env=own, capture_output=True, check=True).stdout)


def markdown(record: Record) -> str:
    lines = ["| what | fastest, s | median, s | slowest, s | n |", "|---|---:|---:|---:|---:|"]
    for what, seconds in record["seconds"].items():
        spread = (min(seconds), statistics.median(seconds), max(seconds))
        lines.append(f"| {what} | {' | '.join(f'{each:.2f}' for each in spread)} | {len(seconds)} |")
    places = {**record["device"], **record["versions"], **record}
    probes = {"slowest": min(record["probes"]), "fastest": max(record["probes"])}
    return NOTE.format(table="\n".join(lines), **probes, **places)


def run() -> dict[str, Any]:
    seconds: dict[str, list[float]] = {}
    probes = [probe()]
    for what, took in measure():
        seconds.setdefault(what, []).append(round(took, 3))
        probes.append(probe())
        print(f"{what}: {took:.2f} s; {probes[-1]:.0f} GFLOP/s", file=sys.stderr, flush=True)
    date = time.strftime("%Y-%m-%d")
    return {"benchmark": "startup", "seconds": seconds, "probes": probes, **provenance(), "date": date}


def main(arguments: Sequence[str]) -> None:
    backend.configure()
    if "--compile" in arguments:
        print(plan(DEEP, BOTTLENECK)["compile_seconds"])
        return
    page.publish(PATH, run, markdown, arguments)


if __name__ == "__main__":
    main(sys.argv[1:])
