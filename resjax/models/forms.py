"""The forms of an auxiliary head: modules from an endpoint's activations to logits.

To add one, write a module and a function whose keyword-only arguments become keys of a config's head,
and enter the function in `FORMS`.
"""

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any

import flax.linen as nn
import jax
from jaxtyping import Array, Float

from resjax import checks
from resjax.models.blocks import CLASSIFIER_INIT, INITIALIZERS

HE = INITIALIZERS["he_fan_in"]


class PooledLinear(nn.Module):
    """Global average pool where there is an image plane, then a linear classifier."""

    classes: int

    @nn.compact
    def __call__(self, x: Float[Array, "b *hw c"], *, train: bool) -> Float[Array, "b k"]:
        x = x.mean(range(1, x.ndim - 1)) if x.ndim > 2 else x
        return _classifier(self.classes, x)


class FlattenedLinear(nn.Module):
    """A linear classifier on all activations: the companion of Lee et al. 2014 (1409.5185), released code."""

    classes: int

    @nn.compact
    def __call__(self, x: Float[Array, "b *hw c"], *, train: bool) -> Float[Array, "b k"]:
        return _classifier(self.classes, x.reshape(len(x), -1))


class GoogLeNetHead(nn.Module):
    """5 x 5 average pool of stride 3, 1 x 1 convolution, hidden layer, dropout, classifier.

    Szegedy et al. 2014 (1409.4842), section 5: 128 filters, 1,024 units, 70 % dropout. BatchNorm behind
    the convolution and the hidden layer is the variant of Szegedy et al. 2015 (1512.00567), section 4.
    """

    classes: int
    filters: int
    hidden: int
    dropout: float
    batch_norm: bool

    @nn.compact
    def __call__(self, x: Float[Array, "b h w c"], *, train: bool) -> Float[Array, "b k"]:
        _needs_plane("googlenet", x, 5)
        x = nn.pooling.pool(x, 0.0, jax.lax.add, (5, 5), (3, 3), "VALID") / 25.0
        x = self._layer(
            nn.Conv(self.filters, (1, 1), **self._settings(x), name="conv")(x), train, "conv_norm"
        )
        x = x.reshape(len(x), -1)
        x = self._layer(nn.Dense(self.hidden, **self._settings(x), name="hidden")(x), train, "hidden_norm")
        x = nn.Dropout(self.dropout, deterministic=not train)(x)
        return _classifier(self.classes, x)

    def _settings(self, x: Array) -> dict[str, Any]:
        return {"dtype": x.dtype, "kernel_init": HE, "use_bias": not self.batch_norm}

    def _layer(self, x: Array, train: bool, name: str) -> Array:
        if self.batch_norm:
            x = nn.BatchNorm(not train, momentum=0.9, dtype=x.dtype, name=name)(x)
        return nn.relu(x)


class ConvHead(nn.Module):
    """3 x 3 convolution, hidden layer, classifier: Wang et al. 2015 (1505.02496)."""

    classes: int
    filters: int
    hidden: int

    @nn.compact
    def __call__(self, x: Float[Array, "b h w c"], *, train: bool) -> Float[Array, "b k"]:
        _needs_plane("conv", x, 1)
        x = nn.relu(nn.Conv(self.filters, (3, 3), dtype=x.dtype, kernel_init=HE, name="conv")(x))
        x = nn.Dense(self.hidden, dtype=x.dtype, kernel_init=HE, name="hidden")(x.reshape(len(x), -1))
        return _classifier(self.classes, nn.relu(x))


def _classifier(classes: int, x: Array) -> Array:
    return nn.Dense(classes, dtype=x.dtype, kernel_init=CLASSIFIER_INIT, name="classifier")(x)


def _needs_plane(form: str, x: Array, least: int) -> None:
    if x.ndim != 4 or min(x.shape[1:3]) < least:
        raise ValueError(
            f"form is '{form}', which reads an image plane of {least} x {least} at least; this endpoint's"
            f" output is {'x'.join(map(str, x.shape[1:]))}"
        )


def pooled_linear(classes: int, /) -> nn.Module:
    return PooledLinear(classes, parent=None)


def flattened_linear(classes: int, /) -> nn.Module:
    return FlattenedLinear(classes, parent=None)


def googlenet(
    classes: int, /, *, filters: int = 128, hidden: int = 1024, dropout: float = 0.7, batch_norm: bool = False
) -> nn.Module:
    """Raises ValueError where a width is below 1 or the dropout not from 0 to below 1."""
    checks.at_least(1, filters=filters, hidden=hidden)
    checks.share(dropout=dropout)
    return GoogLeNetHead(classes, filters, hidden, dropout, batch_norm, parent=None)


def conv(classes: int, /, *, filters: int = 128, hidden: int = 256) -> nn.Module:
    """Raises ValueError where a width is below 1."""
    checks.at_least(1, filters=filters, hidden=hidden)
    return ConvHead(classes, filters, hidden, parent=None)


FORMS: Mapping[str, Callable[..., nn.Module]] = MappingProxyType(
    {
        "pooled_linear": pooled_linear,
        "flattened_linear": flattened_linear,
        "googlenet": googlenet,
        "conv": conv,
    }
)
