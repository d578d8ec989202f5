"""The forms of a head by name: from an endpoint's activations to its target's shape.

To add one, write a module and a function whose keyword-only arguments become keys of a config's head,
and enter the function in `FORMS`. It is given the shape of one example's target: (classes,) for labels.
"""

from collections.abc import Callable, Mapping
from types import MappingProxyType

import flax.linen as nn

from resjax import checks
from resjax.models.classifiers import ConvHead, ConvHidden, GoogLeNetHead, NormedLinear, PooledLinear
from resjax.models.pixels import PixelHead
from resjax.models.regressors import ConvDecoder, ConvRegressor, FlattenedLinear, Identity, Shape, text


def pooled_linear(target: Shape, /) -> nn.Module:
    return PooledLinear(_classes("pooled_linear", target), parent=None)


def normed_linear(target: Shape, /) -> nn.Module:
    return NormedLinear(_classes("normed_linear", target), parent=None)


def flattened_linear(target: Shape, /) -> nn.Module:
    return FlattenedLinear(target, parent=None)


def googlenet(
    target: Shape,
    /,
    *,
    filters: int = 128,
    hidden: int = 1024,
    dropout: float = 0.7,
    batch_norm: bool = False,
) -> nn.Module:
    """Raises ValueError where a width is below 1 or the dropout not from 0 to below 1."""
    checks.at_least(1, filters=filters, hidden=hidden)
    checks.share(dropout=dropout)
    return GoogLeNetHead(_classes("googlenet", target), filters, hidden, dropout, batch_norm, parent=None)


def conv(target: Shape, /, *, filters: int = 128, hidden: int = 256) -> nn.Module:
    """Raises ValueError where a width is below 1."""
    checks.at_least(1, filters=filters, hidden=hidden)
    return ConvHead(_classes("conv", target), filters, hidden, parent=None)


def conv_hidden(target: Shape, /, *, k: int = 1, features: int = 256, batch_norm: bool = True) -> nn.Module:
    """Raises ValueError where k or the width is below 1."""
    checks.at_least(1, k=k, features=features)
    return ConvHidden(_classes("conv_hidden", target), k, features, batch_norm, parent=None)


def conv_decoder(target: Shape, /) -> nn.Module:
    return ConvDecoder(target, parent=None)


def conv_regressor(target: Shape, /) -> nn.Module:
    return ConvRegressor(target, parent=None)


def identity(target: Shape, /) -> nn.Module:
    return Identity(target, parent=None)


def fcn(target: Shape, /, *, filters: int = 64, dropout: float = 0.1, pooled: bool = False) -> nn.Module:
    """Args:
      pooled: the endpoint's plane was made smaller by pooling, as in `unet`; else by strides, as in `fcn`.

    Raises:
      ValueError: the width is below 1, or the dropout not from 0 to below 1.
    """
    checks.at_least(1, filters=filters)
    checks.share(dropout=dropout)
    return PixelHead(target, filters, dropout, pooled, parent=None)


def _classes(form: str, target: Shape) -> int:
    if len(target) != 1:
        raise ValueError(f"form is '{form}', which gives a vector; the target is {text(target)}")
    return target[0]


FORMS: Mapping[str, Callable[..., nn.Module]] = MappingProxyType(
    {
        "pooled_linear": pooled_linear,
        "normed_linear": normed_linear,
        "flattened_linear": flattened_linear,
        "googlenet": googlenet,
        "conv": conv,
        "conv_hidden": conv_hidden,
        "conv_decoder": conv_decoder,
        "conv_regressor": conv_regressor,
        "identity": identity,
        "fcn": fcn,
    }
)
