"""The benchmark `cpu`: steps of ResNet-20 by resjax's own loop, PyTorch and stock Flax."""

from collections.abc import Sequence
from pathlib import Path

from experiments.benchmarks import workload
from experiments.benchmarks.benchmark import Benchmark
from experiments.benchmarks.harness import Side, module


def _sides(folder: Path, steps: int) -> Sequence[Side]:
    common = ("--images", folder / "images", "--steps", steps)

    def torch(name: str, label: str, *switches: str) -> Side:
        return Side(name, label, module("torch_side", *common, *switches), needs=("torch",))

    return (
        Side("resjax", "resjax train", module("resjax_side", *common)),
        torch("torch", "PyTorch eager"),
        torch("torch_channels_last", "PyTorch eager, channels_last", "--channels-last"),
        torch("torch_compile", "PyTorch compiled, channels_last", "--compile", "--channels-last"),
        Side("flax", "Flax, stock", module("flax_side", *common)),
    )


BENCHMARK = Benchmark(
    name="cpu",
    title="Training ResNet-20 on the CPU",
    note=(
        "Each side trains ResNet-20 (batch 128, float32, SGD with momentum and weight decay, random crops"
        " and flips) on the same images in memory, in a live process of its own: resjax by its real loop as"
        " the command line starts it, metrics and log included, the others by a bare loop. They take turns"
        " of {steps} steps in an order that rotates; times are medians over rounds, speeds medians of the"
        " ratios within rounds (least to greatest), rounds in which a matrix product ran below"
        " {threshold:.0%} of its best speed are left out, and the first step counts from the start of the"
        " process, with empty compilation caches."
    ),
    platform="cpu",
    ours="resjax",
    baseline="torch_channels_last",  # the faster of the two eager loops; cpu.md has both
    images=workload.BATCH,
    prepare=lambda folder: workload.write_images(folder / "images"),
    sides=_sides,
)
