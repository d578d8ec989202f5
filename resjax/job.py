"""What a config describes, built and checked before anything runs or is written."""

import dataclasses
import math
from collections.abc import Callable

import jax.numpy as jnp
from jax.sharding import Mesh

from resjax import config as configs
from resjax import mesh as meshes
from resjax import trained
from resjax.anatomy import Anatomy
from resjax.assemble import Assembly, last_phase, section
from resjax.config import Config
from resjax.data import augment, sources
from resjax.data.sources import Dataset, Split
from resjax.device import Images, Source, Streamed, Teacher
from resjax.errors import UserError
from resjax.loop import Loop, Watch
from resjax.models.heads import Net
from resjax.models.trunk import MAIN
from resjax.phases import Origin, Stage, trunk_of
from resjax.step import TrainState
from resjax.trained import Trained
from resjax.transfer import transfer, whole_modules

CHUNK = 2**27  # bytes of streamed images that come to a device at once; there may be four such at a time


@dataclasses.dataclass(frozen=True)
class Job:
    """The objects of one run.

    Attributes:
      stages: the phases of training; the last one is that of the config outside its `phases`.
      start: the run whose parameters this one begins with.
      eval_steps: steps between evaluations.
      watches: probes of the net while it is trained.
      mesh: the devices that share the work, None: one does it.
      streams: the splits stay on the host, and examples are brought to the devices as they are needed.
    """

    config: Config
    dataset: Dataset
    pipeline: augment.Pipeline
    loop: Loop
    stages: tuple[Stage, ...]
    start: Trained | None
    teacher: Teacher | None
    steps_per_epoch: float
    eval_steps: int
    watches: tuple[Watch, ...] = ()
    mesh: Mesh | None = None
    streams: bool = False

    @property
    def last(self) -> Stage:
        return self.stages[-1]

    @property
    def total_steps(self) -> int:
        return self.last.end

    def stage_at(self, done: int) -> Stage:
        """-> the phase whose state there is when `done` steps are done: at an end, the one that ends."""
        return next(stage for stage in self.stages if done <= stage.end)

    def state_like(self, done: int) -> TrainState:
        """-> shapes and types of the state when `done` steps are done, and where it lies."""
        stage = self.stage_at(done)
        return meshes.like(self.mesh, stage.state_like(done - stage.start))

    def per_dispatch(self, stage: Stage) -> int:
        """-> how many training steps one program takes; streamed images of them are `CHUNK` bytes at most."""
        steps = self.loop.dispatch(stage.multiply_adds / stage.steps)
        if not self.streams or self.loop.steps_per_dispatch:
            return steps
        share = self.loop.batch_size // meshes.size(self.mesh) * math.prod(self.dataset.image_shape)
        return max(1, min(steps, CHUNK // share))

    def source(self, split: Split) -> Source:
        """-> a split as training and evaluation read it."""
        if not self.streams:
            return self.device_data(split)
        rest = meshes.put((self.pipeline, self.teacher), meshes.whole(self.mesh))
        return Streamed(split, self.mesh, *rest)

    def device_data(self, split: Split) -> Images:
        """-> a split on the device, all of it."""
        images, labels = jnp.asarray(split.images[:]), jnp.asarray(split.labels, jnp.int32)
        data = Images(images, labels, self.pipeline, self.teacher)
        return meshes.put(data, meshes.whole(self.mesh))


def build(config: Config, load: Callable[..., Dataset] = sources.load, mesh: Mesh | None = None) -> Job:
    """Raises UserError for whatever cannot be built; the message names the key.

    Args:
      load: reads the section `data`; a table passes one that remembers.
      mesh: the devices that share the work; None: one does it.
    """
    with section("train"):
        loop = Loop(**config.train.to_dict())
    with section("data"):
        dataset = load(**config.data.to_dict())
    if loop.batch_size > len(dataset.train):
        raise UserError(
            f"config.train.batch_size is {loop.batch_size}, more than the {len(dataset.train)} training"
            f" examples of {dataset.name}; it must be at most that"
        )
    with section("input"):
        pipeline = augment.fit(dataset.train.images, **config.input.to_dict())
    per_epoch = len(dataset.train) / loop.batch_size
    start, teacher = (_load(config, key) for key in ("start", "teacher"))
    read = augment.shape_read(dataset.image_shape, **config.input.to_dict())
    streams = dataset.is_streamed(config.data.hold)
    varied = pipeline.augments or streams
    assembly = Assembly(config, loop, read, dataset.classes, len(dataset.train), varied)
    found = None
    if teacher is not None:
        found, assembly = _teach(config, teacher, assembly)
    stages = assembly.stages()
    _check_labels(config, dataset, assembly, pipeline.augments)
    _check_trained(config, stages, start, assembly)
    eval_steps = max(1, round(loop.eval_every * per_epoch))
    watches = _watches(config, stages)
    rest = (per_epoch, eval_steps, watches, mesh, streams)
    return Job(config, dataset, pipeline, loop, stages, start, found, *rest)


def preview(config: Config) -> tuple[Net, Anatomy, tuple[Stage, ...]]:
    """-> the net of the last phase with its heads, whole, what it consists of, and all phases.

    The data are not read: their number of examples is taken for a million, so that lengths in steps mean
    nothing. Raises UserError as `build` does.
    """
    with section("train"):
        loop = Loop(**config.train.to_dict())
    image_shape, classes = sources.describe(**config.data.to_dict())
    read = augment.shape_read(image_shape, **config.input.to_dict())
    assembly = Assembly(config, loop, read, classes, 1_000_000, varied=True)
    teacher = _load(config, "teacher")
    if teacher is not None:
        _, assembly = _teach(config, teacher, assembly)
    whole = Loop(**{**config.train.to_dict(), "after": ""})
    net, anatomy = assembly.net("", last_phase(whole), config.model, config.heads)
    return net, anatomy, assembly.stages()


def _check_labels(config: Config, dataset: Dataset, assembly: Assembly, augments: bool) -> None:
    """What the net labels must be what the data have labels of: an image, or each of its pixels."""
    _, anatomy = assembly.dissect(config.model)
    *given, _ = anatomy.endpoints[MAIN]
    labels = list(dataset.train.labels.shape[1:])
    if given != labels:
        what = {False: "an image", True: "each pixel"}
        raise UserError(
            f"config.model.name is '{config.model.name}', which labels {what[bool(given)]}, but"
            f" {dataset.name} has labels of {what[bool(labels)]}; use unet or fcn where pixels are labelled,"
            " and only there"
        )
    if labels and (augments or config.train.eval_mirrored):
        raise UserError(
            "config.input.pad, config.input.flip and config.train.eval_mirrored move an image, and not the"
            f" labels of its pixels, which {dataset.name} has; they must be 0 and False"
        )


def _watches(config: Config, stages: tuple[Stage, ...]) -> tuple[Watch, ...]:
    found: list[Watch] = []
    for number, each in enumerate(config.probes):
        with section(f"probes[{number}]"):
            watch = Watch(**each.to_dict())
            if watch.name in [other.name for other in found]:
                raise ValueError(f"name is '{watch.name}' again; it must be another one")
            for groups in (stage.net.trunk.layers.norm_examples for stage in stages):
                if groups and watch.examples % groups:
                    raise ValueError(
                        f"examples is {watch.examples}; it must be a multiple of config.model.norm_examples,"
                        f" {groups}"
                    )
            found.append(watch)
    return tuple(found)


def _load(config: Config, key: str) -> Trained | None:
    origin = Origin(**config[key].to_dict())
    return trained.load(key, origin) if origin.run else None


def _teach(config: Config, found: Trained, assembly: Assembly) -> tuple[Teacher, Assembly]:
    """Raises UserError where the teacher reads other data, or reads them otherwise, than this run."""
    for changed, (theirs, own) in configs.difference(found.config, config).items():
        if changed.startswith(("data.", "input.")):
            raise UserError(
                f"config.teacher.run is '{found.run}', whose config.{changed} is {theirs!r}; it must be"
                f" {own!r}, as here, for both read the same inputs"
            )
    classes = dataclasses.replace(assembly, classes=found.classes)
    trunk, anatomy = classes.dissect(found.config.model, "teacher")
    shapes = {"teacher": anatomy.endpoints, "teacher_cost": anatomy.multiply_adds}
    variables = {name: tree["trunk"] for name, tree in found.variables.items()}
    return Teacher(trunk, variables), dataclasses.replace(assembly, **shapes)


def _check_trained(
    config: Config, stages: tuple[Stage, ...], start: Trained | None, assembly: Assembly
) -> None:
    """Every module of the last phase's trunk is trained, was trained, or is said not to be."""
    _, anatomy = assembly.dissect(config.model)
    done = set(config.train.freeze).union(*(stage.task.trained for stage in stages))
    if start is not None:
        target = {"params": stages[0].state_like(0).params}
        done |= whole_modules(transfer(start.variables, trunk_of(target))[1])
    never = [name for name in anatomy.modules_of(list(anatomy.modules)) if name not in done]
    if never:
        raise UserError(
            f"config.train.after is '{config.train.after}', so that {', '.join(never)} would never be"
            " trained; train them in one of config.phases, take them from config.start.run, or name them in"
            " config.train.freeze to keep their initial values"
        )
