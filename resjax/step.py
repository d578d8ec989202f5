"""The training state, one training step, one evaluation step: pure functions of arrays."""

import dataclasses
from collections.abc import Callable, Collection, Mapping
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import optax
from flax import struct
from jaxtyping import Array, Bool, Float, Int

from resjax import metrics as metric
from resjax.device import DeviceData, Variables
from resjax.losses import Objective
from resjax.metrics import Metrics
from resjax.models.heads import Net, parameters_of


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


@dataclasses.dataclass(frozen=True)
class Task:
    """What a phase of training learns, and with what: static, so part of its compiled program.

    Attributes:
      trained: the modules of the trunk that learn; the others keep their parameters and statistics.
    """

    net: Net
    objective: Objective
    optimizer: optax.GradientTransformation
    trained: frozenset[str]
    ema_decay: float = 0.0

    def without(self, heads: Collection[str]) -> "Task":
        return dataclasses.replace(self, net=self.net.without(heads))

    @property
    def metric_names(self) -> list[str]:
        return metric.metric_names(self.net.output_names, self.objective.terms)


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
        metrics=metric.zeros(task.metric_names),
        diverged_at=jnp.full((), -1, jnp.int32),
    )


def split(tree: Mapping[str, Any], trained: Collection[str]) -> tuple[dict[str, Any], dict[str, Any]]:
    """-> parameters (or statistics) without the trunk's modules that do not learn, and those modules."""
    trunk = tree.get("trunk", {})
    kept = {name: part for name, part in trunk.items() if name not in trained}
    learning = {name: part for name, part in trunk.items() if name in trained}
    return {**tree, "trunk": learning} if kept else dict(tree), kept


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
    augment_key, dropout_key = jax.random.split(jax.random.fold_in(key, state.step))
    features, targets = data.read(
        task.net, {"params": state.params, **state.collections}, index, augment_key
    )  # fmt: skip
    learning, kept = split(state.params, task.trained)

    def loss_fn(learning: Any) -> tuple[Array, Any]:
        params = join(learning, kept)
        outputs, collections = task.net.apply(
            {"params": params, **state.collections},
            features,
            train=True,
            mutable=list(state.collections),
            rngs={"dropout": dropout_key, "noise": dropout_key},
        )
        loss = task.objective(outputs, targets, weights, _squared_norms(params, task.objective))
        return loss, (outputs, collections)

    (loss, (outputs, collections)), grads = jax.value_and_grad(loss_fn, has_aux=True)(learning)
    updates, opt_state = task.optimizer.update(grads, state.opt_state, learning)
    moved: Any = optax.apply_updates(learning, updates)
    params = join(moved, kept)
    collections = {
        name: join(split(new, task.trained)[0], split(state.collections[name], task.trained)[1])
        for name, new in collections.items()
    }
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
        metrics=metric.merge(state.metrics, metric.measure(outputs, targets, terms=task.objective.terms)),
        diverged_at=jnp.where(bad_now, state.step, state.diverged_at),
    )


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


def make_train_chunk(steps_per_dispatch: int, task: Task) -> Callable[..., tuple[TrainState, Array]]:
    """-> `chunk(state, index, count, data, key, weights)`: `count` steps, one compiled program.

    `index` is (steps_per_dispatch, b) and each output's weights (steps_per_dispatch,); what lies from
    `count` on is not used. The old state is donated.
    The second result is a small array to wait for: the state itself goes into the next chunk.

    What does not learn stays outside the program's state, and the program is given no names. So where
    nothing reads the frozen part, as with kept features, phases that train blocks of one shape have one
    and the same program, which the persistent cache knows.
    """
    one_step = partial(train_step, task=task)

    def chunk(
        learning: TrainState,
        kept: Variables,
        index: Int[Array, "s b"],
        count: Int[Array, ""],
        data: DeviceData,
        key: Array,
        weights: Mapping[str, Float[Array, " s"]],
    ) -> tuple[list[Array], Array]:
        def at(i: Any, carry: TrainState) -> TrainState:
            step_weights = {name: w[i] for name, w in weights.items()}
            state = one_step(_restore(carry, kept), index[i], data, key, step_weights)
            return _strip(state, task.trained)[0]

        # The count is traced: the last, shorter chunk runs the same program.
        state = at(0, learning) if steps_per_dispatch == 1 else jax.lax.fori_loop(0, count, at, learning)
        return jax.tree.leaves(state), state.step + 0

    compiled = jax.jit(chunk, donate_argnums=0)

    def run(state: TrainState, *rest: Any) -> tuple[TrainState, Array]:
        learning, kept = _strip(state, task.trained)
        names = jax.tree.structure(learning)
        leaves, token = compiled(learning, kept, *rest)
        return _restore(names.unflatten(leaves), kept), token

    return run


def _strip(state: TrainState, trained: Collection[str]) -> tuple[TrainState, Variables]:
    """-> the state without the trunk's modules that do not learn, and those, by collection."""
    params, kept_params = split(state.params, trained)
    pairs = {name: split(tree, trained) for name, tree in state.collections.items()}
    collections = {name: learning for name, (learning, _) in pairs.items()}
    kept = {name: kept for name, (_, kept) in pairs.items()}
    return state.replace(params=params, collections=collections), {"params": kept_params, **kept}


def _restore(state: TrainState, kept: Variables) -> TrainState:
    """The inverse of `_strip`."""
    collections = {name: join(tree, kept[name]) for name, tree in state.collections.items()}
    return state.replace(params=join(state.params, kept["params"]), collections=collections)


def make_eval_step(task: Task) -> Callable[..., Metrics]:
    """-> `evaluate(variables, metrics, index, mask, data)`, which adds one batch to the sums, compiled."""

    def evaluate(
        variables: Variables,
        sums: Metrics,
        index: Int[Array, " b"],
        mask: Bool[Array, " b"],
        data: DeviceData,
    ) -> list[Array]:
        features, targets = data.read(task.net, variables, index)
        outputs: Any = task.net.apply(variables, features, train=False)
        found = metric.merge(sums, metric.measure(outputs, targets, mask, task.objective.terms))
        return jax.tree.leaves(found)  # without names, as in training

    compiled = jax.jit(evaluate)

    def run(variables: Variables, sums: Metrics, *rest: Any) -> Metrics:
        return jax.tree.unflatten(jax.tree.structure(sums), compiled(variables, sums, *rest))

    return run
