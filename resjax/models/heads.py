"""Auxiliary heads: classifiers attached to a net's endpoints, and the net that carries them.

A head's parameters lie beside the trunk's, never inside it: attaching or dropping one changes neither
the trunk's parameter paths nor its initial values.
"""

import dataclasses
from collections.abc import Collection, Sequence
from typing import Any, Literal

import flax.linen as nn
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from resjax import checks
from resjax.errors import did_you_mean

MAIN = "main"  # the name of the trunk's own logits among the outputs


@dataclasses.dataclass(frozen=True, kw_only=True)
class Head:
    """One entry of a config's `heads`; the other keys are those of its form.

    Attributes:
      name: of its output, its metrics and its parameters.
      endpoint: the output of the trunk that it reads; `resjax show` lists them.
      form: its kind, a key of `forms.FORMS`.
      loss: `cross_entropy`, or one-vs-rest `squared_hinge`.
      gamma: its loss counts only as far as it exceeds this (Lee et al. 2014).
      weight: factor of its loss in the sum, where the main loss has 1.
      schedule: how the weight goes over training, a key of `weights.SCHEDULES`.
      discard_at: the step at which it is dropped, with its cost; 0: it stays to the end.
      rate: factor of the learning rate of its own parameters.
      stop_gradient: it reads but does not teach the trunk: a probe.
      isolate: the trunk behind its endpoint does not teach the trunk before it: local learning.
    """

    name: str
    endpoint: str
    form: str = "pooled_linear"
    loss: Literal["cross_entropy", "squared_hinge"] = "cross_entropy"
    gamma: float = 0.0
    weight: float = 0.3
    schedule: Literal["constant", "linear", "dsn", "cnds", "warmup"] = "constant"
    discard_at: int = 0
    rate: float = 1.0
    stop_gradient: bool = False
    isolate: bool = False

    def __post_init__(self) -> None:
        checks.at_least(0, gamma=self.gamma, weight=self.weight, discard_at=self.discard_at, rate=self.rate)


class Net(nn.Module):
    """A trunk and its heads.

    Attributes:
      heads: each head's description and module.
    """

    trunk: nn.Module
    heads: tuple[tuple[Head, nn.Module], ...] = ()

    @property
    def output_names(self) -> list[str]:
        return [MAIN, *(head.name for head, _ in self.heads)]

    @nn.compact
    def __call__(self, x: Float[Array, "b h w c"], *, train: bool) -> dict[str, Float[Array, "b k"]]:
        """-> float32 logits by name: `main`, and one for each head.

        Raises:
          ValueError: a head's endpoint does not exist, or its form cannot read it.
        """
        cut = tuple(head.endpoint for head, _ in self.heads if head.isolate)
        logits, endpoints = self.trunk(x, train=train, **({"cut": cut} if cut else {}))
        outputs = {MAIN: logits}
        for head, module in self.heads:
            if head.endpoint not in endpoints:
                hint = did_you_mean(head.endpoint, endpoints)
                raise ValueError(f"endpoint is '{head.endpoint}', which this model does not have{hint}")
            read = endpoints[head.endpoint]
            read = jax.lax.stop_gradient(read) if head.stop_gradient else read
            outputs[head.name] = module.copy(name=parameters_of(head.name))(read, train=train)
        return {name: value.astype(jnp.float32) for name, value in outputs.items()}

    def without(self, names: Collection[str]) -> "Net":
        """-> the net without the heads of these names."""
        return self.clone(heads=tuple(pair for pair in self.heads if pair[0].name not in names))


def attach(trunk: nn.Module, heads: Sequence[tuple[Head, nn.Module]]) -> Net:
    """-> the net of a trunk with these heads.

    Raises:
      ValueError: two heads of one name, or a name that cannot be a key.
    """
    names = [head.name for head, _ in heads]
    for name in names:
        if names.count(name) > 1 or name == MAIN or not name.isidentifier():
            raise ValueError(
                f"name is '{name}'; each head needs a name of its own, of letters, digits and '_', other"
                f" than '{MAIN}'"
            )
    return Net(trunk, tuple(heads))


def parameters_of(name: str) -> str:
    """-> where a head's parameters lie, beside `trunk`."""
    return f"head_{name}"


def discard(tree: Any, names: Collection[str]) -> Any:
    """-> a tree of parameters, statistics or optimizer state without what belongs to these heads."""
    gone = {parameters_of(name) for name in names}

    def is_node(node: Any) -> bool:
        return isinstance(node, dict) and not gone.isdisjoint(node)

    def prune(node: Any) -> Any:
        return {key: value for key, value in node.items() if key not in gone} if is_node(node) else node

    return jax.tree.map(prune, tree, is_leaf=is_node)
