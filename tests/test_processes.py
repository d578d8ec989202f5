"""Several processes as one run: real ones, over loopback."""

import contextlib
import json
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from refusal import refuse
from together import (
    BOUND,
    CONFIG,
    LONGEST,
    ROOT,
    STEPS,
    arrays,
    assert_codes,
    by_hand,
    distance,
    free_port,
    pair,
    recipe,
    result,
    run,
    shared_programs,
    slurm,
    start,
)

from resjax import job as jobs
from resjax.__main__ import main
from resjax.checkpoint import Checkpoints
from resjax.digests import digest
from resjax.record import read_config

__all__ = ["recipe", "shared_programs"]
pytestmark = pytest.mark.multiprocess
Capture = pytest.CaptureFixture[str]
TAUGHT = """
    head = dict(name="softened", endpoint="main", form="identity", weight=1.0, loss="distillation")
    config.heads = (head | dict(target="teacher", teacher_endpoint="main"),)
    return config"""


@pytest.fixture(scope="module")
def undisturbed(recipe: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """-> the folder of a run of two processes."""
    folder = tmp_path_factory.mktemp("undisturbed") / "run"
    assert_codes(run("train", "--config", recipe, "--workdir", folder), 0, 0)
    return folder


def test_two_processes_do_what_one_does(undisturbed: Path, recipe: Path, tmp_path: Path) -> None:
    """Up to rounding; and each record is written once."""
    assert main(["train", "--config", str(recipe), "--workdir", str(tmp_path), "--quiet"]) == 0
    one, two = result(tmp_path), result(undisturbed)
    assert (one["processes"], one["mesh"]) == (1, {"data": 1})
    assert (two["processes"], two["mesh"]) == (2, {"data": 2})
    assert 0 < distance(undisturbed, tmp_path) < BOUND
    assert [row["step"] for row in two["curve"]] == [row["step"] for row in one["curve"]]
    lines = (undisturbed / "metrics.jsonl").read_text().splitlines()
    assert [json.loads(line) for line in lines] == two["curve"]
    assert len(list((undisturbed / "tensorboard").iterdir())) == 1
    assert {path.name for path in undisturbed.iterdir()} == {path.name for path in tmp_path.iterdir()}


def test_the_bits_are_the_same_where_each_process_streams_its_own_examples(
    undisturbed: Path, recipe: Path, tmp_path: Path
) -> None:
    command = ("train", "--config", recipe, "--workdir", tmp_path, "--config.data.hold=host")
    assert_codes(run(*command), 0, 0)
    for key in ("state_sha256", "curve", "metrics"):
        assert result(tmp_path)[key] == result(undisturbed)[key]


def test_two_processes_start_from_a_run_and_are_taught_by_it(undisturbed: Path, tmp_path: Path) -> None:
    """It is one of two processes; another run of two does with it what a run of one does."""
    file, one, two = tmp_path / "taught.py", tmp_path / "one", tmp_path / "two"
    file.write_text(CONFIG.replace("    return config", TAUGHT))
    origins = (f"--config.start.run={undisturbed}", f"--config.teacher.run={undisturbed}")
    command = ("train", "--config", file, *origins, "--config.schedule.length=20", "--workdir")
    assert main([*map(str, command), str(one), "--quiet"]) == 0
    assert_codes(run(*command, two), 0, 0)
    assert result(two)["transfers"] == result(one)["transfers"] != []
    assert 0 < distance(two, one, 20) < BOUND


def test_a_signal_to_one_stops_both_at_one_step_and_the_bits_stay(
    undisturbed: Path, recipe: Path, tmp_path: Path
) -> None:
    command = ("train", "--config", recipe, "--workdir", tmp_path)
    with start(pair(*command)) as processes:
        processes.kill(1, signal.SIGTERM, tmp_path / "metrics.jsonl", lines=6)
        ended = processes.ended()
    assert_codes(ended, 75, 75)
    said = re.compile(rf"^resjax: SIGTERM: saved step (\d+) of {STEPS} in {tmp_path}/checkpoints", re.M)
    found = [said.findall(each.said) for each in ended]
    assert found[0] == found[1]
    assert 30 <= int(found[0][0]) < STEPS
    assert_codes(run(*command), 0, 0)
    for key in ("state_sha256", "curve", "metrics"):
        assert result(tmp_path)[key] == result(undisturbed)[key]


def test_a_lost_process_is_named_and_any_number_goes_on(
    undisturbed: Path, recipe: Path, tmp_path: Path
) -> None:
    """Process 0 is lost, then one process goes on alone, then process 1 of two is lost, then both end."""
    command, log = ("train", "--config", recipe, "--workdir", tmp_path), tmp_path / "metrics.jsonl"
    for lost, lines in ((0, 9), (1, 20)):
        with start(pair(*command)) as processes:
            sent = processes.kill(lost, signal.SIGKILL, log, lines)
            ended = processes.ended()
            assert time.monotonic() - sent < 30
        assert_codes(ended, *((-9, 75) if lost == 0 else (75, -9)))
        sentence = (
            rf"^resjax: process {lost} of 2 was lost; step (\d+) is saved in {tmp_path}; start all proc"
        )
        saved = re.findall(sentence, ended[1 - lost].said, re.M)
        assert len(saved) == 1, ended
        arrays(tmp_path, int(saved[0]))  # it is whole
        if lost == 0:
            with start([command]) as alone:
                alone.kill(0, signal.SIGINT, log, lines=15)
                assert_codes(alone.ended(), 75)
    assert_codes(run(*command), 0, 0)
    assert 0 < distance(tmp_path, undisturbed) < BOUND
    last = result(undisturbed)["state_sha256"]
    job = jobs.build(read_config(undisturbed))
    with Checkpoints(undisturbed, read_only=True) as checkpoints:  # of two processes, read by this one
        assert digest(checkpoints.restore(STEPS, job.state_like(STEPS))[0]) == last


# Two that wait, and cannot read what is saved: the folder was on the third one's host.
WAITING = """
import os, sys, time
from resjax import processes
from resjax.environment import Group

def cannot():
    raise OSError("Stale file handle")

number = int(sys.argv[2])
with processes.joined(Group(sys.argv[1], 3, number)):
    processes.saves(cannot if number else lambda: time.sleep(1000))
    processes.exchange("")
    if number == 2:
        os._exit(1)
    processes.exchange("")
"""


def test_a_lost_process_ends_the_others_where_the_folder_went_with_it() -> None:
    address = f"127.0.0.1:{free_port()}"
    commands = [[sys.executable, "-c", WAITING, address, str(number)] for number in range(3)]
    with contextlib.ExitStack() as stack:
        started = [
            stack.enter_context(subprocess.Popen(command, cwd=ROOT, stderr=subprocess.PIPE, text=True))
            for command in commands
        ]
        for process in started:
            stack.callback(process.kill)
        said = [process.communicate(timeout=LONGEST)[1] for process in started]
    assert [process.returncode for process in started] == [75, 75, 1], said
    assert all("resjax: process 2 of 3 was lost\n" in text for text in said[:2])


def test_what_process_0_refuses_ends_all(undisturbed: Path, recipe: Path) -> None:
    """Here as tasks of SLURM."""
    before = (undisturbed / "config.json").read_text()
    command = ("train", "--config", recipe, "--workdir", undisturbed, "--config.seed=3", "--distributed")
    with start([command, command], slurm(2)) as processes:
        ended = processes.ended()
    assert_codes(ended, 2, 2)
    for process in ended:
        assert str(undisturbed) in process.said
        assert "config.seed" in process.said
    assert "process 0" in ended[1].said
    assert (undisturbed / "config.json").read_text() == before


def test_processes_with_another_config_are_refused(recipe: Path, tmp_path: Path) -> None:
    places = by_hand(2)
    commands = [["train", "--config", recipe, "--workdir", tmp_path / "run", *place] for place in places]
    commands[1].append("--config.train.log_every=7")
    with start(commands) as processes:
        ended = processes.ended()
    assert_codes(ended, 2, 2)
    assert all("config.train.log_every" in process.said for process in ended)
    assert not (tmp_path / "run").exists()


def test_who_does_not_come_is_named(recipe: Path, tmp_path: Path, capsys: Capture) -> None:
    command = ["train", "--config", recipe, "--workdir", tmp_path / "run", "--join-timeout", "1"]
    port = free_port()
    place = ["--coordinator", f"127.0.0.1:{port}", "--processes", "3", "--process"]
    refuse(capsys, *command, *place, 2, names=f"--coordinator 127.0.0.1:{port}")
    refuse(capsys, *command, *place, 0, names="processes [1, 2] of 3")
    assert not (tmp_path / "run").exists()
