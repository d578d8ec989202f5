"""Weights & Biases, by its own settings: WANDB_PROJECT (default: resjax), WANDB_MODE, `wandb login`.

All reports of a step (training, evaluation, probes) are one row of W&B, which takes steps in rising order
alone. It sends, or with WANDB_MODE=offline writes, every 15 seconds or so: what a process that was killed had
reported last may be missing there.
"""

import contextlib
import os
import secrets
from collections.abc import Iterator, Mapping

import wandb  # pyright: ignore[reportMissingImports]

from resjax.trackers import PROJECT, About, State

STARTS_WITHIN = 30.0  # seconds: W&B's server answers
SENDS_WITHIN = 60.0  # seconds, at the end; what is left stays in the run's folder, for `wandb sync`
EXIT_CODES: dict[State, int] = {"finished": 0, "failed": 1, "preempted": 75}
HINT = "log in by `wandb login`, or write to the run's folder with WANDB_MODE=offline"


@contextlib.contextmanager
def _forgetting() -> Iterator[None]:
    """Where W&B fails within, its own process may be gone: it is forgotten, and a later run starts one.

    Else Python would tell of it once more at the end, with a traceback.
    """
    try:
        yield
    except TimeoutError:  # it is there, and still sends
        raise
    except Exception:
        with contextlib.suppress(Exception, SystemExit):
            wandb.teardown()
        raise


class Tracker:
    """A run of W&B; its files lie in the run's folder, unless WANDB_DIR is set."""

    @_forgetting()
    def __init__(self, about: About, known: str | None):
        os.environ.setdefault("WANDB_ERROR_REPORTING", "false")
        wandb.setup(
            settings=wandb.Settings(silent=True)
        )  # it would ask for a login where there is a terminal
        self._run = wandb.init(
            project=os.environ.get("WANDB_PROJECT", PROJECT),
            dir=os.environ.get("WANDB_DIR", str(about.workdir)),
            id=known or secrets.token_hex(8),  # else WANDB_RUN_ID would make one run of all cells of a table
            resume="allow" if known else None,
            name=about.name,
            group=about.group or None,
            config={**about.config, **{f"origin.{key}": value for key, value in about.origin.items()}},
            reinit="create_new",  # leaves alone what the caller of resjax may track
            settings=wandb.Settings(
                silent=True,
                console="off",
                init_timeout=STARTS_WITHIN,
                finish_timeout=SENDS_WITHIN,
                finish_timeout_raises=True,
            ),
        )
        self.id = self._run.id
        folder = self._run.settings.sync_dir
        self.place = f"{folder}, for `wandb sync`" if self._run.offline else str(self._run.url or folder)

    @_forgetting()
    def write(self, step: int, values: Mapping[str, float]) -> None:
        self._run.log(dict(values), step=step)

    @_forgetting()
    def finish(self, state: State, step: int, summary: Mapping[str, float]) -> None:
        self._run.summary.update(dict(summary))
        if state == "preempted":
            self._run.mark_preempting()
        self._run.finish(exit_code=EXIT_CODES[state])
