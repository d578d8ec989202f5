"""`resjax table FILE --engine slurm`: the script that it writes, and its tasks, run by hand."""

import json
import os
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from refusal import refuse, transcript
from small_table import records, write

from resjax.__main__ import main

Capture = pytest.CaptureFixture[str]


@pytest.fixture
def table(tmp_path: Path) -> list[str]:
    """-> what names a table of four cells on the command line, with blanks in all names."""
    folder = tmp_path / "my tables"
    folder.mkdir()
    return [
        "table",
        str(write(folder)),
        "--workdir",
        str(folder / "runs"),
        "--results",
        str(folder / "results"),
    ]


def written(tmp_path: Path) -> Path:
    return tmp_path / "my tables" / "runs" / "small" / "slurm.sh"


def task(script: Path, number: int, **environment: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        ["bash", str(script)],
        env=os.environ | {"SLURM_ARRAY_TASK_ID": str(number), **environment},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def test_the_script_asks_for_what_was_asked_for(table: list[str], tmp_path: Path, capsys: Capture) -> None:
    requests = ["--partition", "gpu", "--time", "8:00:00", "--cpus", "4", "--gpus", "1"]
    assert main([*table, "--engine", "slurm", *requests]) == 0
    script = written(tmp_path)
    assert capsys.readouterr().out == f"sbatch '{script}'  # 4 tasks; their output goes to {script.parent}\n"
    subprocess.run(["bash", "-n", str(script)], check=True)
    lines = script.read_text().splitlines()
    assert [line.removeprefix("#SBATCH --") for line in lines if line.startswith("#SBATCH")] == [
        "requeue",
        "job-name=small",
        "array=0-3",
        f"output='{script.parent}/slurm-%A_%a.log'",
        "open-mode=append",
        "signal=B:TERM@120",
        "partition=gpu",
        "time=8:00:00",
        "cpus-per-task=4",
        "gpus=1",
    ]
    assert "rows=('plain 4' 'residual 4' 'plain 4' 'residual 4')" in lines
    assert "seeds=(0 0 1 1)" in lines
    assert not records(tmp_path / "my tables")


def test_a_cluster_has_its_own_defaults(table: list[str], tmp_path: Path, capsys: Capture) -> None:
    assert main([*table, "--engine", "slurm", "--budget", "0.5", "--seed", "1", "--mesh", "data=4"]) == 0
    text = (written(tmp_path).parent / "budget-0.5" / "slurm.sh").read_text()
    assert "array=0-1\n" in text
    assert "--budget 0.5 " in text
    assert "--mesh data=4 " in text  # on as many devices as there, not here
    assert not any(name in text for name in ("partition", "--time", "cpus", "gpus"))


@pytest.mark.slow
def test_a_task_runs_its_cell_and_a_recorded_cell_has_none(
    table: list[str], tmp_path: Path, capsys: Capture
) -> None:
    assert main([*table, "--engine", "slurm"]) == 0
    with task(written(tmp_path), 3) as process:
        _, stderr = process.communicate()
        assert process.returncode == 0, stderr
    (record,) = records(tmp_path / "my tables")
    assert record.stem == "residual-4-seed1"
    assert main([*table, "--engine", "slurm"]) == 0
    assert "seeds=(0 0 1)" in written(tmp_path).read_text().splitlines()
    assert main([*table, "--row", "residual 4", "--seed", "1", "--engine", "slurm"]) == 0
    assert capsys.readouterr().out.endswith("no cell is missing, so that there is nothing to submit\n")


@pytest.mark.slow
def test_a_task_whose_time_ends_saves_and_is_queued_again(
    table: list[str], tmp_path: Path, capsys: Capture
) -> None:
    write(tmp_path / "my tables", steps=2000)
    assert main([*table, "--engine", "slurm"]) == 0
    scontrol, log = tmp_path / "bin" / "scontrol", written(tmp_path).parent / "plain-4/seed0/metrics.jsonl"
    scontrol.parent.mkdir()
    scontrol.write_text(f'#!/bin/bash\necho "$@" > {scontrol}.told\n')
    scontrol.chmod(0o755)
    path = f"{scontrol.parent}:{os.environ['PATH']}"
    with task(written(tmp_path), 0, SLURM_JOB_ID="17", PATH=path) as process:
        while not (log.exists() and log.stat().st_size) and process.poll() is None:
            time.sleep(0.01)
        process.send_signal(signal.SIGTERM)  # as --signal=B:TERM does, to the shell alone
        _, stderr = process.communicate(timeout=60)
    assert process.returncode == 75, stderr
    assert "SIGTERM: saved step" in stderr
    assert Path(f"{scontrol}.told").read_text() == "requeue 17\n"
    with task(written(tmp_path), 0) as process:
        _, stderr = process.communicate()
    assert process.returncode == 0, stderr
    assert "resuming" in stderr
    assert json.loads(records(tmp_path / "my tables")[0].read_text())["steps"] == 2000


BAD = {
    "--engine slurm --seconds 9": "--seconds",
    "--engine slurm --address here:1": "--address",
    "--engine ray --partition gpu": "--partition",
    "--gpus 1": "--gpus",
    "--engine slurm --cpus 0": "--cpus",
    "--engine slurm --gpus=-1": "--gpus",
    "--engine slum": "--engine",
}


@pytest.mark.golden
def test_options_of_another_engine_are_refused(
    table: list[str], tmp_path: Path, capsys: Capture, golden: Callable[[str, str], None]
) -> None:
    messages = {flags: refuse(capsys, *table, *flags.split(), names=name) for flags, name in BAD.items()}
    assert not written(tmp_path).exists()
    golden("messages/engines.txt", transcript(messages))
