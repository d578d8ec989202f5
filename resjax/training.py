"""The main job: a config and a folder in, a result out."""

import dataclasses
import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp

from resjax import lockstep, maintenance, processes
from resjax import mesh as meshes
from resjax import metrics as metric
from resjax.beginnings import Beginnings
from resjax.checkpoint import Checkpoints
from resjax.config import Config
from resjax.data import sources
from resjax.data.sources import Dataset
from resjax.device import DeviceData, FeatureCache, Streamed
from resjax.errors import Interrupted
from resjax.evaluation import Evaluator
from resjax.feed import chunks, feed
from resjax.job import Job, build
from resjax.mesh import Layout
from resjax.phases import Stage
from resjax.programs import TrainProgram
from resjax.progress import Clock, Display
from resjax.record import MetricsLog, RunFolder, write_atomically
from resjax.result import diverged, newest, result, score
from resjax.step import Task
from resjax.storage import saved
from resjax.tracking import Trackers, Tracking, follow
from resjax.vote import CommonStop
from resjax.watching import Watcher

IN_FLIGHT = 2  # dispatched chunks that may be unfinished: enough to keep the device busy


def train(
    config: Config,
    workdir: Path | str,
    display: Display | None = None,
    load: Callable[..., Dataset] = sources.load,
    layout: Layout | None = None,
    tracking: Tracking | None = None,
) -> dict[str, Any]:
    """Trains what `config` describes in the folder `workdir`, going on where a former run stopped.

        result = resjax.train(resjax.load_config("configs/digits.py:8"), "runs/digits")

    Where there are several processes, all call this, and `workdir` is one that they share.

    Args:
      config: a complete one, as `load_config` gives it.
      display: what shows the progress; None: nothing does.
      load: reads the section `data`; a table passes one that remembers.
      layout: of the devices; None: all share out the batch. A run may go on with another one.
      tracking: the trackers that follow the run; None: none does.

    Returns:
      The content of `result.json`.

    Raises:
      UserError: bad input; nothing was written.
      Interrupted: SIGTERM, Ctrl-C or a host's maintenance; the state is saved.
      Diverged: the loss became NaN or infinite.
    """
    workdir = Path(workdir)
    with processes.agreeing():
        job = build(config, load, meshes.make(layout, config.train.batch_size, config.train.accumulate))
    lockstep.check(job)
    with RunFolder(workdir, config) as folder, CommonStop() as stop, maintenance.heeded(stop.end_of_host):
        with processes.agreeing():
            found = folder.result()
        if processes.tell(found is None):
            processes.saves(lambda: saved(workdir))
            with (
                display or Display(quiet=True) as shown,
                follow(tracking, workdir, config, shown) as trackers,
            ):
                with Checkpoints(workdir) as checkpoints:
                    found = _Run(job, workdir, checkpoints, stop, shown).all_phases(trackers)
                if processes.is_first():
                    write_atomically(workdir / "result.json", json.dumps(found, indent=2) + "\n")
                trackers.done(found)
    return found or {}  # process 0 sees its own file, another host perhaps not yet


class _Run:
    """The training loop. Every boundary is a multiple of something, so a resumed run meets the same ones.

    Steps count from the start of the phase; only checkpoints, the log and messages count them all.
    """

    def __init__(self, job: Job, workdir: Path, checkpoints: Checkpoints, stop: CommonStop, display: Display):
        self.job, self.workdir = job, workdir
        self.checkpoints, self.stop, self.display = checkpoints, stop, display
        init_key, self.run_key = jax.random.split(jax.random.key(job.config.seed))
        resumed = checkpoints.resume(job.state_like)
        if resumed is None:
            self.stage, self.clock, self.log_lines = job.stages[0], Clock(), 0
            self.beginnings = Beginnings(job, init_key, display, [])
            self.state = self.beginnings.first()
            lockstep.check_state(self.state)
        else:
            state, meta = resumed
            self.stage, self.clock = job.stage_at(meta["step"]), Clock(**meta["clock"])
            self.state = self.stage.pack(state)
            self.log_lines = meta["log_lines"]
            self.beginnings = Beginnings(job, init_key, display, meta["transfers"])
            display.say(f"resuming {workdir} at step {meta['step']} of {job.total_steps}")
        self.evaluate, self.watch = Evaluator(job), Watcher(job)
        names = {"train", self.evaluate.often, "test"}
        self.cache = FeatureCache({name: job.source(job.dataset.split(name)) for name in names})

    @property
    def step(self) -> int:
        """How many steps of the whole run are done."""
        return self.stage.start + self.done

    def all_phases(self, trackers: Trackers) -> dict[str, Any]:
        job = self.job
        self.done = int(self.state.step)
        with (
            MetricsLog(self.workdir, self.log_lines, trackers) as self.log,
            self.display.task(str(self.workdir), job.total_steps, self.step) as self.update,
        ):
            for stage in job.stages[job.stages.index(self.stage) :]:
                if stage is not self.stage:
                    self._go_on_to(stage)
                self._phase()
            self.checkpoints.wait()
            return result(job, self.stage.unpack(self.state), self.log, self.clock, self.beginnings.transfers)

    def _go_on_to(self, stage: Stage) -> None:
        """Begins a phase with the trunk that the one before it left, whose state can still be saved here."""
        self._interrupt_if_asked()
        self.state = self.beginnings.following(stage, self.stage, self.state)
        self.stage, self.done = stage, 0

    def _phase(self) -> None:
        """All steps of the phase that are not yet done."""
        job, stage, loop = self.job, self.stage, self.job.loop
        per_dispatch = job.per_dispatch(stage)
        task = stage.task_at(max(self.done - 1, 0))
        self.state = meshes.put(self.state, meshes.state(job.mesh, self.state))
        variables = {"params": self.state.params, **self.state.collections}
        if stage.keeps_features:  # every process computes all features, so they need no exchange
            variables = meshes.readable(variables)
        splits = self.cache.of(stage.net, variables, stage.shapes, keep=stage.keeps_features)
        splits = meshes.put(splits, meshes.whole(job.mesh))
        dispatches = feed(splits["train"], chunks(job, stage, self.done))
        chunk = self._compile(task, splits, per_dispatch)
        pretraining = len(job.stages) - 1 - job.stages.index(stage)  # 0 in the last phase, as without any
        key = jax.random.fold_in(self.run_key, pretraining) if pretraining else self.run_key
        logged, tokens, cold = self.done, [], True
        if self.watch.is_due(0) and not self.log.rows:
            self._probe()
        while True:
            at_end = self.done == stage.steps
            at_evaluation = self.done > 0 and (self.done % job.eval_steps == 0 or at_end)
            if at_evaluation and not self.log.has(self.step, self.evaluate.marker):
                both = at_end and stage is job.last
                found = self.evaluate(self.state.variables, both=both, poll=self._interrupt_if_asked)
                self._write(found)
                if stage is job.last:  # before it, a checkpoint now and then is enough
                    self._save(score(found, self.log))
            if at_end:
                break
            if self.done or not stage.start:  # else the step is the end of another phase, whose state is gone
                self._interrupt_if_asked(IN_FLIGHT)
            if self.done in stage.discards and task != stage.task_at(self.done):
                task = stage.task_at(self.done)
                self.state = self.state.without(stage.discards[self.done])
                chunk, cold = self._compile(task, splits, per_dispatch), True

            index, count, data = next(dispatches)
            weights = stage.loss_weights(self.done, per_dispatch)
            self.state, token = chunk(self.state, index, count, data, key, weights)
            self.done += count
            tokens.append(token)
            if len(tokens) > IN_FLIGHT:
                jax.block_until_ready(tokens.pop(0))
            if cold:  # the first dispatch compiles; throughput is measured behind it
                jax.block_until_ready(token)
                self.clock.compiled()
                cold, logged = False, self.done

            at_evaluation = self.done % job.eval_steps == 0 or self.done == stage.steps
            at_log = self.done % loop.log_every == 0 or self.done in stage.discards
            at_checkpoint = self.step % loop.checkpoint_every == 0
            at_probe = self.watch.is_due(self.done)
            if at_log or at_checkpoint or at_evaluation or at_probe:
                jax.block_until_ready(self.state)
                self.clock.trained((self.done - logged) * loop.batch_size)
                logged = self.done
            if at_log or at_evaluation:
                self._report()
            if at_probe:
                self._probe()
            if at_checkpoint and not (at_evaluation and stage is job.last):  # that saves behind itself
                self._save()
            self.update(self.step, newest(job, stage, self.log, self.clock))

    def _compile(
        self, task: Task, splits: Mapping[str, DeviceData | Streamed], per_dispatch: int
    ) -> TrainProgram:
        self.evaluate.attend(task, splits)
        return TrainProgram(per_dispatch, task, self.job.mesh)

    def _report(self) -> None:
        """Logs the means since the last report, and sets the sums back to zero."""
        self._check_finite()
        means = {f"train/{name}": value for name, value in metric.values(self.state.metrics).items()}
        rate = float(jnp.asarray(self.stage.schedule(self.done - 1)))
        self._write({**means, "learning_rate": rate})
        zeros = jax.tree.map(jnp.zeros_like, self.state.metrics)
        zeros = meshes.put(zeros, meshes.whole(self.job.mesh))
        self.state = self.state.replace(metrics=zeros)

    def _probe(self) -> None:
        self._write(self.watch(self.stage, self.state, self.done))
        self.clock.tick()

    def _write(self, values: dict[str, float]) -> None:
        self.log.write(self.step, values, phase="" if self.stage is self.job.last else self.stage.name)

    def _save(self, score: float | None = None) -> None:
        self._check_finite()
        self.clock.tick()
        meta = {"step": self.step, "log_lines": len(self.log.rows), "transfers": self.beginnings.transfers}
        meta |= {"clock": dataclasses.asdict(self.clock)}
        self.checkpoints.save(self.step, self.stage.unpack(self.state), meta, score)
        self.clock.tick()

    def _interrupt_if_asked(self, lag: int = 0) -> None:
        signal = self.stop.asked(lag)
        if signal:
            if self.step not in self.checkpoints.steps():
                self._save()
            self.checkpoints.wait()
            raise Interrupted(
                f"{signal}: saved step {self.step} of {self.job.total_steps} in {self.checkpoints.folder};"
                " the same command goes on"
            )

    def _check_finite(self) -> None:
        if (step := int(self.state.diverged_at)) >= 0:
            self.checkpoints.wait()
            kept, folder = self.checkpoints.steps(), self.checkpoints.folder
            raise diverged(self.job, self.stage, self.stage.start + step, kept, folder)
