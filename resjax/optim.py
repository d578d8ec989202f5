"""Optimizers and schedules by name, and the mask that says which parameters decay."""

import math
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any, Literal

import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, ArrayLike

from resjax import checks

Schedule = optax.Schedule
Direction = optax.GradientTransformation
Unit = Literal["epochs", "steps"]


def sgd(*, momentum: float = 0.9, nesterov: bool = False) -> Direction:
    """v <- momentum * v + g; Caffe has the rate inside v, which differs only right after a drop."""
    checks.share(momentum=momentum)
    return optax.trace(momentum, nesterov)


def adam(*, b1: float = 0.9, b2: float = 0.999, eps: float = 1e-8, nesterov: bool = False) -> Direction:
    checks.share(b1=b1, b2=b2)
    checks.positive(eps=eps)
    return optax.scale_by_adam(b1, b2, eps, nesterov=nesterov)


def lion(*, b1: float = 0.9, b2: float = 0.99) -> Direction:
    checks.share(b1=b1, b2=b2)
    return optax.scale_by_lion(b1, b2)


def rmsprop(*, decay_rate: float = 0.9, eps: float = 1e-8, momentum: float = 0.0) -> Direction:
    checks.share(decay_rate=decay_rate, momentum=momentum)
    checks.positive(eps=eps)
    return optax.chain(optax.scale_by_rms(decay_rate, eps), optax.trace(momentum))


def adagrad(*, initial: float = 0.1, eps: float = 1e-7) -> Direction:
    checks.at_least(0, initial=initial)
    checks.positive(eps=eps)
    return optax.scale_by_rss(initial, eps)


def adadelta(*, rho: float = 0.9, eps: float = 1e-6) -> Direction:
    checks.share(rho=rho)
    checks.positive(eps=eps)
    return optax.scale_by_adadelta(rho, eps)


# Each gives the direction of descent; the learning rate and the decay are added here, for all alike.
OPTIMIZERS: Mapping[str, Callable[..., Direction]] = MappingProxyType(
    {
        "sgd": sgd,
        "adam": adam,
        "adamw": adam,
        "lion": lion,
        "rmsprop": rmsprop,
        "adagrad": adagrad,
        "adadelta": adadelta,
    }
)
DECOUPLED = ("adamw", "lion")


def make_optimizer(
    rate: Schedule,
    rates: Mapping[str, float] = MappingProxyType({}),
    /,
    *,
    name: str = "sgd",
    weight_decay: float = 0.0,
    decay: Literal["kernels", "all"] = "kernels",
    clip_norm: float = 0.0,
    **settings: float | bool,
) -> optax.GradientTransformation:
    """The optimizer `name` with weight decay and gradient clipping.

    Args:
      rate: learning rate by step.
      rates: factors of the rate for the parts of a net that `rates` names, keys of the parameters' tree.
      weight_decay: added to the gradient, times the parameter; for the optimizers in `DECOUPLED`, to the
        direction instead (Loshchilov and Hutter, 1711.05101).
      decay: `kernels`, the weights of convolutions and dense layers, as He et al. 2015; or `all`
        parameters, as fb.resnet.torch.
      clip_norm: largest global norm of the gradient, before decay; 0: no clipping.
      settings: keyword arguments of the function in `OPTIMIZERS`.

    Raises:
      ValueError: a negative coefficient.
    """
    checks.at_least(0, weight_decay=weight_decay, clip_norm=clip_norm)
    direction = OPTIMIZERS[name](**settings)
    decayed = optax.add_decayed_weights(weight_decay, kernels if decay == "kernels" else None)
    pair = (direction, decayed) if name in DECOUPLED else (decayed, direction)
    clip = (optax.clip_by_global_norm(clip_norm),) if clip_norm else ()
    own = (_scale_parts(rates),) if rates else ()
    return optax.chain(*clip, *pair, optax.scale_by_learning_rate(rate), *own)


def _scale_parts(rates: Mapping[str, float]) -> optax.GradientTransformation:
    def scale(updates: optax.Updates, _: Any) -> optax.Updates:
        parts: Any = updates
        return {
            name: optax.tree.scale(rates[name], part) if name in rates else part
            for name, part in parts.items()
        }

    return optax.stateless(scale)


def kernels(params: optax.Params) -> optax.Params:
    """-> True at the weights of convolutions and dense layers, False at biases and norm parameters."""
    return jax.tree_util.tree_map_with_path(lambda path, _: path[-1].key == "kernel", params)


def constant(total: int, scale: float, peak: float, /) -> Schedule:
    return optax.constant_schedule(peak)


def step(
    total: int, scale: float, peak: float, /, *, drops: tuple[float, ...] = (), factor: float = 0.1
) -> Schedule:
    """The rate is multiplied by `factor` at each of `drops`, in the section's unit.

    Raises:
      ValueError: drops that do not rise or lie beyond the end.
    """
    checks.positive(factor=factor)
    steps = [round(drop * scale) if math.isfinite(drop) else 0 for drop in drops]
    if steps != sorted(set(steps)) or any(not 0 < at < total for at in steps):
        raise ValueError(f"drops is {drops}; they must rise, between 0 and length")
    return optax.piecewise_constant_schedule(peak, dict.fromkeys(steps, factor))


def cosine(total: int, scale: float, peak: float, /, *, final: float = 0.0) -> Schedule:
    """Half a cosine from the peak to `final` times the peak (Loshchilov and Hutter, 1608.03983)."""
    checks.at_least(0, final=final)
    return optax.cosine_decay_schedule(peak, total, final)


def one_cycle(
    total: int,
    scale: float,
    peak: float,
    /,
    *,
    rise: float = 0.3,
    start: float = 0.04,
    final: float = 0.0001,
) -> Schedule:
    """Up from `start` * peak over the share `rise` of training, then down to `final` * peak, by cosines."""
    checks.inside(rise=rise)
    checks.at_least(0, final=final)
    if not 0 < start <= 1:
        raise ValueError(f"start is {start}; it must be above 0 and at most 1")
    top = max(1, round(rise * total))
    up = optax.cosine_decay_schedule(start * peak, top, 1 / start)
    down = optax.cosine_decay_schedule(peak, max(1, total - top), final)
    return optax.join_schedules([up, down], [top])


SCHEDULES: Mapping[str, Callable[..., Schedule]] = MappingProxyType(
    {"constant": constant, "step": step, "cosine": cosine, "one_cycle": one_cycle}
)


def make_schedule(
    steps_per_epoch: float,
    /,
    *,
    name: str = "cosine",
    length: float,
    unit: Unit = "epochs",
    learning_rate: float,
    warmup: float = 0.0,
    warmup_from: float = 0.0,
    warmup_shape: Literal["linear", "constant"] = "linear",
    **settings: float | tuple[float, ...],
) -> tuple[Callable[[ArrayLike], Array], int]:
    """-> the learning rate by step, and how many steps there are.

    Args:
      steps_per_epoch: examples / batch size, a fraction where epochs end within a batch.
      length: of training, in `unit`.
      learning_rate: the peak.
      warmup: length of the warm-up, in `unit`; the schedule proper counts from step 0 all the same.
      warmup_from: rate at the start of the warm-up, or all through it where the shape is constant.
      settings: keyword arguments of the function in `SCHEDULES`.

    Raises:
      ValueError: a length of less than a step, a warm-up beyond the end, a learning rate not above 0.
    """
    scale = steps_per_epoch if unit == "epochs" else 1.0
    checks.positive(learning_rate=learning_rate)
    checks.at_least(0, warmup_from=warmup_from)
    if not math.isfinite(length):
        raise ValueError(f"length is {length}; it must be finite")
    total = round(length * scale)
    if total < 1:
        raise ValueError(f"length is {length} {unit}, less than one step; it must be longer")
    if not 0 <= warmup < length:
        raise ValueError(f"warmup is {warmup} {unit}; it must be at least 0 and below length, {length}")
    warm = round(warmup * scale)
    main = SCHEDULES[name](total, scale, learning_rate, **settings)
    warming = optax.linear_schedule(
        warmup_from, learning_rate if warmup_shape == "linear" else warmup_from, max(warm, 1)
    )

    def rate(count: ArrayLike) -> Array:
        at = jnp.asarray(count, jnp.float32)
        return jnp.where(at < warm, warming(at), main(at))

    return rate, total
