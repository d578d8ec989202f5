"""Auxiliary heads: classifiers attached to a net's endpoints, and the net that carries them.

A head's parameters lie beside the trunk's, never inside it: attaching or dropping one changes neither
the trunk's parameter paths nor its initial values.
"""

import dataclasses
from collections.abc import Callable, Mapping
from types import MappingProxyType

import flax.linen as nn
import jax.numpy as jnp
from jaxtyping import Array, Float

from resjax.errors import did_you_mean
from resjax.models.blocks import CLASSIFIER_INIT

MAIN = "main"  # the name of the trunk's own logits among the outputs


class PooledLinear(nn.Module):
    """Global average pool where there is an image plane, then a linear classifier."""

    classes: int

    @nn.compact
    def __call__(self, x: Float[Array, "b *hw c"], *, train: bool) -> Float[Array, "b k"]:
        x = x.mean(range(1, x.ndim - 1)) if x.ndim > 2 else x
        return nn.Dense(self.classes, dtype=x.dtype, kernel_init=CLASSIFIER_INIT, name="classifier")(x)


def pooled_linear(classes: int, /) -> PooledLinear:
    return PooledLinear(classes, parent=None)


FORMS: Mapping[str, Callable[..., nn.Module]] = MappingProxyType({"pooled_linear": pooled_linear})


@dataclasses.dataclass(frozen=True, kw_only=True)
class Head:
    """One entry of a config's `heads`.

    Attributes:
      name: of its output, metric and parameters.
      endpoint: the output of the trunk that it reads; `resjax show` lists them.
      form: its kind, a key of `FORMS`.
      weight: factor of its loss in the sum; the main loss has 1.
    """

    name: str
    endpoint: str
    form: str = "pooled_linear"
    weight: float = 0.3


class Net(nn.Module):
    """A trunk and its heads.

    Attributes:
      heads: (name, endpoint, module) of each head.
    """

    trunk: nn.Module
    heads: tuple[tuple[str, str, nn.Module], ...] = ()

    @property
    def output_names(self) -> list[str]:
        return [MAIN, *(name for name, _, _ in self.heads)]

    @nn.compact
    def __call__(self, x: Float[Array, "b h w c"], *, train: bool) -> dict[str, Float[Array, "b k"]]:
        """-> float32 logits by name: `main`, and one for each head."""
        logits, endpoints = self.trunk(x, train=train)
        outputs = {MAIN: logits}
        for name, endpoint, head in self.heads:
            if endpoint not in endpoints:
                hint = did_you_mean(endpoint, endpoints)
                raise ValueError(f"endpoint is '{endpoint}', which this model does not have{hint}")
            outputs[name] = head.copy(name=f"head_{name}")(endpoints[endpoint], train=train)
        return {name: value.astype(jnp.float32) for name, value in outputs.items()}


def attach(trunk: nn.Module, heads: tuple[Head, ...], classes: int) -> Net:
    """-> the net of a trunk with these heads.

    Raises:
      ValueError: two heads of one name, or a name that cannot be a key.
    """
    names = [head.name for head in heads]
    for head in heads:
        if names.count(head.name) > 1 or head.name == MAIN or not head.name.isidentifier():
            raise ValueError(
                f"name is '{head.name}'; each head needs a name of its own, of letters, digits and '_',"
                f" other than '{MAIN}'"
            )
    modules = tuple((head.name, head.endpoint, FORMS[head.form](classes)) for head in heads)
    return Net(trunk, modules)
