"""A small net of every family, for what all of them must bear."""

from typing import Any

import pytest

from resjax.models import MODELS
from resjax.models.blocks import Layers
from resjax.models.trunk import Trunk

NONE: dict[str, Any] = dict(norm="none")
LAYER: dict[str, Any] = dict(norm="layer")
FAMILIES: dict[str, tuple[str, dict[str, Any], dict[str, Any]]] = {
    "wide": ("wide_resnet", {}, dict(depth=22, widen=1)),
    "wide, dropout": ("wide_resnet", {}, dict(depth=10, widen=1, dropout=0.3)),
    "resnext": ("cifar_resnext", {}, dict(depth=29, cardinality=2, group_width=2, width=4)),
    "imagenet resnext": ("imagenet_resnext", {}, dict(cardinality=2, group_width=1, width=2)),
    "dense": ("densenet", {}, dict(depth=16, growth=2)),
    "imagenet dense": ("imagenet_densenet", {}, dict(growth=2, stem="cifar")),
    "highway": ("highway", NONE, dict(stages=(3, 1), width=4)),
    "fixup": ("fixup_resnet", NONE, dict(depth=20, width=4)),
    "excited": ("cifar_resnet", {}, dict(depth=20, width=4, excitation=2)),
    "rezero": ("cifar_resnet", {}, dict(depth=20, width=4, branch_scale=0.0, learned_scale="scalar")),
    "transformer": ("vit", LAYER, dict(blocks=3, width=8, heads=2, patch=4)),
    "mixer": ("mixer", LAYER, dict(blocks=3, width=8, hidden_tokens=6, hidden_channels=10, patch=4)),
    "ode": ("ode_net", dict(norm="group"), dict(width=8, steps=3)),
    "euler": ("ode_net", dict(norm="group"), dict(width=8, steps=2, solver="euler")),
    "recurrent": ("recurrent", NONE, dict(width=6, delay=3)),
    "unet": ("unet", {}, dict(scales=2, width=4)),
    "fcn": ("fcn", {}, dict(depth=8, width=4)),
    "layerscale": ("residual_mlp", {}, dict(depth=10, width=8, branch_scale=0.1, learned_scale="channels")),
}
# Nets whose values tests of their own compute, and whose shapes alone are traced here.
TRACED: dict[str, tuple[str, dict[str, Any], dict[str, Any]]] = {
    "dopri5": ("ode_net", dict(norm="group"), dict(width=8, solver="dopri5")),
    "adjoint": ("ode_net", dict(norm="group"), dict(width=8, solver="dopri5", adjoint="backsolve")),
    "lstm": ("recurrent", NONE, dict(width=6, cell="lstm")),
    "gru": ("recurrent", NONE, dict(width=6, cell="gru", reads="pixels")),
    "cifar resnet": ("cifar_resnet", {}, dict(depth=8, width=4)),
    "imagenet resnet": ("imagenet_resnet", {}, dict(depth=18, width=4, stem="cifar")),
    "resnet9": ("resnet9", {}, dict(widths=(4, 8), residual=(1,))),
    "googlenet": ("googlenet", {}, dict(stem="cifar", local_norm=False)),
    "dsn": ("dsn", NONE, {}),
    "layerwise": ("layerwise_cnn", {}, dict(depth=2, width=4, downsample=(2,))),
}
ALL = FAMILIES | TRACED
# A model of each family, as shallow as it can be: their gradients are compiled.
SHALLOWEST: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "cifar_resnet": ({}, dict(depth=8, width=4)),
    "imagenet_resnet": ({}, dict(depth=18, width=4, stem="cifar")),
    "wide_resnet": ({}, dict(depth=10, widen=1)),
    "cifar_resnext": ({}, dict(depth=11, cardinality=2, group_width=2, width=4)),
    "imagenet_resnext": ({}, dict(depth=50, cardinality=2, group_width=1, width=2)),
    "densenet": ({}, dict(depth=10, growth=2)),
    "imagenet_densenet": ({}, dict(growth=2, stem="cifar")),
    "highway": (NONE, dict(stages=(1, 1), width=4)),
    "fixup_resnet": (NONE, dict(depth=8, width=4)),
    "resnet9": ({}, dict(widths=(4, 8), residual=(1,))),
    "residual_mlp": ({}, dict(depth=4, width=8)),
    "googlenet": (NONE, dict(stem="cifar", local_norm=False)),
    "dsn": (NONE, {}),
    "layerwise_cnn": ({}, dict(depth=2, width=4, downsample=(2,))),
    "vit": (LAYER, dict(blocks=1, width=8, heads=2, patch=4)),
    "mixer": (LAYER, dict(blocks=1, width=8, hidden_tokens=6, hidden_channels=10, patch=4)),
    "recurrent": (NONE, dict(width=6, delay=3)),
    "ode_net": (dict(norm="group"), dict(width=8, steps=2)),
    "unet": ({}, dict(scales=2, width=4)),
    "fcn": ({}, dict(depth=8, width=4)),
}
PIXELS = ("unet", "fcn")  # that label each of them
# Kinds without units that follow each other and differ in their arrays alone, and some of those there are.
UNCHAINED = ("imagenet resnext", "euler", "recurrent", *PIXELS)


def build(kind: str, **settings: Any) -> Trunk:
    name, layers, own = ALL[kind]
    if own.get("solver") == "dopri5":
        pytest.importorskip("diffrax")
    return MODELS[name](10, Layers(**layers, **settings), **own)
