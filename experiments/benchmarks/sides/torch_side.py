"""PyTorch as its users write it: an eager loop, or with --compile a compiled net, in either memory format.

The step is all there is: no metrics and no log, so the peer is given what resjax does besides. The
augmentation is of whole batches, the optimizer the fused one, and every core has a thread.
"""

import os
import shutil
import traceback
from collections.abc import Callable
from typing import Any

import numpy as np
import torch  # pyright: ignore[reportMissingImports]
import torch.nn.functional as F  # pyright: ignore[reportMissingImports]
from jaxtyping import Float, Int
from torch import Tensor, nn  # pyright: ignore[reportMissingImports]

from experiments.benchmarks import workload
from experiments.benchmarks.sides.protocol import Channel, arguments, serve


def conv(features_in: int, features: int, stride: int = 1) -> nn.Conv2d:
    made = nn.Conv2d(features_in, features, 3, stride, padding=1, bias=False)
    nn.init.kaiming_normal_(made.weight, mode="fan_out", nonlinearity="relu")
    return made


class Unit(nn.Module):
    """Two convolutions and option A's shortcut: every other pixel, zeros for the channels it lacks."""

    def __init__(self, features_in: int, features: int, stride: int):
        super().__init__()
        self.conv1, self.norm1 = conv(features_in, features, stride), nn.BatchNorm2d(features)
        self.conv2, self.norm2 = conv(features, features), nn.BatchNorm2d(features)
        self.stride, self.missing = stride, features - features_in

    def forward(self, x: Float[Tensor, "b c h w"]) -> Float[Tensor, "b d i j"]:
        y = F.relu(self.norm1(self.conv1(x)), inplace=True)
        y = self.norm2(self.conv2(y))
        if self.missing:
            x = F.pad(x[:, :, :: self.stride, :: self.stride], (0, 0, 0, 0, 0, self.missing))
        return F.relu(y + x, inplace=True)


def resnet() -> nn.Module:
    widths = workload.WIDTHS
    layers: list[nn.Module] = [conv(workload.CHANNELS, widths[0]), nn.BatchNorm2d(widths[0]), nn.ReLU(True)]
    for stage, features in enumerate(widths):
        for number in range((workload.DEPTH - 2) // 6):
            first = stage > 0 and number == 0
            layers.append(Unit(widths[stage - first], features, 1 + first))
    pool = nn.AdaptiveAvgPool2d(1), nn.Flatten()
    return nn.Sequential(*layers, *pool, nn.Linear(widths[-1], workload.CLASSES))


def augment(images: Float[Tensor, "b c h w"]) -> Float[Tensor, "b c h w"]:
    """A crop of the padded image and a flip, each image its own: a view of all crops, and one of each."""
    count, size = len(images), workload.SIZE
    crops = F.pad(images, (workload.PAD,) * 4).unfold(2, size, 1).unfold(3, size, 1)
    top, left = torch.randint(0, 2 * workload.PAD + 1, (2, count))
    inputs = crops[torch.arange(count), :, top, left]
    return torch.where(torch.rand(count, 1, 1, 1) < 0.5, inputs.flip(3), inputs)


def optimizer_of(net: nn.Module) -> torch.optim.Optimizer:
    kernels = [each for each in net.parameters() if each.ndim > 1]
    others = [each for each in net.parameters() if each.ndim == 1]
    groups = [
        {"params": kernels, "weight_decay": workload.DECAY},
        {"params": others, "weight_decay": 0.0},
    ]
    return torch.optim.SGD(groups, lr=workload.RATE, momentum=workload.MOMENTUM, fused=True)


def trainer(net: nn.Module, memory_format: torch.memory_format, prefix: str) -> Callable[[int], None]:
    """-> `run(k)`, which trains k steps."""
    stored, targets, mean_image = workload.read_images(prefix)
    images, mean = (torch.from_numpy(np.ascontiguousarray(x.transpose(0, 3, 1, 2)))
                    for x in (stored, mean_image))  # fmt: skip
    labels, order, optimizer = torch.from_numpy(targets), workload.batches(len(targets)), optimizer_of(net)

    def step(index: Int[Tensor, " b"]) -> None:
        inputs = augment((images[index].float() - mean) / 255).contiguous(memory_format=memory_format)
        loss = F.cross_entropy(net(inputs), labels[index])
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        optimizer.step()

    def run(steps: int) -> None:
        for _ in range(steps):
            step(torch.from_numpy(next(order)))

    return run


def compiled(net: nn.Module, channel: Channel, *rest: Any) -> Callable[[int], None]:
    """-> `trainer`'s run of the compiled net; where it does not compile, the harness is told why."""
    if not any(map(shutil.which, ("c++", "g++", "clang++"))):
        channel.cannot("torch.compile needs a C++ compiler, and there is none")
    inner = trainer(torch.compile(net), *rest)

    def run(steps: int) -> None:
        try:
            inner(steps)
        except Exception as error:  # each layer of the compiler raises its own
            traceback.print_exc()
            channel.cannot(f"torch.compile failed: {type(error).__name__}: {error}")

    return run


def main() -> None:
    args, channel = arguments(__doc__, "--channels-last", "--compile"), Channel()
    torch.set_num_threads(os.cpu_count() or 1)
    torch.manual_seed(0)
    memory_format = torch.channels_last if args.channels_last else torch.contiguous_format
    net = resnet().to(memory_format=memory_format).train()
    rest = memory_format, args.images
    run = compiled(net, channel, *rest) if args.compile else trainer(net, *rest)
    serve(channel, run, args.steps, {"platform": "cpu", "threads": torch.get_num_threads()})


if __name__ == "__main__":
    main()
