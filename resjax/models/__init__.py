"""The nets by name. From (b, h, w, c) images to endpoints by name, of which `main` are the logits."""

from collections.abc import Callable, Mapping
from types import MappingProxyType

from resjax.models.densenet import densenet, imagenet_densenet
from resjax.models.dsn import dsn
from resjax.models.fcn import fcn
from resjax.models.fixup import fixup_resnet
from resjax.models.googlenet import googlenet
from resjax.models.highway import highway
from resjax.models.layerwise import layerwise_cnn
from resjax.models.mixer import mixer
from resjax.models.mlp import residual_mlp
from resjax.models.ode import ode_net
from resjax.models.recurrent import recurrent
from resjax.models.resnet import cifar_resnet, imagenet_resnet
from resjax.models.resnet9 import resnet9
from resjax.models.resnext import cifar_resnext, imagenet_resnext
from resjax.models.trunk import Trunk
from resjax.models.unet import unet
from resjax.models.vit import vit
from resjax.models.wide_resnet import wide_resnet

MODELS: Mapping[str, Callable[..., Trunk]] = MappingProxyType(
    {
        "cifar_resnet": cifar_resnet,
        "imagenet_resnet": imagenet_resnet,
        "wide_resnet": wide_resnet,
        "cifar_resnext": cifar_resnext,
        "imagenet_resnext": imagenet_resnext,
        "densenet": densenet,
        "imagenet_densenet": imagenet_densenet,
        "highway": highway,
        "fixup_resnet": fixup_resnet,
        "resnet9": resnet9,
        "residual_mlp": residual_mlp,
        "googlenet": googlenet,
        "dsn": dsn,
        "layerwise_cnn": layerwise_cnn,
        "vit": vit,
        "mixer": mixer,
        "recurrent": recurrent,
        "ode_net": ode_net,
        "unet": unet,
        "fcn": fcn,
    }
)
