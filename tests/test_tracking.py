"""`--track`, as far as no tracker is needed; what each one holds is in test_tracking_wandb and _mlflow."""

import json
import sys
from pathlib import Path

import pytest
from refusal import refuse, refuse_to_train, write
from small_table import write as write_table

from resjax import tracking
from resjax.config import Config
from resjax.errors import UserError
from resjax.progress import Display
from resjax.table import Work, choose, load
from resjax.training import train

Capture = pytest.CaptureFixture[str]


@pytest.mark.parametrize("name", tracking.NAMES)
def test_without_its_package_it_says_so_before_anything_runs(
    name: str, tmp_path: Path, capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delitem(sys.modules, f"resjax.trackers.{name}_tracker", raising=False)
    monkeypatch.setitem(sys.modules, name, None)  # as Python itself does where an import was forbidden
    extra = f"resjax[{name}]"
    refuse_to_train(capsys, write(tmp_path), tmp_path / "run", "--track", name, names=extra)
    flags = ("--workdir", tmp_path / "runs", "--results", tmp_path / "results", "--track", name)
    refuse(capsys, "table", write_table(tmp_path), *flags, names=extra)
    assert not (tmp_path / "runs").exists()


@pytest.mark.parametrize("flag", ["--list", "--plan", "--render"])
def test_what_runs_nothing_takes_no_tracker(flag: str, tmp_path: Path, capsys: Capture) -> None:
    refuse(capsys, "table", write_table(tmp_path), flag, "--track", "wandb", names="--track")


def test_slurm_s_tasks_are_given_the_trackers(tmp_path: Path) -> None:
    from resjax.engines.slurm import Slurm

    file = write_table(tmp_path)
    table = load(str(file))
    cells = choose(table, file)
    work = Work(table, cells, 1.0, tmp_path, tmp_path, trackers=("wandb", "mlflow"))
    script = Slurm(str(file), {}).script(work, cells)
    assert "--track wandb --track mlflow \\\n" in script


def test_the_record_s_command_knows_no_tracker(tmp_path: Path) -> None:
    file = write_table(tmp_path)
    table = load(str(file))
    (cell,) = choose(table, file, row="plain 4", seed=0)
    plain = Work(table, [cell], 0.5, tmp_path, tmp_path)
    tracked = Work(table, [cell], 0.5, tmp_path, tmp_path, trackers=("wandb",))
    assert tracked.command(cell) == plain.command(cell)
    found = tracked.tracking(cell)
    assert (found.name, found.group) == ("plain 4, seed 0", "small at 0.5 of its schedule")


def test_a_tracker_that_began_once_is_known_to_its_run_and_its_table(tmp_path: Path) -> None:
    entry = {"wandb": {"run": "x", "rows": 0, "open": True}}
    (tmp_path / "plain" / "seed0").mkdir(parents=True)
    (tmp_path / "plain" / "seed0" / tracking.FILE).write_text(json.dumps(entry))
    other = tmp_path / "plain" / "seed1"
    alone, of_table = tracking.Tracking((), "a"), tracking.Tracking((), "a", "table", tmp_path)
    assert alone.has_started("wandb", tmp_path / "plain" / "seed0")
    assert not alone.has_started("wandb", other)
    assert of_table.has_started("wandb", other)
    assert not of_table.has_started("mlflow", other)


def test_a_damaged_file_of_ids_is_told(tiny: Config, tmp_path: Path) -> None:
    (tmp_path / tracking.FILE).write_text('{"wandb": {"run": "x"}}')
    with pytest.raises(UserError, match=r"tracking\.json"):
        train(tiny, tmp_path, Display(quiet=True))


def test_a_config_is_flat_in_a_tracker() -> None:
    values = {"seed": 0, "heads": [{"name": "a"}, {"name": "b"}], "model": {"stages": [3, 3]}, "none": {}}
    assert dict(tracking.flat(values)) == {
        "seed": 0,
        "heads.0.name": "a",
        "heads.1.name": "b",
        "model.stages": [3, 3],
    }
