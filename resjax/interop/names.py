"""What files call the layers of this project's nets: a naming is a list of patterns of module paths.

torchvision   its ResNet, Wide ResNet and ResNeXt, and those of timm's ResNets that have the same layers
timm_d        timm's ResNets with a deep stem and shortcuts that pool: resnet18d, 26d, 34d, 50d, ...
cifar         the ports of the CIFAR family: kuangliu/pytorch-cifar, akamaster/pytorch_resnet_cifar10
wide          xternalz/WideResNet-pytorch
densenet      torchvision's, as gpleiss/efficient_densenet_pytorch has them for small images
torchvision_densenet, torchvision_googlenet   torchvision's; timm's DenseNets have the same names
resjax        this project's own, of any net
"""

import dataclasses
import re
from collections.abc import Iterable, Mapping
from types import MappingProxyType

from resjax.models.densenet import DenseNet
from resjax.models.googlenet import GoogLeNet
from resjax.models.resnet import ResNet
from resjax.models.resnext import ResNeXt
from resjax.models.trunk import Trunk
from resjax.models.wide_resnet import WideResNet

_STEM = (("stem_conv", "conv1"),)
_DEEP_STEM = (  # of timm, a list of layers with ReLUs among them
    ("stem_conv", "conv1.6"),
    ("stem_conv1", "conv1.0"),
    ("stem_norm1", "conv1.1"),
    ("stem_conv2", "conv1.3"),
    ("stem_norm2", "conv1.4"),
)
Rules = tuple[tuple[str, str], ...]
LEAVES = {"kernel": "weight", "scale": "weight", "mean": "running_mean", "var": "running_var"}
CLASSES = (ResNet, ResNeXt, WideResNet)  # and no others that go back to them, such as those that label pixels
EPSILON, GOOGLENET_EPSILON = 1e-5, 1e-3  # of PyTorch's batch norm, and as torchvision's GoogLeNet sets it
# A GoogLeNet's layers here, and torchvision's modules of convolution and norm.
_INCEPTION = {
    "stem_conv1": "conv1",
    "stem_reduce": "conv2",
    "stem_conv2": "conv3",
    r"inception(?P<stage>\d\w)/conv1x1": "inception{stage}.branch1",
    r"inception(?P<stage>\d\w)/reduce3x3": "inception{stage}.branch2.0",
    r"inception(?P<stage>\d\w)/conv3x3": "inception{stage}.branch2.1",
    r"inception(?P<stage>\d\w)/reduce5x5": "inception{stage}.branch3.0",
    r"inception(?P<stage>\d\w)/conv5x5": "inception{stage}.branch3.1",
    r"inception(?P<stage>\d\w)/projection": "inception{stage}.branch4.1",
}
_UNIT = r"stage(?P<stage>\d+)_block(?P<block>\d+)/"
_DENSE = r"block(?P<stage>\d+)_layer(?P<block>\d+)/"


@dataclasses.dataclass(frozen=True)
class Naming:
    """How one kind of file names layers; without rules, as this project does.

    Attributes:
      rules: (pattern of a module's path here, its name there); `before` is a block's number from 0.
    """

    title: str
    rules: Rules = ()

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


def _residual(title: str, conv: str, norm: str, classifier: str, stem: Rules = _STEM) -> Naming:
    unit = "layer{stage}.{before}."
    return Naming(
        title,
        (
            *stem,
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
TIMM_D = _residual("timm_d", "downsample.1", "downsample.2", "fc", _DEEP_STEM)
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
TORCHVISION_GOOGLENET = Naming(
    "torchvision_googlenet",
    (
        *((here, f"{there}.conv") for here, there in _INCEPTION.items()),
        *((f"{here}_norm", f"{there}.bn") for here, there in _INCEPTION.items()),
        ("classifier", "fc"),
    ),
)
_ALL = (TORCHVISION, TIMM_D, CIFAR, WIDE, DENSENET, TORCHVISION_DENSENET, TORCHVISION_GOOGLENET, OWN)
NAMINGS: Mapping[str, Naming] = MappingProxyType({each.title: each for each in _ALL})


def pytorch(trunk: Trunk) -> Naming:
    """-> the naming of the class of PyTorch's that computes what the trunk does.

    Raises:
      ValueError: there is none; the message says why.
    """
    layers, epsilon = trunk.layers, GOOGLENET_EPSILON if isinstance(trunk, GoogLeNet) else EPSILON
    if layers.norm != "batch" or layers.norm_epsilon != epsilon:
        raise ValueError(f"its norm is '{layers.norm}' with epsilon {layers.norm_epsilon:g}")
    if isinstance(trunk, GoogLeNet):
        return _googlenet_of(trunk)
    if isinstance(trunk, DenseNet) and trunk.skip and trunk.bottleneck:
        return DENSENET if trunk.stem == "cifar" else TORCHVISION_DENSENET
    if not isinstance(trunk, ResNet) or type(trunk) not in CLASSES or not trunk.skip:
        raise ValueError("it is neither a ResNet with its skips nor a DenseNet-BC nor a GoogLeNet")
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
    if trunk.stem == "deep" and trunk.shortcut == "D":
        return TIMM_D
    if trunk.stem == "cifar" and trunk.shortcut in ("A", "B") and not isinstance(trunk, ResNeXt):
        return _without_excitation(trunk, CIFAR)
    raise ValueError(f"its stem is '{trunk.stem}' and its shortcut '{trunk.shortcut}'")


def _googlenet_of(trunk: GoogLeNet) -> Naming:
    wanted = {"stem": "imagenet", "local_norm": False, "kernel5": 3, "last_pool": 2}
    other = [
        f"{key} is {getattr(trunk, key)}" for key, value in wanted.items() if getattr(trunk, key) != value
    ]
    if other:
        raise ValueError(f"its {', '.join(other)}, and not as torchvision's")
    return TORCHVISION_GOOGLENET


def _without_excitation(trunk: ResNet, naming: Naming) -> Naming:
    if trunk.excitation:
        raise ValueError(f"it sets excitation to {trunk.excitation}")
    return naming
