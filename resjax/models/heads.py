"""Heads: what reads a net's endpoints and is compared with a target; and the net that carries them.

A head's parameters lie beside the trunk's, never inside it: attaching or dropping one changes neither
the trunk's parameter paths nor its initial values.
"""

import dataclasses
from collections.abc import Collection, Mapping, Sequence
from typing import Any, Literal

import flax.linen as nn
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from resjax import checks
from resjax.errors import did_you_mean
from resjax.models.trunk import MAIN, Remat, Trunk

CLASS_LOSSES = ("cross_entropy", "squared_hinge")


@dataclasses.dataclass(frozen=True, kw_only=True)
class Head:
    """One entry of a config's `heads`; the other keys are those of its form.

    Attributes:
      name: of its output, its metrics and its parameters.
      endpoint: the output of the trunk that it reads; `resjax show` lists them.
      form: its kind, a key of `forms.FORMS`.
      target: what it should give: the `labels`; the `input`, what the trained part of the trunk reads,
        before any noise (an autoencoder); or what the `teacher` has at `teacher_endpoint`.
      loss: of classes, `cross_entropy` or one-vs-rest `squared_hinge`; of activations, `squared_error`; of
        a teacher's logits, `distillation`.
      temperature: both logits are divided by it in distillation.
      gamma: its loss counts only as far as it exceeds this (Lee et al. 2014).
      penalty: factor of the squared norm of its kernels, added to the loss before gamma is taken off.
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
    target: Literal["labels", "input", "teacher"] = "labels"
    teacher_endpoint: str = MAIN
    loss: Literal["cross_entropy", "squared_hinge", "squared_error", "distillation"] = "cross_entropy"
    temperature: float = 1.0
    gamma: float = 0.0
    penalty: float = 0.0
    weight: float = 0.3
    schedule: Literal["constant", "linear", "dsn", "cnds", "warmup"] = "constant"
    discard_at: int = 0
    rate: float = 1.0
    stop_gradient: bool = False
    isolate: bool = False

    def __post_init__(self) -> None:
        checks.at_least(0, gamma=self.gamma, penalty=self.penalty, weight=self.weight, rate=self.rate)
        checks.at_least(0, discard_at=self.discard_at)
        checks.positive(temperature=self.temperature)
        if (self.loss in CLASS_LOSSES) != (self.target == "labels"):
            fitting = CLASS_LOSSES if self.target == "labels" else ("squared_error", "distillation")
            raise ValueError(
                f"loss is '{self.loss}', but target is '{self.target}', so that it must be"
                f" '{fitting[0]}' or '{fitting[1]}'"
            )

    @property
    def target_name(self) -> str:
        """Of its target among those of a step."""
        return f"teacher/{self.teacher_endpoint}" if self.target == "teacher" else self.target


class Net(nn.Module):
    """A part of a trunk, from one endpoint to another, and its heads.

    Attributes:
      heads: each head's description and module.
      after: the endpoint whose activations it reads; empty: it reads images.
      until: the endpoint up to which the trunk is run.
      noise: share of its input's elements that are set to zero in training, at random.
      scanned, remat: how the trunk is run, as its `__call__` has them; neither changes a value.
    """

    trunk: Trunk
    heads: tuple[tuple[Head, nn.Module], ...] = ()
    after: str = ""
    until: str = MAIN
    noise: float = 0.0
    scanned: tuple[tuple[str, ...], ...] = ()
    remat: Remat = "none"

    @property
    def output_names(self) -> list[str]:
        return [*([MAIN] if self.until == MAIN else []), *(head.name for head, _ in self.heads)]

    @nn.compact
    def __call__(
        self, x: Float[Array, "b ..."], *, train: bool, endpoints: Mapping[str, Array] | None = None
    ) -> dict[str, Float[Array, "b ..."]]:
        """-> float32 outputs by name: `main`, the trunk's logits, and one for each head.

        Args:
          endpoints: the trunk's, where they are known; it is not run then.

        Raises:
          ValueError: a head's endpoint does not exist, or its form cannot read it.
        """
        if endpoints is None:
            endpoints = self._run_trunk(x, train)
        outputs = {MAIN: endpoints[MAIN]} if self.until == MAIN else {}
        for head, module in self.heads:
            if head.endpoint not in endpoints:
                part = "this model does" if not self.after and self.until == MAIN else "this phase does"
                hint = did_you_mean(head.endpoint, endpoints)
                raise ValueError(f"endpoint is '{head.endpoint}', which {part} not have{hint}")
            read = endpoints[head.endpoint]
            read = jax.lax.stop_gradient(read) if head.stop_gradient else read
            outputs[head.name] = module.copy(name=parameters_of(head.name))(read, train=train)
        return {name: value.astype(jnp.float32) for name, value in outputs.items()}

    def _run_trunk(self, x: Array, train: bool) -> dict[str, Array]:
        cut = tuple(head.endpoint for head, _ in self.heads if head.isolate)
        if train and self.noise:
            kept = jax.random.bernoulli(self.make_rng("noise"), 1 - self.noise, x.shape)
            x = jnp.where(kept, x, jnp.zeros_like(x))
        return self.trunk(
            x,
            train=train,
            cut=cut,
            after=self.after,
            until=self.until,
            scanned=self.scanned,
            remat=self.remat if train else "none",
        )

    def enter(self, x: Float[Array, "b h w c"]) -> Float[Array, "b ..."]:
        """-> what `__call__` reads: activations of the trunk before it, computed as in evaluation."""
        return self.trunk(x, train=False, until=self.after)[self.after] if self.after else x

    def without(self, names: Collection[str]) -> "Net":
        """-> the net without the heads of these names."""
        return self.clone(heads=tuple(pair for pair in self.heads if pair[0].name not in names))


def attach(trunk: Trunk, heads: Sequence[tuple[Head, nn.Module]], **span: Any) -> Net:
    """-> the net of a trunk with these heads; `span` are the other attributes of `Net`.

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
    return Net(trunk, tuple(heads), **span)


def trunk_collections(variables: Mapping[str, Any]) -> dict[str, Any]:
    """-> those of a net's trunk, as it takes them alone."""
    return {kind: tree["trunk"] for kind, tree in variables.items() if "trunk" in tree}


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
