"""The benchmarks of resjax against itself: `heads`, what they cost, and `depth`, a loop over its units."""

from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path

from experiments.benchmarks import workload
from experiments.benchmarks.benchmark import Benchmark
from experiments.benchmarks.harness import Side, module

COMMON = (
    " by resjax's real loop, on images in memory, in turns of {steps} steps. Rounds, medians, ratios and what"
    " is left out are as in cpu.md."
)


def _sides(labels: Mapping[str, str], folder: Path, steps: int) -> Sequence[Side]:
    """-> a side for each name of a recipe."""
    common = ("--images", folder / "images", "--steps", steps)

    def side(name: str) -> Side:
        config = f"experiments/benchmarks/recipes.py:{name}"
        return Side(name, labels[name], module("resjax_side", *common, "--config", config))

    return [side(name) for name in labels]


def _benchmark(name: str, title: str, note: str, baseline: str, labels: Mapping[str, str]) -> Benchmark:
    return Benchmark(
        name=name,
        title=title,
        note=note + COMMON,
        platform="cpu",
        ours=baseline,
        baseline=baseline,
        images=workload.BATCH,
        prepare=lambda folder: workload.write_images(folder / "images"),
        sides=partial(_sides, labels),
    )


HEADS = _benchmark(
    "heads",
    "What auxiliary heads cost",
    "ResNet-20, batch 128, float32,",
    "none",
    {
        "none": "no heads",
        "linear": "a linear head at every unit",
        "conv": "two heads with a convolution",
        "discarded": "the two, discarded",
    },
)

DEPTH = _benchmark(
    "depth",
    "Units in a loop, and rematerialisation",
    "ResNet-56, batch 128, float32; memory.md has what each needs;",
    "unrolled",
    {
        "unrolled": "unrolled",
        "scanned": "units in a loop",
        "norms": "in a loop, norms anew",
        "units": "in a loop, units anew",
    },
)
