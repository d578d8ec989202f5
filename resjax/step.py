"""The training state, one training step, one evaluation step: pure functions of arrays."""

import dataclasses
from collections.abc import Collection, Mapping
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import optax
from flax import struct
from jaxtyping import Array, Bool, Float, Int

from resjax import accumulate
from resjax import metrics as metric
from resjax.device import DeviceData, Targets, Variables
from resjax.losses import Objective
from resjax.metrics import Metrics
from resjax.models.heads import Net, discard, parameters_of, trunk_collections


class TrainState(struct.PyTreeNode):
    """All that a run carries from step to step.

    Attributes:
      step: how many steps are done.
      params: trainable parameters; `collections`: the others, such as batch statistics.
      ema: moving average of params and collections, or None.
      metrics: sums since the last log line.
      diverged_at: the first step whose loss was NaN or infinite, or -1.
    """

    step: Int[Array, ""]
    params: Any
    collections: Variables
    opt_state: optax.OptState
    ema: Variables | None
    metrics: Metrics
    diverged_at: Int[Array, ""]

    @property
    def variables(self) -> Variables:
        """What evaluation uses: the moving average where there is one."""
        return {"params": self.params, **self.collections} if self.ema is None else self.ema

    def without(self, heads: Collection[str]) -> "TrainState":
        """-> the state when these heads are discarded, whose sums have been reported."""
        kept = {name: mean for name, mean in self.metrics.items() if name.split("/")[0] not in heads}
        return discard(self, heads).replace(metrics=kept)


@dataclasses.dataclass(frozen=True)
class Task:
    """What a phase of training learns, and with what: static, so part of its compiled program.

    Attributes:
      trained: the modules of the trunk that learn; the others keep their parameters and statistics.
      eval_mirrored: in evaluation, logits are means over an image and its mirror image.
      parts: a step computes its batch in so many of equal size, one after the other.
      deterministic: its programs give the same bits whenever they are run.
    """

    net: Net
    objective: Objective
    optimizer: optax.GradientTransformation
    trained: frozenset[str]
    ema_decay: float = 0.0
    eval_mirrored: bool = False
    parts: int = 1
    deterministic: bool = False

    def without(self, heads: Collection[str]) -> "Task":
        return dataclasses.replace(self, net=self.net.without(heads))

    @property
    def metric_shapes(self) -> dict[str, tuple[int, ...]]:
        return metric.shapes(self.net.output_names, self.objective.terms)


def init_state(task: Task, variables: Variables) -> TrainState:
    """The state before a phase's first step, from the variables of its whole trunk and its heads."""
    collections = dict(variables)
    params = collections.pop("params")
    average = {"params": params, **collections} if task.ema_decay else None
    return TrainState(
        step=jnp.zeros((), jnp.int32),
        params=params,
        collections=collections,
        opt_state=task.optimizer.init(split(params, task.trained)[0]),
        ema=jax.tree.map(jnp.copy, average),
        metrics=metric.zeros(task.metric_shapes),
        diverged_at=jnp.full((), -1, jnp.int32),
    )


def split(tree: Mapping[str, Any], trained: Collection[str]) -> tuple[dict[str, Any], dict[str, Any]]:
    """-> parameters (or statistics) without the trunk's modules that do not learn, and those modules."""
    trunk = tree.get("trunk", {})
    kept = {name: part for name, part in trunk.items() if name not in trained}
    learning = {name: part for name, part in trunk.items() if name in trained}
    return {**tree, "trunk": learning} if kept else dict(tree), kept


def split_all(collections: Variables, trained: Collection[str]) -> tuple[Variables, Variables]:
    """-> each collection as `split` has it."""
    pairs = {name: split(tree, trained) for name, tree in collections.items()}
    return {name: pair[0] for name, pair in pairs.items()}, {name: pair[1] for name, pair in pairs.items()}


def join(learning: Mapping[str, Any], kept: Mapping[str, Any]) -> dict[str, Any]:
    """The inverse of `split`."""
    return {**learning, "trunk": {**learning["trunk"], **kept}} if kept else dict(learning)


def train_step(
    state: TrainState,
    index: Int[Array, " b"],
    data: DeviceData,
    key: Array,
    weights: Mapping[str, Float[Array, ""]],
    *,
    task: Task,
) -> TrainState:
    """One step on the examples `index`.

    Args:
      key: of the whole phase; the step's own is folded in.
      weights: factor of each output's loss in the sum, by name; traced, so a change compiles nothing.
    """
    augment_key, noise_key = jax.random.split(jax.random.fold_in(key, state.step))
    features, targets = data.read(
        task.net, {"params": state.params, **state.collections}, index, augment_key
    )  # fmt: skip
    read = {"labels", *(task.objective.terms[name].target for name in task.net.output_names)}
    batch = features, {name: targets[name] for name in read}
    learning, kept = split(state.params, task.trained)
    moving, still = split_all(state.collections, task.trained)
    like = (jnp.zeros(()), learning, moving), jax.tree.map(jnp.zeros_like, state.metrics)
    find = partial(_differentiate, state, weights, task)
    (loss, grads, moved), found = accumulate.over_parts(find, task.parts, batch, noise_key, like)
    updates, opt_state = task.optimizer.update(grads, state.opt_state, learning)
    updated: Any = optax.apply_updates(learning, updates)
    params = join(updated, kept)
    collections = {name: join(tree, still[name]) for name, tree in moved.items()}
    ema = state.ema
    if ema is not None:
        ema = optax.incremental_update({"params": params, **collections}, ema, 1 - task.ema_decay)
    bad_now = ~jnp.isfinite(loss) & (state.diverged_at < 0)
    return state.replace(
        step=state.step + 1,
        params=params,
        collections=collections,
        opt_state=opt_state,
        ema=ema,
        metrics=metric.merge(state.metrics, found),
        diverged_at=jnp.where(bad_now, state.step, state.diverged_at),
    )


def _differentiate(
    state: TrainState,
    weights: Mapping[str, Float[Array, ""]],
    task: Task,
    batch: tuple[Array, Targets],
    key: Array,
) -> tuple[tuple[Array, Any, Variables], Metrics]:
    """-> (mean loss, its gradients, statistics that have moved) and the metrics of a batch, or a part of one.

    Args:
      key: of dropout and noise.
    """
    features, targets = batch
    learning, kept = split(state.params, task.trained)
    endpoints = None if task.trained else _frozen_endpoints(state, features, task.net)

    def loss_fn(learning: Any) -> tuple[Array, Any]:
        params = join(learning, kept)
        outputs, collections = task.net.apply(
            {"params": params, **state.collections},
            features,
            train=True,
            endpoints=endpoints,
            mutable=list(state.collections),
            rngs={"dropout": key, "noise": key},
        )
        loss = task.objective(outputs, targets, weights, _squared_norms(params, task.objective))
        return loss, (outputs, collections)

    (loss, (outputs, collections)), grads = jax.value_and_grad(loss_fn, has_aux=True)(learning)
    moved, _ = split_all(collections, task.trained)
    return (loss, grads, moved), metric.measure(outputs, targets, terms=task.objective.terms)


def _frozen_endpoints(state: TrainState, features: Array, net: Net) -> dict[str, Array]:
    """-> those of a trunk that does not learn at all: as in evaluation, like all that is frozen below."""
    own = trunk_collections({"params": state.params, **state.collections})
    endpoints: Any = net.trunk.apply(own, features, train=False, after=net.after, until=net.until)
    return endpoints


def _squared_norms(params: Any, objective: Objective) -> dict[str, Array]:
    """-> {head: sum of squares of its kernels} of the heads with a penalty."""
    found = {}
    for name, term in objective.terms.items():
        part = parameters_of(name)
        if term.penalty and part in params:
            leaves = jax.tree_util.tree_leaves_with_path(params[part])
            kernels = [leaf for path, leaf in leaves if path[-1].key == "kernel"]
            found[name] = jnp.stack([jnp.square(kernel).sum() for kernel in kernels]).sum()
    return found


def eval_step(
    variables: Variables,
    sums: Metrics,
    index: Int[Array, " b"],
    mask: Bool[Array, " b"],
    data: DeviceData,
    *,
    task: Task,
) -> Metrics:
    """-> the sums with those of the examples `index`, as far as `mask` says that they count."""
    features, targets = data.read(task.net, variables, index)
    outputs: Any = task.net.apply(variables, features, train=False)
    if task.eval_mirrored:
        features, _ = data.read(task.net, variables, index, mirrored=True)
        mirrored: Any = task.net.apply(variables, features, train=False)
        classes = [name for name, term in task.objective.terms.items() if term.target == "labels"]
        outputs |= {name: (outputs[name] + mirrored[name]) / 2 for name in classes if name in outputs}
    return metric.merge(sums, metric.measure(outputs, targets, mask, task.objective.terms))
