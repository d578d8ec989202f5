"""Accuracy on a split: within training, and of a finished run by command."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jax

from resjax import metrics as metric
from resjax.checkpoint import FOLDER, Checkpoints
from resjax.config import Config
from resjax.data.batches import eval_batches
from resjax.errors import UserError
from resjax.job import Job, build
from resjax.metrics import Metrics
from resjax.models.heads import Net
from resjax.record import read_config, write_atomically
from resjax.step import DeviceData, Variables, make_eval_step


class Evaluator:
    """Evaluation during training: of the held-out slice where there is one, else of test; at the end of both.

    Attributes:
      marker: the metric whose presence in a log line says that a step has been evaluated.
    """

    def __init__(self, job: Job, net: Net):
        self._job, self._net = job, net
        self._often = "validation" if len(job.dataset.validation) else "test"
        self._step = make_eval_step(net, job.objective)
        self._data = {name: job.device_data(job.dataset.split(name)) for name in {self._often, "test"}}
        self.marker = f"{self._often}/accuracy"

    def __call__(self, variables: Variables, *, last: bool, poll: Callable[[], None]) -> dict[str, float]:
        """-> metrics by `split/name`; `poll` is called between batches and may raise."""
        found = {}
        for split in dict.fromkeys([self._often, "test"] if last else [self._often]):
            means = measure(self._step, variables, self._data[split], self._net, self._job, poll)
            found |= {f"{split}/{name}": value for name, value in means.items()}
        return found


def measure(
    eval_step: Callable[..., Metrics],
    variables: Variables,
    data: DeviceData,
    net: Net,
    job: Job,
    poll: Callable[[], None] = lambda: None,
) -> dict[str, float]:
    """-> means over every example of a split, each counted once."""
    batch_size = min(job.loop.eval_batch_size, len(data.labels))
    sums = metric.zeros(metric.metric_names(net.output_names))
    for index, mask in zip(*eval_batches(len(data.labels), batch_size), strict=True):
        sums = eval_step(variables, sums, index, mask, data)
        jax.block_until_ready(sums)  # one batch in flight at most, so that a stop takes effect at once
        poll()
    return metric.values(sums)


def evaluate(
    workdir: Path, *, config: Config | None = None, split: str = "test", checkpoint: str = "last"
) -> dict[str, Any]:
    """Evaluates a run's checkpoint and writes `eval-SPLIT-STEP.json` into its folder.

    Args:
      config: to evaluate with; None: the run's own.
      checkpoint: `last`, `best` or a step.

    Raises:
      UserError: no run, no such checkpoint, an empty split, or another model's checkpoint.
    """
    job = build(read_config(workdir) if config is None else config)
    if not (workdir / FOLDER).is_dir():
        raise UserError(f"--workdir {workdir} holds no checkpoints; train first")
    with Checkpoints(workdir, read_only=True) as checkpoints:
        restored = _restore(checkpoints, checkpoint, job)
    net = job.net_at(max(int(restored.step) - 1, 0))
    data = job.device_data(job.dataset.split(split))
    found = measure(make_eval_step(net, job.objective), restored.variables, data, net, job)
    step = int(restored.step)
    report = {"step": step, "split": split, "examples": len(data.labels), **found}
    write_atomically(workdir / f"eval-{split}-{step}.json", json.dumps(report, indent=2) + "\n")
    return report


def _restore(checkpoints: Checkpoints, wanted: str, job: Job) -> Any:
    if wanted == "last":
        found = checkpoints.resume(job.state_like)
        if found is None:
            raise UserError(f"there is no sound checkpoint in {checkpoints.folder}")
        return found[0]
    step = (
        checkpoints.best()
        if wanted == "best"
        else int(wanted)
        if wanted.isascii() and wanted.isdigit()
        else None
    )
    if step is None or step not in checkpoints.steps():
        raise UserError(
            f"--checkpoint is '{wanted}'; it must be last, best or one of the steps"
            f" {checkpoints.steps()} in {checkpoints.folder}"
        )
    try:
        return checkpoints.restore(step, job.state_like(step))[0]
    except UserError:
        raise
    except Exception as error:  # each layer of storage raises its own
        raise UserError(
            f"checkpoint {step} in {checkpoints.folder} is damaged; try one of {checkpoints.steps()}"
        ) from error
