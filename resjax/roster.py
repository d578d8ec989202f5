"""The families of nets, each with nets that its paper prints: `resjax models`. Only shapes are traced."""

import dataclasses
from collections.abc import Mapping
from typing import Any

from rich.console import Console
from rich.table import Table

from resjax.anatomy import Anatomy, dissect
from resjax.families import build_trunk
from resjax.models.blocks import Layers

CIFAR, IMAGENET, MNIST, DIGITS = (32, 32, 3), (224, 224, 3), (28, 28, 1), (8, 8, 1)


@dataclasses.dataclass(frozen=True)
class Exhibit:
    """A net that a family can be.

    Attributes:
      settings: keys of the section `model`; the others have their defaults.
      source: the paper that the net is from.
    """

    model: str
    settings: Mapping[str, Any]
    image: tuple[int, int, int]
    classes: int
    source: str

    def dissect(self) -> Anatomy:
        layers = dataclasses.asdict(Layers())
        return dissect(build_trunk(self.classes, name=self.model, **{**layers, **self.settings}), self.image)


V2 = dict(depth=164, block="bottleneck", order="preactivation", shortcut="B")
IDENTITY = dict(depth=56, branch_scale=0.0, learned_scale="scalar")
SKIPINIT = dict(depth=16, widen=4, norm="none", branch_scale=0.0, learned_scale="scalar")
LAYERSCALE = dict(depth=38, branch_scale=0.1, learned_scale="channels")
DROPPED = dict(depth=110, survival=0.5)  # stochastic depth
HE, HE2 = "He et al. 2015 (1512.03385)", "He et al. 2016 (1603.05027)"
ZAGORUYKO, XIE = "Zagoruyko and Komodakis 2016 (1605.07146)", "Xie et al. 2017 (1611.05431)"
RONNEBERGER, NODE = "Ronneberger et al. 2015 (1505.04597)", "Chen et al. 2018 (1806.07366)"
VIT_B16 = dict(norm="layer", blocks=12, width=768, heads=12, patch=16, pool="class")
MIXER_B16 = dict(norm="layer", blocks=12, width=768, hidden_tokens=384, hidden_channels=3072, patch=16)
LSTM, GRU = (dict(width=128, cell=cell, norm="none") for cell in ("lstm", "gru"))
HUANG, HIGHWAY = "Huang et al. 2017 (1608.06993)", "Srivastava et al. 2015 (1507.06228)"
EXHIBITS = (
    Exhibit("cifar_resnet", dict(depth=20), CIFAR, 10, HE),
    Exhibit("cifar_resnet", dict(depth=110), CIFAR, 10, HE),
    Exhibit("cifar_resnet", V2, CIFAR, 10, HE2),
    Exhibit("cifar_resnet", IDENTITY, CIFAR, 10, "Bachlechner et al. 2020 (2003.04887)"),
    Exhibit("cifar_resnet", LAYERSCALE, CIFAR, 10, "Touvron et al. 2021 (2103.17239)"),
    Exhibit("cifar_resnet", DROPPED, CIFAR, 10, "Huang et al. 2016 (1603.09382)"),
    Exhibit("imagenet_resnet", dict(depth=50, stride_in="1x1"), IMAGENET, 1000, HE),
    Exhibit("imagenet_resnet", dict(depth=50, excitation=16), IMAGENET, 1000, "Hu et al. 2018 (1709.01507)"),
    Exhibit("wide_resnet", dict(depth=40, widen=4), CIFAR, 10, ZAGORUYKO),
    Exhibit("wide_resnet", dict(depth=16, widen=8), CIFAR, 10, ZAGORUYKO),
    Exhibit("wide_resnet", dict(depth=28, widen=10), CIFAR, 10, ZAGORUYKO),
    Exhibit("wide_resnet", SKIPINIT, CIFAR, 10, "De and Smith 2020 (2002.10444)"),
    Exhibit("cifar_resnext", dict(depth=29, cardinality=8, group_width=64), CIFAR, 10, XIE),
    Exhibit("imagenet_resnext", dict(depth=50, cardinality=32, group_width=4), IMAGENET, 1000, XIE),
    Exhibit("densenet", dict(depth=40, growth=12, bottleneck=False, compression=1.0), CIFAR, 10, HUANG),
    Exhibit("densenet", dict(depth=100, growth=12), CIFAR, 10, HUANG),
    Exhibit("imagenet_densenet", dict(depth=121, growth=32), IMAGENET, 1000, HUANG),
    Exhibit("highway", dict(width=16, norm="none"), MNIST, 10, HIGHWAY),
    Exhibit("highway", dict(width=32, norm="none"), MNIST, 10, HIGHWAY),
    Exhibit("fixup_resnet", dict(depth=110, norm="none"), CIFAR, 10, "Zhang et al. 2019 (1901.09321)"),
    Exhibit("residual_mlp", dict(depth=20, width=64), DIGITS, 10, ""),
    Exhibit("resnet9", {}, CIFAR, 10, "Page 2018"),
    Exhibit("googlenet", dict(norm="none"), IMAGENET, 1000, "Szegedy et al. 2014 (1409.4842)"),
    Exhibit("dsn", dict(norm="none"), CIFAR, 10, "Lee et al. 2014 (1409.5185)"),
    Exhibit("layerwise_cnn", dict(norm="none"), CIFAR, 10, "Belilovsky et al. 2019 (1812.11446)"),
    Exhibit("vit", VIT_B16, IMAGENET, 1000, "Dosovitskiy et al. 2021 (2010.11929)"),
    Exhibit("mixer", MIXER_B16, IMAGENET, 1000, "Tolstikhin et al. 2021 (2105.01601)"),
    Exhibit("recurrent", dict(width=128, delay=21, norm="none"), MNIST, 10, "Zhang et al. 2016 (1602.08210)"),
    Exhibit("recurrent", LSTM, MNIST, 10, "Hochreiter and Schmidhuber 1997"),
    Exhibit("recurrent", GRU, MNIST, 10, "Cho et al. 2014 (1406.1078)"),
    Exhibit("ode_net", dict(norm="group"), MNIST, 10, NODE),
    Exhibit("ode_net", dict(solver="euler", norm="group"), MNIST, 10, NODE),
    Exhibit(
        "unet",
        dict(scales=4, width=64, norm="none"),
        (512, 512, 1),
        2,
        RONNEBERGER,
    ),
    Exhibit("fcn", dict(depth=20), (32, 32, 1), 11, "Long et al. 2015 (1411.4038)"),
)


def show() -> None:
    """Prints a line for each of `EXHIBITS`."""
    table = Table("model", "settings", "input", title="families of nets, by nets of their papers")
    for name in ("classes", "parameters", "multiply-adds"):
        table.add_column(name, justify="right")
    table.add_column("source")
    for each in EXHIBITS:
        found, settings = each.dissect(), " ".join(f"{key}={value}" for key, value in each.settings.items())
        numbers = (str(each.classes), f"{found.parameters:,}", f"{found.multiply_adds:,}")
        table.add_row(each.model, settings, "x".join(map(str, each.image)), *numbers, each.source)
    # As wide as the table needs: Rich would cut names and numbers to the terminal's width, or a pipe's 80.
    Console(soft_wrap=True, width=10_000).print(table)
