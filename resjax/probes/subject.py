"""What is probed: a net with its values, at the start of training or from a run, and examples for it."""

import dataclasses
import functools
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int

from resjax import config as configs
from resjax import evaluation
from resjax.anatomy import Anatomy, dissect
from resjax.checkpoint import Checkpoints
from resjax.config import Config
from resjax.data import sources
from resjax.data.sources import Dataset
from resjax.device import Images, Targets, Variables
from resjax.errors import UserError
from resjax.job import Job, build
from resjax.models.heads import Net, trunk_collections
from resjax.models.trunk import MAIN
from resjax.phases import Stage
from resjax.record import read_config
from resjax.step import Task, TrainState
from resjax.transfer import transfer


@dataclasses.dataclass(frozen=True)
class Subject:
    """A net of a config with values.

    Attributes:
      label: the arm of the comparison; subjects of one label differ in their seeds.
      step: how many steps of training are done.
      stage: the phase of training that the net is in.
      task: what it learns at that step: the net with the heads that are left.
      variables: parameters and statistics, as training has them.
      averaged: the same as evaluation uses them: the moving average where there is one.
      workdir: the run's folder, or None at the start of training.
    """

    label: str
    step: int
    job: Job
    stage: Stage
    task: Task
    variables: Variables
    averaged: Variables
    workdir: Path | None = None

    @property
    def config(self) -> Config:
        return self.job.config

    @property
    def seed(self) -> int:
        return self.config.seed

    @property
    def net(self) -> Net:
        """Every unit apart: neither loops nor rematerialisation."""
        return self.task.net.clone(scanned=(), remat="none")

    @functools.cached_property
    def anatomy(self) -> Anatomy:
        return _dissect(self.net.trunk, self.job.last.shapes.image)

    @property
    def parts(self) -> list[str]:
        """-> the parts of the trunk that the net runs, from the image on."""
        return self.anatomy.span(self.net.after, self.net.until)[1]

    def check_complete(self) -> None:
        """Raises UserError in a phase of pretraining, whose net is not yet that of the run."""
        if self.stage is not self.job.last or self.net.until != MAIN:
            raise UserError(
                f"checkpoint {self.step} in {self.workdir} is of the phase '{self.stage.name}', whose net is"
                f" not yet that of the run; choose one behind step {self.job.last.start}"
            )

    def examples(self, count: int, split: str = "train") -> Images:
        """-> as many of a split, the same ones at every call; all of it where it has no more."""
        whole = self.job.dataset.split(split)
        index = np.random.default_rng(0).permutation(len(whole))[:count]
        return self.job.device_data(whole.take(index))

    def images(self, count: int, split: str) -> tuple[Float[Array, "n h w c"], Int[Array, " n"]]:
        """-> as many examples as the whole trunk reads them, not augmented, and their labels."""
        data = self.examples(count, split)
        return data.pipeline.evaluate(data.images), data.labels

    @property
    def evaluated_trunk(self) -> Variables:
        """-> the collections of the trunk alone, as evaluation uses them."""
        return trunk_collections(self.averaged)

    def batch(self, count: int, split: str = "train") -> tuple[Array, Targets]:
        """-> what the net reads of so many examples, not augmented, and all targets."""
        data = self.examples(count, split)
        return data.read(self.net, self.variables, jnp.arange(len(data.labels)))


# Training asks for one net's again and again.
_dissect: Callable[..., Anatomy] = functools.lru_cache(maxsize=8)(dissect)


@functools.lru_cache(maxsize=2)
def _read(settings: str) -> Dataset:
    return sources.load(**json.loads(settings))


def load(**settings: Any) -> Dataset:
    """-> the data of a section `data`, read once: the subjects of a command mostly share them."""
    return _read(json.dumps(settings, sort_keys=True))


def at_start(label: str, config: Config, seeds: int) -> Iterator[Subject]:
    """-> the net of a config before the first step of its last phase, with its seed and those behind it.

    Pretraining is not run; `config.start` is heeded.
    """
    for number in range(seeds):
        yield of_job(label, build(configs.with_seed(config, config.seed + number), load))


def of_job(label: str, job: Job) -> Subject:
    key, _ = jax.random.split(jax.random.key(job.config.seed))  # as training does
    stage, trunk = job.last, None
    if job.start is not None:
        trunk, _ = transfer(job.start.variables, stage.init_trunk(key))
    return _subject(label, job, stage, stage.unpack(stage.init_state(key, trunk)), 0)


def of_run(label: str, workdir: Path, checkpoint: str = "last") -> Subject:
    """-> a run's net at a checkpoint: `last`, `best` or a step.

    Raises:
      UserError: there is no such run or checkpoint.
    """
    job = build(read_config(workdir), load)
    with Checkpoints(workdir, read_only=True) as checkpoints:
        state, step = evaluation.restore(checkpoints, checkpoint, job)
    return _subject(label, job, job.stage_at(step), state, step, workdir)


def during(stage: Stage, job: Job, state: TrainState, step: int) -> Subject:
    """-> the net of a run that is being trained; `state` is unpacked."""
    return _subject("", job, stage, state, step)


def _subject(
    label: str, job: Job, stage: Stage, state: TrainState, step: int, workdir: Path | None = None
) -> Subject:
    task = stage.task_at(max(int(state.step) - 1, 0))
    variables = {"params": state.params, **state.collections}
    return Subject(label, step, job, stage, task, variables, state.variables, workdir)
