"""The programs of a run, compiled from shapes alone, and what they need of each device."""

import dataclasses
import math
import re
import time
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from resjax import cost
from resjax import job as jobs
from resjax import mesh as meshes
from resjax import metrics as metric
from resjax.config import Config
from resjax.data import sources
from resjax.data.sources import Dataset
from resjax.device import Batch, DeviceData, Features, Images
from resjax.errors import ResjaxError
from resjax.exchange import Exchange, exchanges
from resjax.feed import AHEAD
from resjax.job import Job
from resjax.mesh import Layout
from resjax.programs import EvalProgram, TrainProgram
from resjax.schema import merged
from resjax.topology import Target
from resjax.training import IN_FLIGHT

REFUSED = re.compile(r"RESOURCE_EXHAUSTED.* temporaries \(([\d.]+)([KMGT]?)\)", re.DOTALL)
POWERS = {"": 0, "K": 1, "M": 2, "G": 3, "T": 4}


@dataclasses.dataclass(frozen=True)
class Need:
    """Of one program, on each device, and of one step.

    Attributes:
      program: `train` or `eval`.
      examples: in a step, of all devices.
      refused: the compiler makes no program, for it would not fit; it tells the bytes that it would take.
      arguments: bytes, as the compiler lays them out; of a refused program, as they are.
      temporaries: bytes.
      beside: bytes that lie on the device meanwhile for the other program.
      peak: bytes of all that, and of results.
      flops: of convolutions and dense layers, two for each multiply-add; without what is computed anew.
      counted_flops, accessed: operations, and bytes to and from memory, as XLA counts them: the body of a
        loop once, and also what stays in on-chip memory. None of a refused program.
      loops: identical units, or the parts of a batch, run in a loop.
    """

    program: str
    examples: int
    refused: bool
    arguments: int
    temporaries: int
    beside: int
    peak: int
    flops: float
    counted_flops: float | None
    accessed: float | None
    loops: bool
    exchanges: tuple[Exchange, ...]
    compile_seconds: float


@dataclasses.dataclass(frozen=True)
class Rehearsal:
    """A job whose arrays are shapes, for a target of that name."""

    job: Job
    target: str

    def train(self) -> Need:
        """-> what the program of training steps needs, in its last phase."""
        stage, loop, data = self.job.last, self.job.loop, self._training_data
        steps = self.job.per_dispatch(stage)
        program = TrainProgram(steps, stage.task_at(0), self.job.mesh)
        index, key = np.zeros((steps, loop.batch_size), np.int32), self._everywhere(jax.random.key(0))
        rest = (index, steps, data, key, stage.loss_weights(0, steps))
        waiting = self._examples(data, IN_FLIGHT + AHEAD)
        beside = waiting if self.job.streams else self._bytes(self._evaluated_data)
        given = self._bytes((self._state, data))
        return self._need("train", program, (self._state, *rest), loop.batch_size, given, beside)

    def eval(self) -> Need:
        """-> what the program of evaluation needs, while training waits."""
        task, state, data = self.job.last.task_at(0), self._state, self._evaluated_data
        batch = self._evaluated_batch
        program = EvalProgram(task, self.job.mesh)
        sums = jax.tree.map(self._everywhere, metric.zeros(task.metric_shapes))
        rest = (sums, np.zeros(batch, np.int32), np.ones(batch, bool), data)
        waiting = self._examples(data, AHEAD) + self._examples(self._training_data, 1 + AHEAD)
        beside = waiting if self.job.streams else self._bytes(self._training_data)
        beside += self._bytes(state) - self._bytes(state.variables)
        given = self._bytes((state.variables, data))
        return self._need("eval", program, (state.variables, *rest), batch, given, beside)

    def _examples(self, data: DeviceData, count: int) -> int:
        """-> bytes of the examples of so many dispatches, where they are brought to the devices ahead."""
        return count * self._bytes((data.images, data.labels)) if isinstance(data, Batch) else 0

    @property
    def _evaluated(self) -> Any:
        dataset = self.job.dataset
        return dataset.validation if len(dataset.validation) else dataset.test

    @property
    def _state(self) -> Any:
        stage = self.job.last
        return meshes.like(self.job.mesh, jax.eval_shape(stage.pack, stage.state_like(0)))

    @property
    def _evaluated_batch(self) -> int:
        batch = min(self.job.loop.eval_batch_size, len(self._evaluated))
        return batch + -batch % meshes.size(self.job.mesh)

    @property
    def _training_data(self) -> DeviceData:
        if self.job.streams:
            return self._batch(self.job.per_dispatch(self.job.last), self.job.loop.batch_size)
        return self._data(len(self.job.dataset.train))

    @property
    def _evaluated_data(self) -> DeviceData:
        return self._batch(self._evaluated_batch) if self.job.streams else self._data(len(self._evaluated))

    def _batch(self, *sizes: int) -> Batch:
        """-> examples of a step, or of several, as the devices share them out."""
        shared = meshes.examples(self.job.mesh, axis=len(sizes) - 1)
        shape = (*sizes, *self.job.dataset.image_shape)
        images: Any = jax.ShapeDtypeStruct(shape, jnp.uint8, sharding=shared)
        labels: Any = jax.ShapeDtypeStruct(sizes, jnp.int32, sharding=shared)
        return Batch(images, labels, *self._beside_images)

    def _data(self, examples: int) -> DeviceData:
        stage, labels = self.job.last, self._shape((examples,), jnp.int32)
        if stage.keeps_features:
            read = stage.shapes.endpoints[stage.net.after]
            return Features(self._shape((examples, *read.shape), read.dtype), labels)
        images = self._shape((examples, *self.job.dataset.image_shape), jnp.uint8)
        return Images(images, labels, *self._beside_images)

    @property
    def _beside_images(self) -> Any:
        return jax.tree.map(self._everywhere, (self.job.pipeline, self.job.teacher))

    def _everywhere(self, leaf: Any) -> Any:
        return self._shape(leaf.shape, leaf.dtype)

    def _shape(self, shape: tuple[int, ...], dtype: Any) -> Any:  # what stands for an array
        return jax.ShapeDtypeStruct(shape, dtype, sharding=meshes.whole(self.job.mesh))

    def _bytes(self, tree: Any) -> int:
        """-> of arrays, on each device."""
        total = 0
        for leaf in jax.tree.leaves(tree):
            shape = leaf.shape if leaf.sharding is None else leaf.sharding.shard_shape(leaf.shape)
            total += math.prod(shape) * leaf.dtype.itemsize
        return total

    def _need(self, name: str, program: Any, arguments: Any, examples: int, given: int, beside: int) -> Need:
        stage, devices = self.job.last, meshes.size(self.job.mesh)
        step = stage.multiply_adds / stage.steps / self.job.loop.batch_size
        forward = step if name == "train" else step / (1 + cost.BACKWARD)
        loops = any(stage.net.scanned) or (name == "train" and self.job.loop.accumulate > 1)
        known: dict[str, Any] = {"program": name, "examples": examples, "beside": beside}
        known |= {"flops": 2 * examples * forward / devices, "loops": loops}
        start = time.perf_counter()
        lowered = program.lower(*arguments)
        try:
            compiled = lowered.compile()
        except jax.errors.JaxRuntimeError as error:
            seconds = time.perf_counter() - start
            return _refused(error, self.target, given, **known, compile_seconds=seconds)
        return _accepted(compiled, **known, compile_seconds=time.perf_counter() - start)


def _accepted(compiled: Any, **known: Any) -> Need:
    memory, costs = compiled.memory_analysis(), compiled.cost_analysis() or {}
    given, temporaries = memory.argument_size_in_bytes, memory.temp_size_in_bytes
    results = memory.output_size_in_bytes - memory.alias_size_in_bytes
    return Need(
        **known,
        refused=False,
        arguments=given,
        temporaries=temporaries,
        peak=given + temporaries + results + known["beside"],
        counted_flops=costs.get("flops"),
        accessed=costs.get("bytes accessed"),
        exchanges=tuple(exchanges(compiled.as_text())),
    )


def _refused(error: Exception, target: str, arguments: int, **known: Any) -> Need:
    """The TPU's compiler gives no program that its memory cannot hold, but says what it would take; arguments
    and results are among its temporaries then (libtpu 0.0.42).

    Raises:
      ResjaxError: it says something else.
    """
    found = REFUSED.search(str(error))
    if not found:
        reason = str(error).partition("\n")[0]
        raise ResjaxError(
            f"the compiler for {target} refused the program {known['program']}: {reason}"
        ) from error
    temporaries = max(round(float(found[1]) * 1024 ** POWERS[found[2]]) - arguments, 0)
    return Need(
        **known,
        refused=True,
        arguments=arguments,
        temporaries=temporaries,
        peak=arguments + temporaries + known["beside"],
        counted_flops=None,
        accessed=None,
        exchanges=(),
    )


def rehearse(config: Config, target: Target, layout: Layout | None) -> Rehearsal:
    """-> the job of a config on a target's devices; raises UserError as training does."""
    batch, parts = config.train.batch_size, config.train.accumulate
    layout = meshes.choose(layout, len(target.devices), batch, parts, target.name)
    dataset = sources.outline(**config.data.to_dict())
    if dataset is None:  # of unknown size: it is taken to be large
        dataset, config = _unknown(config), _streamed(config)
    alone = target.here and layout.size == 1
    mesh = None if alone else layout.mesh(target.devices)
    return Rehearsal(jobs.build(config, lambda **_: dataset, mesh), target.name)


def _streamed(config: Config) -> Config:
    changed = config.copy_and_resolve_references()
    changed.data = merged(config.data, {"hold": "host"})
    return changed


def _unknown(config: Config) -> Dataset:
    """-> a million examples: lengths in steps mean nothing."""
    shape, classes = sources.describe(**config.data.to_dict())
    many, none = (sources.zeros(count, shape) for count in (1_000_000, 0))
    return Dataset(config.data.name, classes, many, none, many)
