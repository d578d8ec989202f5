"""What files call the layers of this project's nets: a naming is a list of patterns of module paths.

torchvision   its ResNet, Wide ResNet and ResNeXt, and those of timm's ResNets that have the same layers
cifar         the ports of the CIFAR family: kuangliu/pytorch-cifar, akamaster/pytorch_resnet_cifar10
wide          xternalz/WideResNet-pytorch
densenet      torchvision's, as gpleiss/efficient_densenet_pytorch has them for small images
torchvision_densenet   torchvision's DenseNets, which are timm's too
resjax        this project's own, of any net
"""

import dataclasses
import re
from collections.abc import Iterable, Mapping
from types import MappingProxyType

from resjax.models.densenet import DenseNet
from resjax.models.resnet import ResNet
from resjax.models.resnext import ResNeXt
from resjax.models.trunk import Trunk
from resjax.models.wide_resnet import WideResNet

LEAVES = {"kernel": "weight", "scale": "weight", "mean": "running_mean", "var": "running_var"}
CLASSES = (ResNet, ResNeXt, WideResNet)  # and no others that go back to them, such as those that label pixels
EPSILON = 1e-5  # of PyTorch's batch norm, unless it is told another one
_UNIT = r"stage(?P<stage>\d+)_block(?P<block>\d+)/"
_DENSE = r"block(?P<stage>\d+)_layer(?P<block>\d+)/"


@dataclasses.dataclass(frozen=True)
class Naming:
    """How one kind of file names layers; without rules, as this project does.

    Attributes:
      rules: (pattern of a module's path here, its name there); `before` is a block's number from 0.
    """

    title: str
    rules: tuple[tuple[str, str], ...] = ()

    def spell(self, path: str) -> str | None:
        """-> the name of an array, `conv1.weight` for `params/stem_conv/kernel`; None: there is none."""
        if not self.rules:
            return path.replace("/", ".")
        _, _, rest = path.partition("/")
        module, _, leaf = rest.rpartition("/")
        for pattern, name in self.rules:
            found = re.fullmatch(pattern, module)
            if found:
                given = found.groupdict()
                given["before"] = str(int(given.get("block", "1")) - 1)
                return f"{name.format(**given)}.{LEAVES.get(leaf, leaf)}"
        return None

    def spell_all(self, paths: Iterable[str]) -> dict[str, str] | None:
        """-> {path: name}, or None where an array has no name."""
        found = {path: self.spell(path) for path in paths}
        names = {path: name for path, name in found.items() if name is not None}
        return names if len(names) == len(found) else None


def _residual(title: str, conv: str, norm: str, classifier: str) -> Naming:
    unit = "layer{stage}.{before}."
    return Naming(
        title,
        (
            ("stem_conv", "conv1"),
            ("stem_norm", "bn1"),
            (_UNIT + r"conv(?P<layer>\d)", unit + "conv{layer}"),
            (_UNIT + r"norm(?P<layer>\d)", unit + "bn{layer}"),
            (_UNIT + "shortcut/conv", unit + conv),
            (_UNIT + "shortcut/norm", unit + norm),
            (_UNIT + "excitation/squeeze", unit + "se.fc1"),
            (_UNIT + "excitation/excite", unit + "se.fc2"),
            ("classifier", classifier),
        ),
    )


def _dense(title: str, norm: str) -> Naming:
    return Naming(
        title,
        (
            (r"stem_(?P<layer>conv|norm)", "features.{layer}0"),
            (_DENSE + r"(?P<layer>\w+\d)", "features.denseblock{stage}.denselayer{block}.{layer}"),
            (r"transition(?P<stage>\d+)_(?P<layer>conv|norm)", "features.transition{stage}.{layer}"),
            ("final_norm", f"features.{norm}"),
            ("classifier", "classifier"),
        ),
    )


OWN = Naming("resjax")
TORCHVISION = _residual("torchvision", "downsample.0", "downsample.1", "fc")
CIFAR = _residual("cifar", "shortcut.0", "shortcut.1", "linear")
WIDE = Naming(
    "wide",
    (
        ("stem_conv", "conv1"),
        (_UNIT + r"conv(?P<layer>\d)", "block{stage}.layer.{before}.conv{layer}"),
        (_UNIT + r"norm(?P<layer>\d)", "block{stage}.layer.{before}.bn{layer}"),
        (_UNIT + "shortcut/conv", "block{stage}.layer.{before}.convShortcut"),
        ("final_norm", "bn1"),
        ("classifier", "fc"),
    ),
)
DENSENET = _dense("densenet", "norm_final")
TORCHVISION_DENSENET = _dense("torchvision_densenet", "norm5")
NAMINGS: Mapping[str, Naming] = MappingProxyType(
    {each.title: each for each in (TORCHVISION, CIFAR, WIDE, DENSENET, TORCHVISION_DENSENET, OWN)}
)


def pytorch(trunk: Trunk) -> Naming:
    """-> the naming of the class of PyTorch's that computes what the trunk does.

    Raises:
      ValueError: there is none; the message says why.
    """
    layers = trunk.layers
    if layers.norm != "batch" or layers.norm_epsilon != EPSILON:
        raise ValueError(f"its norm is '{layers.norm}' with epsilon {layers.norm_epsilon:g}")
    if isinstance(trunk, DenseNet) and trunk.skip and trunk.bottleneck:
        return DENSENET if trunk.stem == "cifar" else TORCHVISION_DENSENET
    if not isinstance(trunk, ResNet) or type(trunk) not in CLASSES or not trunk.skip:
        raise ValueError("it is neither a ResNet with its skips nor a DenseNet-BC")
    changed = ", ".join(trunk.mixing.changed())
    if changed:
        raise ValueError(f"it sets {changed}")
    if isinstance(trunk, WideResNet):
        return _without_excitation(trunk, WIDE)
    if trunk.order != "original":
        raise ValueError(f"its order is '{trunk.order}'")
    return _residual_of(trunk)


def _residual_of(trunk: ResNet) -> Naming:
    if trunk.block == "bottleneck" and trunk.stride_in != "3x3" and not isinstance(trunk, ResNeXt):
        raise ValueError(f"the stride of its bottlenecks is in the '{trunk.stride_in}' convolution")
    if trunk.stem == "imagenet" and trunk.shortcut == "B":
        return TORCHVISION
    if trunk.stem == "cifar" and trunk.shortcut in ("A", "B") and not isinstance(trunk, ResNeXt):
        return _without_excitation(trunk, CIFAR)
    raise ValueError(f"its stem is '{trunk.stem}' and its shortcut '{trunk.shortcut}'")


def _without_excitation(trunk: ResNet, naming: Naming) -> Naming:
    if trunk.excitation:
        raise ValueError(f"it sets excitation to {trunk.excitation}")
    return naming
