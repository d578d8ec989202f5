"""What a config describes, built and checked before anything runs or is written."""

import contextlib
import dataclasses
from collections.abc import Iterator
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
import optax

from resjax import models, optim
from resjax.config import Config
from resjax.data import augment, sources
from resjax.data.sources import Dataset, Split
from resjax.errors import UserError
from resjax.loop import Loop
from resjax.metrics import metric_names
from resjax.models.blocks import Layers
from resjax.models.heads import MAIN, Head, Net, attach
from resjax.step import DeviceData, TrainState, init_state

LAYER_KEYS = tuple(field.name for field in dataclasses.fields(Layers) if field.init)


@dataclasses.dataclass(frozen=True)
class Job:
    """The objects of one run.

    Attributes:
      weights: factor of each output's loss.
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
    weights: dict[str, float]
    eval_steps: int
    total_steps: int

    @property
    def metric_names(self) -> list[str]:
        return metric_names(self.net.output_names)

    def init_state(self, key: jax.Array) -> TrainState:
        """The state before the first step, made in one compiled program."""
        inputs = jnp.zeros((2, *self.dataset.image_shape), jnp.float32)
        ema = self.loop.ema_decay > 0
        return jax.jit(lambda key: init_state(self.net, self.optimizer, key, inputs, ema=ema))(key)

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
    net, weights = build_net(config, dataset.image_shape, dataset.classes)
    steps_per_epoch = len(dataset.train) / loop.batch_size
    with _section("schedule"):
        schedule, total = optim.make_schedule(steps_per_epoch, **config.schedule.to_dict())
    with _section("optim"):
        optimizer = optim.make_optimizer(schedule, **config.optim.to_dict())
    eval_steps = max(1, round(loop.eval_every * steps_per_epoch))
    return Job(config, dataset, net, pipeline, optimizer, schedule, loop, weights, eval_steps, total)


def build_net(
    config: Config, image_shape: tuple[int, int, int], classes: int
) -> tuple[Net, dict[str, float]]:
    """-> the model with its heads, shapes checked, and the weight of each output's loss."""
    with _section("model"):
        trunk = build_trunk(classes, **config.model.to_dict())
    with _section("heads"):
        heads = tuple(Head(**head.to_dict()) for head in config.heads)
        net = attach(trunk, heads, classes)
    inputs = jax.ShapeDtypeStruct((2, *image_shape), jnp.float32)
    with _section("heads" if heads else "model"):
        jax.eval_shape(lambda x: net.init(jax.random.key(0), x, train=False), inputs)
    return net, {MAIN: 1.0} | {head.name: head.weight for head in heads}


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
