"""The nets by name. A net takes (b, h, w, c) images and returns (logits, endpoints by name)."""

from collections.abc import Callable, Mapping
from types import MappingProxyType

import flax.linen as nn

from resjax.models.dsn import dsn
from resjax.models.googlenet import googlenet
from resjax.models.mlp import residual_mlp
from resjax.models.resnet import cifar_resnet, imagenet_resnet

MODELS: Mapping[str, Callable[..., nn.Module]] = MappingProxyType(
    {
        "cifar_resnet": cifar_resnet,
        "imagenet_resnet": imagenet_resnet,
        "residual_mlp": residual_mlp,
        "googlenet": googlenet,
        "dsn": dsn,
    }
)
