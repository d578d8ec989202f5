"""What a run amounts to: its result, the line of progress on the way there, and where it diverged."""

from pathlib import Path
from typing import Any

import numpy as np

from resjax import backend, processes
from resjax import config as configs
from resjax import mesh as meshes
from resjax.digests import digest
from resjax.errors import Diverged
from resjax.job import Job
from resjax.phases import Stage
from resjax.progress import Clock
from resjax.record import PROBE, MetricsLog, provenance
from resjax.step import TrainState


def result(
    job: Job, state: TrainState, log: MetricsLog, clock: Clock, transfers: list[dict[str, Any]]
) -> dict[str, Any]:
    """-> the content of `result.json`; its metrics are those of the last phase."""
    rows = [row for row in log.rows if "phase" not in row]
    evaluated = next(row for row in reversed(rows) if "test/accuracy" in row)
    phases = [
        {"name": stage.name, "steps": stage.steps, "multiply_adds": stage.multiply_adds}
        for stage in job.stages
    ]
    return {
        "config": configs.portable(job.config),
        "seed": job.config.seed,
        "steps": job.total_steps,
        "metrics": _last_epoch(job, rows) | {key: value for key, value in evaluated.items() if key != "step"},
        "training_multiply_adds": sum(stage.multiply_adds for stage in job.stages),
        "phases": phases,
        "transfers": transfers,
        "curve": [row for row in log.rows if not any(key.startswith(PROBE) for key in row)],
        "state_sha256": digest(state),
        "seconds": round(clock.seconds, 3),
        "compiling_seconds": round(clock.compiling, 3),
        "images_per_second": round(clock.images_per_second, 1),
        "mesh": meshes.axes(job.mesh),
        "processes": processes.count(),
        **provenance(),
        "compiler_options": backend.compiler_options(job.loop.deterministic) or {},
    }


def _last_epoch(job: Job, rows: list[dict[str, Any]]) -> dict[str, float]:
    """-> means of the training metrics over the last reports that make up an epoch, by their steps."""
    reports = [row for row in rows if "train/loss" in row]
    starts = [job.last.start, *(row["step"] for row in reports)]
    spans = [row["step"] - start for start, row in zip(starts, reports, strict=False)]
    used = len(reports) - 1
    while used > 0 and sum(spans[used:]) < job.steps_per_epoch - 1:
        used -= 1
    last, weights = reports[used:], spans[used:]
    names = [name for name in last[-1] if name.startswith("train/")]
    return {name: float(np.average([row[name] for row in last], weights=weights)) for name in names}


def newest(job: Job, stage: Stage, log: MetricsLog, clock: Clock) -> str:
    """-> the end of the progress line: phase, newest loss and accuracies, and speed."""
    found: dict[str, float] = {}
    for row in log.rows[-3:]:
        found |= row
    output = next(iter(stage.task.metric_shapes)).removesuffix("loss")
    parts = [
        f"{label} {found[name]:{form}}"
        for label, name, form in (
            ("loss", f"train/{output}loss", ".3f"),
            ("train", f"train/{output}accuracy", ".1%"),
            ("validation", f"validation/{output}accuracy", ".1%"),
            ("test", f"test/{output}accuracy", ".1%"),
        )
        if name in found
    ]
    number = job.stages.index(stage) + 1
    phase = [f"phase {stage.name} ({number} of {len(job.stages)})"] if len(job.stages) > 1 else []
    return "  ".join(
        [*phase, *parts, f"{clock.images_per_second:.0f} img/s" if clock.training else "compiling"]
    )


def diverged(job: Job, stage: Stage, at: int, saved: list[int], folder: Path) -> Diverged:
    """-> what to raise; `saved` are the steps of the checkpoints in `folder`."""
    good = f"the last good checkpoint is step {max(saved, default=0)} in {folder}"
    prefix = "" if stage is job.last else f"phases[{job.stages.index(stage)}]."
    return Diverged(
        f"the loss became NaN or infinite at step {at}; {good if saved else 'none was saved'}; a lower"
        f" config.{prefix}schedule.learning_rate or config.optim.clip_norm may help",
        at,
    )


def score(found: dict[str, float], log: MetricsLog) -> float:
    """What `best` means: validation accuracy, or where nothing is held out, low training loss; never test."""
    if "validation/accuracy" in found:
        return found["validation/accuracy"]
    return -next(row["train/loss"] for row in reversed(log.rows) if "train/loss" in row)
