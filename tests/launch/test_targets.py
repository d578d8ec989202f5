"""What each target of a launch would do, to the word."""

import json
import os
import subprocess
from pathlib import Path

import pytest
import yaml
from launched import ODD, SKY, TABLE, TARGETS, TPU, XPK, Capture, called, commit, dry
from refusal import check

from experiments.launch.__main__ import main
from experiments.launch.tpu_vm import AGAIN, CLONE, KILLS
from resjax import config as configs
from resjax import table


def test_a_slice_of_tpus_is_made_given_the_source_and_runs_on_all_hosts(
    train: list[str], notes: Path, capsys: Capture
) -> None:
    assert main([*TPU, "--spot", "--project=p", "--nfs=10.0.0.2:/share", "--", *train]) == 0
    described, made, copied, ran = called(notes)
    place = ["--zone=europe-west4-b", "--project=p"]
    tpus = ["gcloud", "compute", "tpus", "tpu-vm"]
    assert described == [*tpus, "describe", "mine", *place]
    kind = ["--accelerator-type=v5litepod-8", "--version=v2-alpha-tpuv5-lite", "--spot"]
    assert made == [*tpus, "create", "mine", *place, *kind]
    bundle = f"{notes.parent}/mine-resjax.bundle"
    assert copied == [*tpus, "scp", bundle, "mine:resjax.bundle", *place, "--worker=all"]
    subprocess.run(["git", "bundle", "verify", "--quiet", bundle], check=True)
    assert ran[:-1] == [*tpus, "ssh", "mine", *place, "--worker=all"]
    script = ran[-1].removeprefix("--command=")
    subprocess.run(["bash", "-n", "-c", script], check=True)
    assert "mount -t nfs 10.0.0.2:/share /mnt/resjax" in script
    assert f"python -m resjax train --distributed --config {train[2]} {ODD} --workdir '" in script


def test_a_slice_that_is_there_is_not_made_again(
    train: list[str], notes: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("THERE", "0")
    assert main([*TPU, "--", *train]) == 0
    assert [call[4] for call in called(notes)] == ["describe", "scp", "ssh"]


@pytest.mark.parametrize(
    ("kind", "version"),
    [("v6e-8", "v2-alpha-tpuv6e"), ("v5p-8", "v2-alpha-tpuv5"), ("v4-8", "tpu-ubuntu2204-base")],
)
def test_the_software_of_hosts_is_that_of_their_chips(
    kind: str, version: str, train: list[str], capsys: Capture
) -> None:
    assert f"--version={version}" in dry(capsys, [*TPU[:-1], f"--type={kind}"], *train)
    assert "--version=own" in dry(capsys, [*TPU[:-1], f"--type={kind}", "--runtime=own"], *train)


def test_the_source_goes_over_and_a_second_launch_brings_the_new_one(tmp_path: Path) -> None:
    """With git itself: what the hosts of a slice do with a bundle. What lies in the folder stays."""
    here, there = tmp_path / "here", tmp_path / "there"
    there.mkdir()
    here.mkdir()
    for name in ("one", "two"):
        (here / name).write_text(name)
        commit(here)
        bundle = ["git", "bundle", "create", "--quiet", str(there / "resjax.bundle"), "HEAD"]
        subprocess.run(bundle, cwd=here, check=True)
        subprocess.run(["bash", "-c", f"set -e\n{CLONE}"], cwd=there, check=True)
        assert (there / "resjax" / name).read_text() == name
        (there / "resjax" / "run").touch()


@pytest.mark.parametrize(
    ("codes", "last", "left"),
    [
        ([75, 143, 75, 0], 0, 0),
        ([3, 0], 3, 1),
        ([137, 75, 137, 2, 0], 2, 1),
        ([*[137] * KILLS, 0], 0, 0),
        ([*[137] * KILLS, 75, 137, 0], 137, 1),
    ],
)
def test_a_run_on_a_slice_is_started_again(codes: list[int], last: int, left: int, tmp_path: Path) -> None:
    """As often as it was saved, and a few times where it was killed; what is wrong with it ends it."""
    (tmp_path / "codes").write_text("".join(f"{code}\n" for code in codes))
    (tmp_path / "run").write_text("code=$(head -n 1 codes)\nsed -i 1d codes\nexit $code\n")
    script = "set -e\n" + AGAIN.format(command="bash run", kills=KILLS)
    assert subprocess.run(["bash", "-c", script], cwd=tmp_path).returncode == last
    assert len((tmp_path / "codes").read_text().splitlines()) == left


def test_hosts_that_share_no_disk_are_told_before(here: Path, capsys: Capture) -> None:
    several = [*TPU[:-1], "--type=v5litepod-16"]
    train, shared = ["train", "--config", "config.py", "--workdir"], ["--nfs=10.0.0.2:/share"]
    for target, place in ((several, "/mnt/resjax/runs"), ([*several, *shared], "runs")):
        check(
            main([*target, "--dry-run", "--", *train, place]), capsys.readouterr().err, "--type v5litepod-16"
        )
    assert "mount -t nfs" in dry(capsys, [*several, *shared], *train, "/mnt/resjax/runs")


def test_a_workload_of_gke_restarts_where_a_run_was_saved(train: list[str], notes: Path) -> None:
    assert main([*XPK, "--project=p", "--", *train]) == 0
    (call,) = called(notes)
    assert call[:-1] == [
        *("xpk", "workload", "create", "--workload=mine", "--cluster=ours", "--project=p"),
        *("--tpu-type=v5litepod-16", "--base-docker-image=python:3.12", "--script-dir=."),
        *("--max-restarts=50", "--restart-on-exit-codes=75", "--termination-grace-period-seconds=120"),
    ]
    assert call[-1].startswith("--command=python -m pip install --quiet -e '.[tpu]' -c constraints.txt && ")
    subprocess.run(["bash", "-n", "-c", call[-1].removeprefix("--command=")], check=True)
    assert " && exec python -m resjax train --distributed --config" in call[-1]


def test_a_managed_job_recovers_where_a_run_was_saved(train: list[str], notes: Path) -> None:
    assert main([*SKY, "tpu-v6e-8", "--spot", "--", *train]) == 0
    (call,) = called(notes)
    assert call == ["sky", "jobs", "launch", "--yes", "--name=mine", "runs/launch/mine.yaml"]
    task = yaml.safe_load(Path(call[-1]).read_text())
    assert task["resources"] == {
        "accelerators": "tpu-v6e-8",
        "use_spot": True,
        "job_recovery": {"recover_on_exit_codes": [75]},
    }
    assert task["file_mounts"] == {"/mnt/resjax": {"name": "runs", "mode": "MOUNT"}}
    assert (task["num_nodes"], task["workdir"]) == (1, ".")
    assert "'.[tpu]'" in task["setup"]
    assert "resjax train --distributed " in task["run"]


def test_trackers_are_installed_there(train: list[str], capsys: Capture) -> None:
    tracked = [*train, "--track", "wandb", "--track=mlflow"]
    assert "'.[tpu,wandb,mlflow]'" in dry(capsys, [*SKY, "tpu-v6e-8"], *tracked)
    assert main([*SKY, "tpu-v6e-8", "--dry-run", "--", *train, "--track=wadnb"]) == 2
    assert "--track is 'wadnb'; did you mean 'wandb'" in capsys.readouterr().err


def test_machines_with_gpus_are_told_of_each_other(train: list[str], capsys: Capture, tmp_path: Path) -> None:
    assert "--distributed" not in dry(capsys, [*SKY, "H100:8"], *train)
    text = dry(capsys, [*SKY, "H100:8", "--nodes=2"], *train)
    task = yaml.safe_load(text.partition("'END OF FILE'\n")[2].partition("END OF FILE")[0])
    assert (task["num_nodes"], "'.[cuda]'" in task["setup"]) == (2, True)
    words = tmp_path / "words"
    script = task["run"].replace("~/resjax-env/bin/python", f"printf '%s\\n' > {words}")
    nodes = {"SKYPILOT_NODE_IPS": "10.0.0.1\n10.0.0.2", "SKYPILOT_NUM_NODES": "2", "SKYPILOT_NODE_RANK": "1"}
    subprocess.run(["bash", "-c", script], env=os.environ | nodes, check=True)
    said = words.read_text().splitlines()
    assert said[:2] == ["-m", "resjax"]
    assert said[2:-6] == train  # as they were given, blanks and quotes included
    assert said[-6:] == ["--coordinator", "10.0.0.1:8476", "--processes", "2", "--process", "1"]


def test_a_run_on_slurm_is_a_process_for_each_gpu(train: list[str], notes: Path) -> None:
    assert main([*TARGETS["slurm"], "--time=8:00:00", "--", *train]) == 0
    (call,) = called(notes)
    assert call == ["sbatch", f"{notes.parent}/it's mine.slurm.sh"]
    lines = Path(call[1]).read_text().splitlines()
    assert [line.removeprefix("#SBATCH --") for line in lines if line.startswith("#SBATCH")] == [
        "requeue",
        "job-name='it'\"'\"'s mine'",
        "nodes=2",
        "ntasks-per-node=4",
        "gpus-per-node=4",
        "partition='big one'",
        "time=8:00:00",
        f"output='{notes.parent}/it'\"'\"'s mine-%j.log'",
        "open-mode=append",
        "signal=TERM@120",
    ]


@pytest.mark.parametrize(("code", "queued"), [(75, ["requeue 17"]), (143, ["requeue 17"]), (0, []), (3, [])])
def test_a_run_that_was_saved_goes_back_into_the_queue(
    code: int, queued: list[str], train: list[str], notes: Path
) -> None:
    assert main(["slurm", "--", *train]) == 0
    script, told = Path(called(notes)[0][1]), notes.parent / "told"
    for name, line in (("srun", f"exit {code}"), ("scontrol", f'echo "$@" >> "{told}"')):
        (notes.parent / "bin" / name).write_text(f"#!/bin/bash\n{line}\n")
        (notes.parent / "bin" / name).chmod(0o755)
    done = subprocess.run(["bash", str(script)], env=os.environ | {"SLURM_JOB_ID": "17"})
    assert done.returncode == code
    assert (told.read_text().splitlines() if told.exists() else []) == queued


def test_a_table_on_slurm_is_the_array_job_of_its_engine(notes: Path, capsys: Capture) -> None:
    assert main(["slurm", "--gpus=1", "--", *TABLE]) == 0
    (call,) = called(notes)
    assert call == ["sbatch", f"{notes.parent}/runs/small/slurm.sh"]
    text = Path(call[1]).read_text()
    assert "#SBATCH --gpus=1\n" in text
    assert "seeds=(0 1)" in text
    assert main(["slurm", "--nodes=2", "--", *TABLE]) == 2
    assert "--nodes is 2, but a cell of a table runs on one node" in capsys.readouterr().err


def test_of_a_table_on_slurm_that_is_done_nothing_is_submitted(
    notes: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    """As with `resjax table --engine slurm`."""
    (cell,) = table.choose(table.load("table.py"), Path("table.py"), "plain 4", 0)
    record = notes.parent / "results" / "small" / cell.record_name
    record.parent.mkdir(parents=True)
    known = {"row": "plain 4", "seed": 0, "versions": {}, "device": {}, "diverged_at": 1}
    record.write_text(json.dumps(known | {"config": configs.portable(cell.config)}))
    assert main(["slurm", "--", *TABLE, "--seed=0"]) == 0
    assert capfd.readouterr().out == "no cell is missing, so that there is nothing to submit\n"
    assert called(notes) == []
