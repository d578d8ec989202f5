"""The main job: a config and a folder in, a result out."""

import dataclasses
import json
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from resjax import config as configs
from resjax import metrics as metric
from resjax.checkpoint import Checkpoints, digest
from resjax.config import Config
from resjax.data.batches import train_batches
from resjax.errors import Diverged, Interrupted
from resjax.evaluate import Evaluator
from resjax.job import Job, build
from resjax.models.heads import Net, discard
from resjax.progress import Clock, Display
from resjax.record import MetricsLog, RunFolder, provenance, write_atomically
from resjax.step import TrainState, make_train_chunk
from resjax.stop import StopRequest

IN_FLIGHT = 2  # dispatched chunks that may be unfinished: enough to keep the device busy


def train(config: Config, workdir: Path, display: Display | None = None) -> dict[str, Any]:
    """Trains what `config` describes in the folder `workdir`, going on where a former run stopped.

    Returns:
      The content of `result.json`.

    Raises:
      UserError: bad input; nothing was written.
      Interrupted: SIGTERM or Ctrl-C; the state is saved.
      Diverged: the loss became NaN or infinite.
    """
    job = build(config)
    with RunFolder(workdir, config) as folder, StopRequest() as stop:
        result = folder.result()
        if result is None:
            with Checkpoints(workdir) as checkpoints, display or Display(quiet=True) as shown:
                result = _run(job, workdir, checkpoints, stop, shown)
            write_atomically(workdir / "result.json", json.dumps(result, indent=2) + "\n")
    return result


def _run(
    job: Job, workdir: Path, checkpoints: Checkpoints, stop: StopRequest, display: Display
) -> dict[str, Any]:
    """The training loop. Every boundary is a multiple of something, so a resumed run meets the same ones."""
    loop, total, clock, log_lines = job.loop, job.total_steps, Clock(), 0
    init_key, run_key = jax.random.split(jax.random.key(job.config.seed))
    state = job.init_state(init_key)
    resumed = checkpoints.resume(job.state_like)
    if resumed is not None:
        state, meta = resumed
        clock, log_lines = Clock(**meta["clock"]), meta["log_lines"]
        display.say(f"resuming {workdir} at step {int(state.step)} of {total}")
    step = logged = int(state.step)
    per_dispatch = _steps_per_dispatch(job, state)
    net = job.net_at(max(step - 1, 0))
    chunk, evaluate = _programs(job, net, per_dispatch)
    data = job.device_data(job.dataset.train)
    tokens, cold = [], True

    def save(score: float | None = None) -> None:
        _check_finite(state, checkpoints)
        clock.tick()
        meta = {"log_lines": len(log.rows), "clock": dataclasses.asdict(clock)}
        checkpoints.save(step, state, meta, score)
        clock.tick()

    def interrupt_if_asked() -> None:
        if stop.signal:
            if step not in checkpoints.steps():
                save()
            checkpoints.wait()
            raise Interrupted(
                f"{stop.signal}: saved step {step} of {total} in {checkpoints.folder};"
                " the same command goes on"
            )

    with MetricsLog(workdir, log_lines) as log, display.task(str(workdir), total, step) as update:
        while True:
            at_evaluation = step > 0 and (step % job.eval_steps == 0 or step == total)
            if at_evaluation and not log.has(step, evaluate.marker):
                found = evaluate(state.variables, last=step == total, poll=interrupt_if_asked)
                log.write(step, found)
                save(_score(found, log))
            if step == total:
                break
            interrupt_if_asked()
            if step in job.discards and len(net.heads) > len(job.net_at(step).heads):
                net, state = job.net_at(step), _discard(state, job.discards[step])
                chunk, evaluate = _programs(job, net, per_dispatch)
                cold = True

            boundary = min(_next(step, n) for n in (loop.log_every, job.eval_steps, loop.checkpoint_every))
            later = [at for at in job.discards if at > step]
            count = min(boundary, total, step + per_dispatch, *later) - step
            index = np.zeros((per_dispatch, loop.batch_size), np.int32)
            index[:count] = train_batches(len(data.labels), loop.batch_size, job.config.seed, step, count)
            weights = job.loss_weights(step, per_dispatch)
            state, token = chunk(state, index, count, data, run_key, weights)
            step += count
            tokens.append(token)
            if len(tokens) > IN_FLIGHT:
                jax.block_until_ready(tokens.pop(0))
            if cold:  # the first dispatch compiles; throughput is measured behind it
                jax.block_until_ready(token)
                clock.tick()
                cold, logged = False, step

            at_evaluation = step % job.eval_steps == 0 or step == total
            at_log = step % loop.log_every == 0 or step in job.discards
            at_checkpoint = step % loop.checkpoint_every == 0
            if at_log or at_checkpoint or at_evaluation:
                jax.block_until_ready(state)
                clock.trained((step - logged) * loop.batch_size)
                logged = step
            if at_log or at_evaluation:
                state = _report(job, state, step, log, checkpoints)
            if at_checkpoint and not at_evaluation:  # an evaluation saves behind itself
                save()
            update(step, _note(log, clock))
        checkpoints.wait()
        return _result(job, state, log, clock)


def _programs(job: Job, net: Net, per_dispatch: int) -> tuple[Callable[..., Any], Evaluator]:
    """-> the compiled steps of a net, and its evaluation."""
    settings = {"optimizer": job.optimizer, "objective": job.objective, "ema_decay": job.loop.ema_decay}
    return make_train_chunk(per_dispatch, net=net, **settings), Evaluator(job, net)


def _discard(state: TrainState, names: list[str]) -> TrainState:
    """-> the state without these heads; their sums have just been reported."""
    kept = {name: mean for name, mean in state.metrics.items() if name.split("/")[0] not in names}
    return discard(state, names).replace(metrics=kept)


def _steps_per_dispatch(job: Job, state: TrainState) -> int:
    chosen, on_cpu = job.loop.steps_per_dispatch, jax.default_backend() == "cpu"
    if chosen > 1 and on_cpu and any(leaf.ndim == 4 for leaf in jax.tree.leaves(state.params)):
        warnings.warn(
            f"config.train.steps_per_dispatch is {chosen}, and on the CPU a convolution's gradient inside"
            " a loop is many times slower; 0 chooses what is fast",
            stacklevel=2,
        )
    return chosen or (1 if on_cpu else 50)


def _next(step: int, every: int) -> int:
    return (step // every + 1) * every


def _score(found: dict[str, float], log: MetricsLog) -> float:
    """What `best` means: validation accuracy, or where nothing is held out, low training loss; never test."""
    if "validation/accuracy" in found:
        return found["validation/accuracy"]
    return -next(row["train/loss"] for row in reversed(log.rows) if "train/loss" in row)


def _check_finite(state: TrainState, checkpoints: Checkpoints) -> None:
    diverged_at = int(state.diverged_at)
    if diverged_at < 0:
        return
    checkpoints.wait()
    steps = checkpoints.steps()
    where = (
        f"the last good checkpoint is step {steps[-1]} in {checkpoints.folder}" if steps else "none was saved"
    )
    raise Diverged(
        f"the loss became NaN or infinite at step {diverged_at}; {where}; a lower"
        " config.schedule.learning_rate or config.optim.clip_norm may help",
        diverged_at,
    )


def _report(job: Job, state: TrainState, step: int, log: MetricsLog, checkpoints: Checkpoints) -> TrainState:
    """Logs the means since the last report; -> the state with its sums set back to zero."""
    _check_finite(state, checkpoints)
    means = {f"train/{name}": value for name, value in metric.values(state.metrics).items()}
    log.write(step, {**means, "learning_rate": float(jnp.asarray(job.schedule(step - 1)))})
    return state.replace(metrics=metric.zeros(state.metrics))


def _note(log: MetricsLog, clock: Clock) -> str:
    """The end of the progress line: newest loss and accuracies, and speed."""
    newest: dict[str, float] = {}
    for row in log.rows[-3:]:
        newest |= row
    parts = [
        f"{label} {newest[name]:{form}}"
        for label, name, form in (
            ("loss", "train/loss", ".3f"),
            ("train", "train/accuracy", ".1%"),
            ("validation", "validation/accuracy", ".1%"),
            ("test", "test/accuracy", ".1%"),
        )
        if name in newest
    ]
    return "  ".join([*parts, f"{clock.images_per_second:.0f} img/s" if clock.training else "compiling"])


def _result(job: Job, state: TrainState, log: MetricsLog, clock: Clock) -> dict[str, Any]:
    evaluated = next(row for row in reversed(log.rows) if "test/accuracy" in row)
    return {
        "config": configs.portable(job.config),
        "seed": job.config.seed,
        "steps": int(state.step),
        "metrics": _last_epoch(job, log) | {key: value for key, value in evaluated.items() if key != "step"},
        "curve": log.rows,
        "state_sha256": digest(state),
        "seconds": round(clock.seconds, 3),
        "images_per_second": round(clock.images_per_second, 1),
        **provenance(),
    }


def _last_epoch(job: Job, log: MetricsLog) -> dict[str, float]:
    """-> means of the training metrics over the last reports that make up an epoch, by their steps."""
    reports = [row for row in log.rows if "train/loss" in row]
    starts = [0, *(row["step"] for row in reports)]
    spans = [row["step"] - start for start, row in zip(starts, reports, strict=False)]
    used = len(reports) - 1
    while used > 0 and sum(spans[used:]) < job.steps_per_epoch - 1:
        used -= 1
    last, weights = reports[used:], spans[used:]
    names = [name for name in last[-1] if name.startswith("train/")]
    return {name: float(np.average([row[name] for row in last], weights=weights)) for name in names}
