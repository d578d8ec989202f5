"""The benchmark `loop`: what resjax's loop adds to its steps, and how fast it evaluates."""

from collections.abc import Sequence
from pathlib import Path

from experiments.benchmarks import workload
from experiments.benchmarks.benchmark import Benchmark
from experiments.benchmarks.harness import Side, module


def _sides(folder: Path, steps: int) -> Sequence[Side]:
    common = ("--images", folder / "images", "--steps", steps)
    return (
        Side("resjax", "resjax train, with a checkpoint", module("resjax_side", *common, "--saves")),
        Side("bare", "its steps alone", module("bare_side", *common)),
        Side("evaluation", "its evaluation", module("evaluation_side", *common)),
    )


BENCHMARK = Benchmark(
    name="loop",
    title="What the training loop adds, and evaluation",
    note=(
        "ResNet-20, batch 128, float32, on images in memory. `resjax train` is the real loop: in each turn"
        " of {steps} steps it keeps metrics, writes a log line with its TensorBoard events, shows its"
        " progress and saves a checkpoint. Its steps alone keep no metrics and do nothing else, in the same"
        " order of data. Evaluation has as many images in a turn. Rounds, medians, ratios and what is left"
        " out are as in cpu.md."
    ),
    platform="cpu",
    ours="resjax",
    baseline="bare",
    images=workload.BATCH,
    prepare=lambda folder: workload.write_images(folder / "images"),
    sides=_sides,
)
