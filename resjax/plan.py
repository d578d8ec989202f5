"""What is left to run of a table, and how long it will take here: `resjax table FILE --plan`.

The time of a row is extrapolated from a few real steps of its last phase on this machine, by multiply-adds:
training's, and those of its evaluations. Compilation and checkpoints are not in it.
"""

import dataclasses
import itertools
import math
import time
from collections.abc import Callable

import jax

from resjax import cost, markup
from resjax import mesh as meshes
from resjax.data import sources
from resjax.data.batches import train_batches
from resjax.device import FeatureCache
from resjax.errors import UserError
from resjax.feed import feed
from resjax.job import Job, build
from resjax.programs import TrainProgram
from resjax.progress import Display
from resjax.record import provenance
from resjax.table import Work

HEADER = ["row", "missing", "steps a run", "multiply-adds a run, 10⁹", "ms a step", "minutes a run", "hours"]
ENOUGH = 1.0  # seconds of steps that are measured, one dispatch at least


@dataclasses.dataclass(frozen=True)
class Estimate:
    """Of one run: its steps and multiply-adds, seconds of a step of its last phase, and of all of it."""

    steps: int
    multiply_adds: int
    step_seconds: float
    seconds: float


def plan(work: Work, display: Display) -> str:
    """-> a line for each row that lacks cells, and their sum; a row that cannot run says why."""
    missing = work.missing()
    first = {cell.row.label: cell for cell in reversed(missing)}
    counts = {label: sum(cell.row.label == label for cell in missing) for label in first}
    body, total, problems = [], 0.0, []
    labels = [row.label for row in work.table.rows if row.label in first]
    with display, display.task("measuring", len(labels)) as update:
        for done, label in enumerate(labels):
            update(done, label)
            try:
                config = work.config(first[label])
                mesh = meshes.make(work.layout, config.train.batch_size, config.train.accumulate)
                found = estimate(build(config, sources.load, mesh))
            except UserError as error:
                problems.append(f"{label}: {error}")
                body.append([label, str(counts[label]), *["-"] * 5])
                continue
            total += counts[label] * found.seconds
            body.append(_line(label, counts[label], found))
        update(len(labels), "done")
    body.append(["all", str(len(missing)), "", "", "", "", f"{total / 3600:.2f}"])
    done, device = len(work.cells) - len(missing), provenance()["device"]
    told = f"{done} cells are recorded. Measured on {device['kind']} ({device['platform']})."
    return "\n\n".join([markup.text(HEADER, body), *problems, told])


def _line(label: str, count: int, found: Estimate) -> list[str]:
    numbers = [f"{found.steps:,}", f"{found.multiply_adds / 1e9:,.0f}", f"{1000 * found.step_seconds:.1f}"]
    return [label, str(count), *numbers, f"{found.seconds / 60:.1f}", f"{count * found.seconds / 3600:.2f}"]


def estimate(job: Job, clock: Callable[[], float] = time.perf_counter) -> Estimate:
    """Runs a few steps of the last phase; nothing is written."""
    last = job.last
    step_seconds = measure(job, clock)
    per_second = last.multiply_adds / last.steps / step_seconds
    training = sum(stage.multiply_adds for stage in job.stages)
    evaluations = sum(math.ceil(stage.steps / job.eval_steps) for stage in job.stages)
    often = job.dataset.validation if len(job.dataset.validation) else job.dataset.test
    forward = last.multiply_adds / last.steps / job.loop.batch_size / (1 + cost.BACKWARD)
    seconds = (training + evaluations * len(often) * forward) / per_second
    return Estimate(job.total_steps, training, step_seconds, seconds)


def measure(job: Job, clock: Callable[[], float]) -> float:
    """-> seconds of a step of the last phase, by the program that training would run, once it is compiled."""
    stage, key = job.last, jax.random.key(0)
    per_dispatch = job.per_dispatch(stage)
    state = stage.init_state(key)
    state = jax.device_put(state, meshes.state(job.mesh, state))
    variables = {"params": state.params, **state.collections}
    cache = FeatureCache({"train": job.source(job.dataset.train)})
    data = cache.of(stage.net, variables, stage.shapes, keep=stage.keeps_features)["train"]
    program = TrainProgram(per_dispatch, stage.task_at(0), job.mesh)
    index = train_batches(len(data.labels), job.loop.batch_size, 0, 0, per_dispatch)
    weights, steps, seconds = stage.loss_weights(0, per_dispatch), 0, 0.0
    given = feed(data, itertools.repeat((index, per_dispatch)))
    while seconds < ENOUGH:
        start = clock()
        state, token = program(state, *next(given), key, weights)
        jax.block_until_ready(token)
        if steps:  # the first dispatch compiles
            seconds += clock() - start
        steps += per_dispatch
    return seconds / (steps - per_dispatch)
