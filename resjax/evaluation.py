"""Accuracy on a split: within training, and of a finished run by command."""

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import jax

from resjax import lockstep, processes
from resjax import mesh as meshes
from resjax import metrics as metric
from resjax.checkpoint import Checkpoints
from resjax.config import Config
from resjax.data.batches import eval_batches
from resjax.device import DeviceData, Streamed, Variables
from resjax.errors import ResjaxError, UserError
from resjax.feed import feed
from resjax.job import Job, build
from resjax.mesh import Layout
from resjax.programs import EvalProgram
from resjax.record import read_config, write_atomically
from resjax.step import Task, TrainState


class Evaluator:
    """Evaluation during training: of the held-out slice where there is one, else of test; at the end of both.

    Attributes:
      often: the split that is evaluated within training.
      marker: the metric whose presence in a log line says that a step has been evaluated.
    """

    def __init__(self, job: Job):
        self.often = "validation" if len(job.dataset.validation) else "test"
        self._batch_size, self._mesh = job.loop.eval_batch_size, job.mesh

    def attend(self, task: Task, splits: Mapping[str, DeviceData | Streamed]) -> None:
        """From now on, this is what is evaluated, on these splits."""
        self._task, self._splits, self._step = task, splits, EvalProgram(task, self._mesh)
        self.marker = f"{self.often}/{next(iter(task.metric_shapes))}"

    def __call__(self, variables: Variables, *, both: bool, poll: Callable[[], None]) -> dict[str, float]:
        """-> metrics by `split/name`; `poll` is called between batches and may raise."""
        found = {}
        for split in dict.fromkeys([self.often, "test"] if both else [self.often]):
            means = measure(self._step, variables, self._splits[split], self._task, self._batch_size, poll)
            found |= {f"{split}/{name}": value for name, value in means.items()}
        return found


def measure(
    program: EvalProgram,
    variables: Variables,
    data: DeviceData | Streamed,
    task: Task,
    batch_size: int,
    poll: Callable[[], None] = lambda: None,
) -> dict[str, float]:
    """-> means over every example of a split, each counted once, on any number of devices."""
    batch_size = min(batch_size, len(data.labels))
    batch_size += -batch_size % meshes.size(program.mesh)  # what is added is masked
    sums = metric.zeros(task.metric_shapes)
    batches = zip(*eval_batches(len(data.labels), batch_size), strict=True)
    for given in feed(data, batches):
        sums = program(variables, sums, *given)
        jax.block_until_ready(sums)  # one batch in flight at most, so that a stop takes effect at once
        poll()
    return metric.values(sums)


def evaluate(
    workdir: Path | str,
    *,
    config: Config | None = None,
    split: str = "test",
    checkpoint: str = "last",
    layout: Layout | None = None,
) -> dict[str, Any]:
    """Evaluates a run's checkpoint and writes `eval-SPLIT-STEP.json` into its folder.

        resjax.evaluate("runs/digits", split="train")["accuracy"]

    Args:
      config: to evaluate with; None: the run's own.
      split: `test`, `train`, or `validation`, the slice that `config.data.holdout` holds out.
      checkpoint: `last`, `best` or a step.
      layout: of the devices; None: all share out the examples. It need not be that of the training.

    Returns:
      `step`, `split`, `examples`, and means over them: `accuracy`, `loss`, ..., and `HEAD/accuracy` of heads.

    Raises:
      UserError: no run, no such checkpoint, an empty split, another model's checkpoint, or a layout of more
        devices than there are.
    """
    workdir = Path(workdir)
    with processes.agreeing():
        mesh = meshes.make(layout)
        job = build(read_config(workdir) if config is None else config, mesh=mesh)
    lockstep.check(job)
    with Checkpoints(workdir, read_only=True) as checkpoints:
        state, step = restore(checkpoints, checkpoint, job)
    stage = job.stage_at(step)
    task = stage.task_at(max(int(state.step) - 1, 0))
    data = job.source(job.dataset.split(split))
    program, variables = EvalProgram(task, mesh), stage.pack(state.variables)
    found = measure(program, variables, data, task, job.loop.eval_batch_size)
    report = {"step": step, "split": split, "examples": len(data.labels), **found}
    if processes.is_first():
        write_atomically(workdir / f"eval-{split}-{step}.json", json.dumps(report, indent=2) + "\n")
    return report


def restore(checkpoints: Checkpoints, wanted: str, job: Job) -> tuple[TrainState, int]:
    """-> the state, and how many steps were done."""
    if wanted == "last":
        found = checkpoints.resume(job.state_like)
        if found is None:
            raise UserError(f"there is no sound checkpoint in {checkpoints.folder}")
        return found[0], found[1]["step"]
    step = checkpoints.choose(wanted)
    try:
        return checkpoints.restore(step, job.state_like(step))[0], step
    except ResjaxError:
        raise
    except Exception as error:  # each layer of storage raises its own
        raise UserError(
            f"checkpoint {step} in {checkpoints.folder} is damaged; try one of {checkpoints.steps()}"
        ) from error
