"""A residual net for CIFAR as PyTorch's ports write it: modules named conv1, bn1, layer1.0.conv1, linear."""

import torch  # pyright: ignore[reportMissingImports]
import torch.nn.functional as F  # pyright: ignore[reportMissingImports]
from jaxtyping import Float
from torch import Tensor, nn  # pyright: ignore[reportMissingImports]


class Block(nn.Module):
    def __init__(self, read: int, written: int, stride: int, option: str):
        super().__init__()
        self.conv1 = nn.Conv2d(read, written, 3, stride, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(written)
        self.conv2 = nn.Conv2d(written, written, 3, 1, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(written)
        self.stride, self.option, self.missing = stride, option, written - read
        self.shortcut = nn.Sequential()
        if self.missing and option == "B":
            projection = nn.Conv2d(read, written, 1, stride, bias=False)
            self.shortcut = nn.Sequential(projection, nn.BatchNorm2d(written))

    def forward(self, x: Float[Tensor, "b c h w"]) -> Float[Tensor, "b d i j"]:
        y = self.bn2(self.conv2(F.relu(self.bn1(self.conv1(x)))))
        if self.missing and self.option != "B":
            before = self.missing // 2 if self.option == "both" else 0
            x = F.pad(x[:, :, :: self.stride, :: self.stride], (0, 0, 0, 0, before, self.missing - before))
        return F.relu(y + self.shortcut(x))


class Port(nn.Module):
    """20 layers; option `B`, or A with zeros on `both` sides or `behind`."""

    def __init__(self, width: int, option: str):
        super().__init__()
        self.conv1 = nn.Conv2d(1, width, 3, 1, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(width)
        widths = [width, width, 2 * width, 4 * width]
        for stage in (1, 2, 3):
            first = Block(widths[stage - 1], widths[stage], 1 + (stage > 1), option)
            others = [Block(widths[stage], widths[stage], 1, option) for _ in range(2)]
            self.add_module(f"layer{stage}", nn.Sequential(first, *others))
        self.linear = nn.Linear(4 * width, 10)

    def forward(self, x: Float[Tensor, "b c h w"]) -> Float[Tensor, "b k"]:
        x = F.relu(self.bn1(self.conv1(x)))
        for stage in (self.layer1, self.layer2, self.layer3):
            x = stage(x)
        return self.linear(x.mean((2, 3)))


def settle(net: Port, seed: int) -> Port:
    """-> the net with statistics of some noise, and scales in no special place, for evaluation."""
    generator = torch.Generator().manual_seed(seed)
    for name, each in net.named_parameters():
        if name.startswith("bn") or ".bn" in name:
            each.data.uniform_(0.3, 1.2, generator=generator)
    net.train()
    with torch.no_grad():
        net(torch.randn(64, 1, 8, 8, generator=generator))
    return net.eval()
