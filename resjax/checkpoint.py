"""Checkpoints: save, resume, pick; the only file that knows Orbax.

Each holds the training state and a `meta` dictionary with the state's layout (to tell another model's
checkpoint) and digest (to tell a damaged one). Kept are the last two and the best.

Where there are several processes, each writes its own part of the arrays, and a checkpoint is whole when all
have; each reads what its devices hold by itself, so that damage which one of them meets stops no other.
"""

import contextlib
import functools
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, TypeVar

import jax
import jax.numpy as jnp
import numpy as np
import orbax.checkpoint as ocp
from absl import logging
from jax.sharding import SingleDeviceSharding
from orbax.checkpoint import checkpoint_managers as policies

from resjax import processes
from resjax.digests import digest, layout, named
from resjax.errors import ResjaxError, UserError
from resjax.storage import DAMAGED, FOLDER, is_seen, move, reason

State = TypeVar("State")


def _alone() -> ocp.options.MultiprocessingOptions:
    if processes.count() == 1:
        return ocp.options.MultiprocessingOptions()
    own = processes.index()
    return ocp.options.MultiprocessingOptions(primary_host=own, active_processes={own})


def _open(folder: Path, **options: Any) -> ocp.CheckpointManager:
    """Orbax warns of what read-only means, though it is what we ask for."""
    before = logging.get_verbosity()
    logging.set_verbosity(min(before, logging.ERROR))
    try:
        return ocp.CheckpointManager(folder, options=ocp.CheckpointManagerOptions(**options))
    finally:
        logging.set_verbosity(before)


class Checkpoints:
    """The checkpoints of one run's folder; a context manager that waits for pending saves at its end."""

    def __init__(self, workdir: Path, *, read_only: bool = False):
        self.folder = (workdir / FOLDER).absolute()
        self._read_only = read_only
        if read_only and not self.folder.is_dir():
            raise UserError(f"{workdir} holds no checkpoints; train first")
        kept = [
            policies.LatestN(2),
            policies.BestN(
                get_metric_fn=lambda metrics: metrics["score"], n=1, keep_checkpoints_without_metrics=False
            ),
        ]
        self._manager = _open(
            self.folder,
            preservation_policy=policies.AnyPreservationPolicy(kept),
            read_only=read_only,
            create=not read_only,
            cleanup_tmp_directories=not read_only,
            multiprocessing_options=_alone() if read_only else ocp.options.MultiprocessingOptions(),
        )

    @functools.cached_property
    def _reader(self) -> ocp.CheckpointManager:
        """Waits for no other process."""
        if self._read_only or processes.count() == 1:
            return self._manager
        return _open(self.folder, read_only=True, create=False, multiprocessing_options=_alone())

    def __enter__(self) -> "Checkpoints":
        return self

    def __exit__(self, kind: Any, error: Any, trace: Any) -> None:
        try:
            self.wait()
        except UserError:
            if error is None:  # else the first error is the one to report
                raise
        finally:
            with contextlib.suppress(Exception):  # it raises a failed save's error again
                self._manager.close()

    def steps(self) -> list[int]:
        return sorted(self._manager.all_steps())

    def save(self, step: int, state: Any, meta: dict[str, Any], score: float | None = None) -> None:
        """Starts to save; the write goes on behind the training. A former save of this step is replaced.

        Args:
          score: higher is better; the checkpoint with the highest is kept.
        """
        state = jax.tree.map(jnp.copy, state)  # the next step is given the original's memory
        meta = meta | {"layout": layout(state), "digest": digest(state), "score": score}
        items = ocp.args.Composite(state=ocp.args.StandardSave(state), meta=ocp.args.JsonSave(meta))
        metrics = None if score is None else {"score": score}
        self.wait()
        with self._writing():
            if step in self._manager.all_steps():
                self._manager.delete(step)
            self._manager.save(step, args=items, metrics=metrics, force=True)

    def wait(self) -> None:
        """Returns when all saves are on disk; raises UserError where one could not be written."""
        with self._writing():
            self._manager.wait_until_finished()

    @contextlib.contextmanager
    def _writing(self) -> Iterator[None]:
        try:
            yield
        except Exception as error:  # each layer of storage raises its own
            raise UserError(
                f"a checkpoint could not be written in {self.folder} ({reason(error)}); make room, then"
                f" start again: the checkpoints of steps {self.steps()} are whole"
            ) from error

    def resume(self, like: Callable[[int], State]) -> tuple[State, dict[str, Any]] | None:
        """-> state and meta of the newest sound checkpoint; damaged ones are set aside with a warning.

        Args:
          like: the shapes and types of the state when so many steps are done, and where it is to lie.
        """
        for step in reversed(processes.tell(self.steps())):  # all take the same: each may see other folders
            is_seen(functools.partial(self._sees, step))
            try:
                return self.restore(step, like(step))
            except ResjaxError:
                raise
            except Exception as error:  # each layer of storage raises its own
                self._set_aside(step, reason(error))
        return None

    def _sees(self, step: int) -> bool:
        self._manager.reload()
        return step in self.steps()

    def _set_aside(self, step: int, why: str) -> None:
        if self._read_only:
            warnings.warn(f"checkpoint {step} in {self.folder} is damaged ({why}); skipped", stacklevel=3)
            return
        target = self.folder.parent / DAMAGED / str(step)
        with processes.agreeing():
            if processes.is_first():
                move(self.folder / str(step), target)
        self._manager.reload()
        if processes.is_first():
            warnings.warn(f"checkpoint {step} is damaged ({why}); moved to {target}", stacklevel=3)

    def restore(self, step: int, like: State) -> tuple[State, dict[str, Any]]:
        """-> state and meta of one checkpoint.

        Raises:
          UserError: it holds another model's state.
          ValueError: its bits are not those that were saved. Storage errors pass through.
        """
        with processes.agreeing():
            meta = self._meta(step)
            self._check_layout(step, meta["layout"], layout(like))
            target = jax.tree.map(ocp.utils.to_shape_dtype_struct, like)
            items = ocp.args.Composite(state=ocp.args.StandardRestore(target))
            state = self._reader.restore(step, args=items)["state"]
        if digest(state) != meta["digest"]:
            raise ValueError("its content differs from what was saved")
        return state, meta

    def _meta(self, step: int) -> dict[str, Any]:
        meta = self._reader.restore(step, args=ocp.args.Composite(meta=ocp.args.JsonRestore()))["meta"]
        missing = {"layout", "digest", "score"} - set(meta)
        if missing:
            raise ValueError(f"it lacks {', '.join(sorted(missing))}")
        return meta

    def _check_layout(self, step: int, found: dict[str, str], expected: dict[str, str]) -> None:
        for name in sorted(found.keys() | expected.keys()):
            if found.get(name) != expected.get(name):
                raise UserError(
                    f"checkpoint {step} in {self.folder} is of another model: {name} is"
                    f" {found.get(name, 'absent')} there, {expected.get(name, 'absent')} in this config;"
                    " use the config that the run was made with, or another --workdir"
                )

    def variables(self, step: int) -> dict[str, Any]:
        """-> what evaluation uses of one checkpoint, of whatever model: parameters and other collections, on
        the first device of this process; raises UserError where it is damaged.
        """
        state = self._sound(step)
        return state["ema"] or {"params": state["params"], **state["collections"]}

    def arrays(self, step: int) -> dict[str, np.ndarray]:
        """-> {name: array} of all that one checkpoint holds, sorted; raises UserError where it is damaged."""
        return {name: np.asarray(leaf) for name, leaf in named(self._sound(step))}

    def _sound(self, step: int) -> dict[str, Any]:
        try:
            meta, like = self._meta(step), self._here(step)
            items = ocp.args.Composite(state=ocp.args.StandardRestore(like))
            state = self._reader.restore(step, args=items)["state"]
            if digest(state) != meta["digest"]:
                raise ValueError("its content differs from what was saved")
        except Exception as error:  # each layer of storage raises its own
            raise UserError(
                f"checkpoint {step} in {self.folder} is damaged ({reason(error)}); try one of {self.steps()}"
            ) from error
        return state

    def _here(self, step: int) -> Any:
        """-> shapes and types of what one checkpoint holds, to be read to one device."""
        handler: Any = ocp.StandardCheckpointHandler(multiprocessing_options=_alone())  # takes any path
        with contextlib.closing(handler):
            found = handler.metadata(self.folder / str(step) / "state").tree
        here = SingleDeviceSharding(jax.local_devices()[0])  # whatever devices it was saved from
        return jax.tree.map(lambda leaf: jax.ShapeDtypeStruct(leaf.shape, leaf.dtype, sharding=here), found)

    def choose(self, wanted: str) -> int:
        """-> the step that `last`, `best` or a number stands for; raises UserError where there is none."""
        steps = self.steps()
        if wanted == "last" and steps:
            return steps[-1]
        number = int(wanted) if wanted.isascii() and wanted.isdigit() else None
        step = self.best() if wanted == "best" else number
        if step is None or step not in steps:
            raise UserError(
                f"checkpoint '{wanted}' is not there; it must be last, best or one of the steps {steps} in"
                f" {self.folder}"
            )
        return step

    def best(self) -> int | None:
        """-> the step with the highest score among those kept, or None where none has a score."""
        scores, damaged = {}, None
        for step in self.steps():
            try:
                scores[step] = self._meta(step)["score"]
            except Exception:  # each layer of storage raises its own
                damaged = step
        if damaged is not None and not scores:
            raise UserError(f"checkpoint {damaged} in {self.folder} is damaged, and there is no sound one")
        scores = {step: score for step, score in scores.items() if score is not None}
        return max(scores, key=lambda step: scores[step]) if scores else None
