"""What a config describes, built and checked before anything runs or is written."""

import contextlib
import dataclasses
from collections.abc import Iterator
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import optax

from resjax import models, optim, weights
from resjax.config import Config
from resjax.data import augment, sources
from resjax.data.sources import Dataset, Split
from resjax.errors import UserError
from resjax.loop import Loop
from resjax.losses import Objective
from resjax.models.blocks import Layers
from resjax.models.forms import FORMS
from resjax.models.heads import MAIN, Head, Net, attach, parameters_of
from resjax.step import DeviceData, TrainState, init_state

HEAD_KEYS = tuple(field.name for field in dataclasses.fields(Head))
LAYER_KEYS = tuple(field.name for field in dataclasses.fields(Layers))


@dataclasses.dataclass(frozen=True)
class Job:
    """The objects of one run.

    Attributes:
      net: the model with all its heads; `net_at` leaves out those that are discarded by a step.
      eval_steps: steps between evaluations.
      total_steps: of the whole run.
    """

    config: Config
    dataset: Dataset
    net: Net
    pipeline: augment.Pipeline
    optimizer: optax.GradientTransformation
    schedule: optax.Schedule
    loop: Loop
    objective: Objective
    steps_per_epoch: float
    eval_steps: int
    total_steps: int

    @property
    def heads(self) -> list[Head]:
        return [head for head, _ in self.net.heads]

    @property
    def discards(self) -> dict[int, list[str]]:
        """-> {step: names of the heads that are dropped when so many steps are done}."""
        found: dict[int, list[str]] = {}
        for head in self.heads:
            if head.discard_at:
                found.setdefault(head.discard_at, []).append(head.name)
        return found

    def discarded(self, step: int) -> list[str]:
        """-> names of the heads that are gone when `step` steps are done."""
        return [head.name for head in self.heads if 0 < head.discard_at <= step]

    def net_at(self, step: int) -> Net:
        """-> the net that takes step number `step`, counted from 0."""
        return self.net.without(self.discarded(step))

    def init_state(self, key: jax.Array) -> TrainState:
        """The state before the first step, made in one compiled program."""
        return jax.jit(lambda key: self._init_state(self.net, key))(key)

    def state_like(self, done: int) -> TrainState:
        """-> shapes and types of the state when `done` steps are done."""
        net = self.net_at(max(done - 1, 0))
        return jax.eval_shape(lambda: self._init_state(net, jax.random.key(0)))

    def _init_state(self, net: Net, key: jax.Array) -> TrainState:
        inputs = jnp.zeros((2, *self.dataset.image_shape), jnp.float32)
        return init_state(net, self.optimizer, key, inputs, ema=self.loop.ema_decay > 0)

    def loss_weights(self, first: int, steps: int) -> dict[str, np.ndarray]:
        """-> {output: weight of its loss at each step}, without the heads that are gone by then."""
        gone = self.discarded(first)  # no net is built here: this runs at every dispatch
        heads = [head for head in self.heads if head.name not in gone]
        return weights.at_steps(
            heads, first, steps, self.total_steps, self.steps_per_epoch, normalize=self.loop.normalize_weights
        )

    def device_data(self, split: Split) -> DeviceData:
        return DeviceData(jnp.asarray(split.images), jnp.asarray(split.labels, jnp.int32), self.pipeline)


def build(config: Config) -> Job:
    """Raises UserError for whatever cannot be built; the message names the key."""
    with _section("train"):
        loop = Loop(**config.train.to_dict())
    with _section("data"):
        dataset = sources.load(**config.data.to_dict())
    if loop.batch_size > len(dataset.train):
        raise UserError(
            f"config.train.batch_size is {loop.batch_size}, more than the {len(dataset.train)} training"
            f" examples of {dataset.name}; it must be at most that"
        )
    with _section("input"):
        pipeline = augment.fit(dataset.train.images, **config.input.to_dict())
    net = build_net(config, dataset.image_shape, dataset.classes)
    heads = [head for head, _ in net.heads]
    steps_per_epoch = len(dataset.train) / loop.batch_size
    with _section("schedule"):
        schedule, total = optim.make_schedule(steps_per_epoch, **config.schedule.to_dict())
    for number, head in enumerate(heads):
        if head.discard_at >= total:
            raise UserError(
                f"config.heads[{number}].discard_at is {head.discard_at}; it must be below {total}, the"
                " number of steps, or 0 to keep the head"
            )
    with _section("optim"):
        rates = {parameters_of(head.name): head.rate for head in heads if head.rate != 1}
        optimizer = optim.make_optimizer(schedule, rates, **config.optim.to_dict())
    objective = Objective(
        {MAIN: loop.loss} | {head.name: head.loss for head in heads},
        {MAIN: 0.0} | {head.name: head.gamma for head in heads},
        loop.label_smoothing,
    )
    eval_steps = max(1, round(loop.eval_every * steps_per_epoch))
    return Job(
        config,
        dataset,
        net,
        pipeline,
        optimizer,
        schedule,
        loop,
        objective,
        steps_per_epoch,
        eval_steps,
        total,
    )


def check(config: Config) -> None:
    """Raises UserError for impossible settings, as far as they show without the data."""
    with _section("train"):
        Loop(**config.train.to_dict())
    with _section("model"):
        build_trunk(2, **config.model.to_dict())
    for number, section in enumerate(config.heads):
        with _section(f"heads[{number}]"):
            build_head(2, **section.to_dict())
    with _section("schedule"):
        schedule, _ = optim.make_schedule(1e4, **config.schedule.to_dict())
    with _section("optim"):
        optim.make_optimizer(schedule, **config.optim.to_dict())


def build_net(config: Config, image_shape: tuple[int, int, int], classes: int) -> Net:
    """-> the model with its heads, every shape checked."""
    with _section("model"):
        trunk = build_trunk(classes, **config.model.to_dict())
        inputs = jax.ShapeDtypeStruct((2, *image_shape), jnp.float32)
        jax.eval_shape(lambda x: trunk.init(jax.random.key(0), x, train=False), inputs)
    pairs = []
    for number, section in enumerate(config.heads):
        with _section(f"heads[{number}]"):
            pairs.append(build_head(classes, **section.to_dict()))
            net = attach(trunk, pairs)
            jax.eval_shape(lambda x, net=net: net.init(jax.random.key(0), x, train=False), inputs)
    return attach(trunk, pairs)


def build_head(classes: int, /, **settings: Any) -> tuple[Head, nn.Module]:
    """-> a head's description, and its module."""
    own = {key: settings.pop(key) for key in HEAD_KEYS}
    return Head(**own), FORMS[own["form"]](classes, **settings)


def build_trunk(classes: int, /, *, name: str, **settings: Any) -> nn.Module:
    layers = Layers(**{key: settings.pop(key) for key in LAYER_KEYS})
    return models.MODELS[name](classes, layers, **settings)


@contextlib.contextmanager
def _section(name: str) -> Iterator[None]:
    """The functions behind a section raise ValueError("KEY is ...; it must ..."); this adds the section."""
    try:
        yield
    except ValueError as error:
        raise UserError(f"config.{name}.{error}") from error
