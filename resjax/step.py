"""The training state, one training step, one evaluation step: pure functions of arrays."""

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import optax
from flax import struct
from jaxtyping import Array, Bool, Float, Int, UInt8

from resjax import metrics as metric
from resjax.data.augment import Pipeline
from resjax.losses import Objective
from resjax.metrics import Metrics
from resjax.models.heads import Net

Variables = dict[str, Any]  # Flax collections: `params`, `batch_stats`, ...


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


class DeviceData(struct.PyTreeNode):
    """A split that lives on the device whole, and the way from its images to inputs."""

    images: UInt8[Array, "n h w c"]
    labels: Int[Array, " n"]
    pipeline: Pipeline


def init_state(
    net: Net,
    optimizer: optax.GradientTransformation,
    key: Array,
    inputs: Float[Array, "b h w c"],
    *,
    ema: bool,
) -> TrainState:
    """The state before the first step; `inputs` give shapes only."""
    collections: Any = net.init(key, inputs, train=False)
    params = collections.pop("params")
    average = {"params": params, **collections} if ema else None
    return TrainState(
        step=jnp.zeros((), jnp.int32),
        params=params,
        collections=dict(collections),
        opt_state=optimizer.init(params),
        ema=jax.tree.map(jnp.copy, average),
        metrics=metric.zeros(metric.metric_names(net.output_names)),
        diverged_at=jnp.full((), -1, jnp.int32),
    )


def train_step(
    state: TrainState,
    index: Int[Array, " b"],
    data: DeviceData,
    key: Array,
    weights: Mapping[str, Float[Array, ""]],
    *,
    net: Net,
    optimizer: optax.GradientTransformation,
    objective: Objective,
    ema_decay: float,
) -> TrainState:
    """One step on the examples `index`.

    Args:
      key: of the whole run; the step's own is folded in.
      weights: factor of each output's loss in the sum, by name; traced, so a change compiles nothing.
    """
    augment_key, dropout_key = jax.random.split(jax.random.fold_in(key, state.step))
    labels = data.labels[index]
    inputs = data.pipeline.train(augment_key, data.images[index])

    def loss_fn(params: Any) -> tuple[Array, Any]:
        outputs, collections = net.apply(
            {"params": params, **state.collections},
            inputs,
            train=True,
            mutable=list(state.collections),
            rngs={"dropout": dropout_key},
        )
        return objective(outputs, labels, weights), (outputs, collections)

    (loss, (outputs, collections)), grads = jax.value_and_grad(loss_fn, has_aux=True)(state.params)
    updates, opt_state = optimizer.update(grads, state.opt_state, state.params)
    params = optax.apply_updates(state.params, updates)
    ema = state.ema
    if ema is not None:
        ema = optax.incremental_update({"params": params, **collections}, ema, 1 - ema_decay)
    bad_now = ~jnp.isfinite(loss) & (state.diverged_at < 0)
    return state.replace(
        step=state.step + 1,
        params=params,
        collections=collections,
        opt_state=opt_state,
        ema=ema,
        metrics=metric.merge(state.metrics, metric.measure(outputs, labels, losses=objective.losses)),
        diverged_at=jnp.where(bad_now, state.step, state.diverged_at),
    )


def make_train_chunk(
    steps_per_dispatch: int, **step_settings: Any
) -> Callable[..., tuple[TrainState, Array]]:
    """-> jitted `chunk(state, index, count, data, key, weights)`: `count` steps, one compiled program.

    `index` is (steps_per_dispatch, b) and each output's weights (steps_per_dispatch,); what lies from
    `count` on is not used. The old state is donated.
    The second result is a small array to wait for: the state itself goes into the next chunk.
    """
    one_step = partial(train_step, **step_settings)

    def chunk(
        state: TrainState,
        index: Int[Array, "s b"],
        count: Int[Array, ""],
        data: DeviceData,
        key: Array,
        weights: Mapping[str, Float[Array, " s"]],
    ) -> tuple[TrainState, Array]:
        def at(i: Any, carry: TrainState) -> TrainState:
            return one_step(carry, index[i], data, key, {name: w[i] for name, w in weights.items()})

        # The count is traced: the last, shorter chunk runs the same program.
        state = at(0, state) if steps_per_dispatch == 1 else jax.lax.fori_loop(0, count, at, state)
        return state, state.step + 0

    return jax.jit(chunk, donate_argnums=0)


def make_eval_step(net: Net, objective: Objective) -> Callable[..., Metrics]:
    """-> jitted `evaluate(variables, metrics, index, mask, data)`, which adds one batch to the sums."""

    def evaluate(
        variables: Variables,
        sums: Metrics,
        index: Int[Array, " b"],
        mask: Bool[Array, " b"],
        data: DeviceData,
    ) -> Metrics:
        inputs = data.pipeline.evaluate(data.images[index])
        outputs: Any = net.apply(variables, inputs, train=False)
        return metric.merge(sums, metric.measure(outputs, data.labels[index], mask, losses=objective.losses))

    return jax.jit(evaluate)
