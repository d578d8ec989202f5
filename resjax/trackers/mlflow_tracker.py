"""MLflow, by its own settings: MLFLOW_TRACKING_URI (default: ./mlflow.db, in SQLite), MLFLOW_EXPERIMENT_NAME.

The experiment is the run's table, or else resjax. Rows are with the server, or in the file, before training
goes on.
"""

import logging
import os
import time
from collections.abc import Mapping

# MLflow reads them as it loads or asks: it would report its use to its makers, and try a server for minutes.
os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
os.environ.setdefault("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "2")
os.environ.setdefault("MLFLOW_HTTP_REQUEST_TIMEOUT", "20")

from mlflow import MlflowClient  # pyright: ignore[reportMissingImports]
from mlflow.entities import Metric, Param, RunTag  # pyright: ignore[reportMissingImports]
from mlflow.exceptions import MlflowException  # pyright: ignore[reportMissingImports]

from resjax.trackers import PROJECT, About, State

METRICS, PARAMS = 1000, 100  # of one request: MLflow's limits
STATUS: dict[State, str] = {"finished": "FINISHED", "failed": "FAILED", "preempted": "KILLED"}
HINT = "set MLFLOW_TRACKING_URI to a server that answers, or to a file such as sqlite:///mlflow.db"


class Tracker:
    """A run of MLflow: the config as parameters, versions, device and commit as tags."""

    def __init__(self, about: About, known: str | None):
        for name in ("mlflow", "alembic", "urllib3"):
            logging.getLogger(name).setLevel(logging.ERROR)  # they tell each step of what they do
        self._client = MlflowClient()
        self.id = known or self._create(about)
        tags = {f"resjax.{key}": value for key, value in about.origin.items()}
        if about.origin.get("commit"):
            tags["mlflow.source.git.commit"] = about.origin["commit"]
        self._client.update_run(self.id, status="RUNNING")
        self._client.log_batch(self.id, tags=[RunTag(key, str(value)) for key, value in tags.items()])
        self.place = f"{self._client.tracking_uri}, run {self.id}"

    def _create(self, about: About) -> str:
        place = self._experiment(os.environ.get("MLFLOW_EXPERIMENT_NAME") or about.group or PROJECT)
        tags = {"resjax.table": about.group} if about.group else {}
        run = self._client.create_run(place, run_name=about.name, tags=tags).info.run_id
        params = [Param(key, str(value)) for key, value in about.config.items()]
        for start in range(0, len(params), PARAMS):
            self._client.log_batch(run, params=params[start : start + PARAMS])
        return run

    def _experiment(self, name: str) -> str:
        """-> the id of the experiment, which is made where there is none."""
        found = self._client.get_experiment_by_name(name)
        if found is None:
            try:
                return self._client.create_experiment(name)
            except MlflowException:  # another process may have made it since
                found = self._client.get_experiment_by_name(name)
                if found is None:
                    raise
        return found.experiment_id

    def write(self, step: int, values: Mapping[str, float]) -> None:
        now = time.time_ns() // 1_000_000
        metrics = [Metric(name, value, now, step) for name, value in values.items()]
        for start in range(0, len(metrics), METRICS):
            self._client.log_batch(self.id, metrics=metrics[start : start + METRICS])

    def finish(self, state: State, step: int, summary: Mapping[str, float]) -> None:
        self.write(step, summary)
        self._client.set_tag(self.id, "resjax.state", state)
        self._client.set_terminated(self.id, STATUS[state])
