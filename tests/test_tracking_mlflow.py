"""`--track mlflow`, against MLflow's own store in SQLite."""

import json
import shutil
import sqlite3
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from followed import Numbers, entry, logged, stopped
from recipe import greedy
from refusal import refuse, write

from resjax import config as configs
from resjax.config import Config
from resjax.progress import Display
from resjax.tracking import FILE, Tracking
from resjax.training import train

ABSENT = "MLflow is not installed: python -m pip install 'resjax[mlflow]'"
pytestmark = pytest.mark.filterwarnings("ignore")  # MLflow's own


@pytest.fixture(scope="module", autouse=True)
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """-> the file of one store for all tests: to make it takes seconds."""
    pytest.importorskip("mlflow", reason=ABSENT)
    pytest.importorskip("sqlalchemy", reason=ABSENT)
    file = tmp_path_factory.mktemp("store") / "mlflow.db"
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{file}")
        yield file


def client() -> Any:
    from mlflow import MlflowClient  # pyright: ignore[reportMissingImports]

    return MlflowClient()


def runs(group: str) -> list[Any]:
    found = client().get_experiment_by_name(group)
    return list(client().search_runs([found.experiment_id])) if found else []


def numbers(run: Any) -> Numbers:
    found: Numbers = {}
    for name in run.data.metrics:
        for metric in client().get_metric_history(run.info.run_id, name):
            if not name.startswith("result/"):
                found.setdefault((metric.step, name), []).append(metric.value)
    return found


def test_it_has_every_report_the_config_and_the_result(tiny: Config, tmp_path: Path) -> None:
    config = configs.override({**greedy(tiny).to_dict(), "probes": ({"name": "responses", "every": 6},)}, ())
    result = train(config, tmp_path, Display(quiet=True), tracking=Tracking(("mlflow",), "a run", "phases"))
    (run,) = runs("phases")
    assert numbers(run) == logged(tmp_path)
    assert {name.partition("/")[0] for _, name in logged(tmp_path)} >= {"first", "second", "train", "probe"}
    assert (run.info.run_name, run.info.status, run.data.tags["resjax.state"]) == (
        "a run",
        "FINISHED",
        "finished",
    )
    assert (run.data.params["model.depth"], run.data.params["phases.0.heads.0.name"]) == ("6", "at_block1")
    assert run.data.tags["resjax.versions.jax"] == result["versions"]["jax"]
    assert run.data.tags.get("mlflow.source.git.commit") == result["commit"]
    assert {name: run.data.metrics[f"result/{name}"] for name in result["metrics"]} == result["metrics"]


def test_a_run_that_goes_on_is_one_run_and_no_row_is_doubled(
    tiny: Config, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tracking = Tracking(("mlflow",), "a run", "resumed")
    stopped(tiny, tmp_path, tracking, 4, monkeypatch)
    (run,) = runs("resumed")
    assert (run.info.status, run.data.tags["resjax.state"]) == ("KILLED", "preempted")

    # Without it for a while: what it lacks is sent when it is there again.
    stopped(tiny, tmp_path, Tracking((), ""), 8, monkeypatch)
    train(tiny, tmp_path, Display(quiet=True), tracking=tracking)
    (run,) = runs("resumed")
    assert run.info.status == "FINISHED"
    assert numbers(run) == logged(tmp_path)


def test_what_a_killed_run_had_sent_behind_its_checkpoint_is_not_sent_again(
    tiny: Config, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tracking = Tracking(("mlflow",), "a run", "killed")
    stopped(tiny, tmp_path, tracking, 8, monkeypatch)
    # What a SIGKILL behind step 6 leaves: the checkpoint of step 5, and what was noted as the run began.
    shutil.rmtree(tmp_path / "checkpoints" / "8")
    begun = {"mlflow": {**entry(tmp_path, "mlflow"), "rows": 0, "open": True}}
    (tmp_path / FILE).write_text(json.dumps(begun))
    train(tiny, tmp_path, Display(quiet=True), tracking=tracking)
    (run,) = runs("killed")
    assert numbers(run) == logged(tmp_path)


def test_a_store_that_fails_is_told_once_and_the_run_goes_on(
    tiny: Config, tmp_path: Path, store: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def rename(table: str, to: str) -> None:
        with sqlite3.connect(store) as connection:
            connection.execute(f"ALTER TABLE {table} RENAME TO {to}")
        connection.close()

    at_checkpoint: dict[int, Callable[[], None]] = {4: lambda: rename("metrics", "elsewhere")}
    tracking = Tracking(("mlflow",), "a run", "broken")
    with pytest.warns(UserWarning, match="--track mlflow") as told:
        stopped(
            tiny,
            tmp_path,
            tracking,
            8,
            monkeypatch,
            before=lambda step: at_checkpoint.get(step, lambda: None)(),
        )
    rename("elsewhere", "metrics")
    assert len([each for each in told if "--track" in str(each.message)]) == 1
    train(tiny, tmp_path, Display(quiet=True), tracking=tracking)
    (run,) = runs("broken")
    assert numbers(run) == logged(tmp_path)


def test_a_server_that_does_not_answer_is_refused_at_first_and_is_no_reason_to_stop_later(
    tiny: Config, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    tracking = Tracking(("mlflow",), "a run", "away")
    stopped(tiny, tmp_path / "begun", tracking, 4, monkeypatch)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://127.0.0.1:9")
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    argv = (
        "train",
        "--config",
        write(tmp_path),
        "--workdir",
        tmp_path / "run",
        "--quiet",
        "--track",
        "mlflow",
    )
    refuse(capsys, *argv, names="--track mlflow")
    assert not (tmp_path / "run" / "metrics.jsonl").exists()
    with pytest.warns(UserWarning, match="--track mlflow"):
        result = train(tiny, tmp_path / "begun", Display(quiet=True), tracking=tracking)
    assert result["steps"] == 12
