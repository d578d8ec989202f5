"""Several processes as one run, at length: four of them, tables, and the test of faults."""

import json
import re
import threading
from pathlib import Path

import numpy as np
import pytest
from small_table import records
from small_table import write as write_table
from test_maintenance import Server
from together import (
    BOUND,
    LONGEST,
    assert_codes,
    distance,
    pair,
    recipe,
    result,
    run,
    shared_programs,
    start,
)

from resjax import maintenance
from resjax.__main__ import main
from resjax.stop import MAINTENANCE

__all__ = ["recipe", "shared_programs"]
pytestmark = pytest.mark.multiprocess
# Autoencoders, the second one on the kept features of the first, then units in a loop, watched by a probe.
PHASES = """
from ml_collections import ConfigDict

def get_config():
    config = ConfigDict()
    schedule = dict(name="constant", unit="steps", length=20, learning_rate=0.02)
    config.data = dict(name="digits")
    config.model = dict(name="residual_mlp", depth=12, width=8)
    config.schedule = schedule
    config.train = dict(batch_size=64, scan_from=2, steps_per_dispatch=5)
    config.probes = (dict(name="gradients", every=10),)
    phases = []
    for after, block in (("", "block1"), ("block1", "block2")):
        head = dict(name="back", endpoint=block, form="flattened_linear", loss="squared_error")
        head["target"] = "input"
        phase = dict(name=f"at_{block}", after=after, until=block, noise=0.25, heads=(head,))
        phases.append(phase | dict(schedule=schedule))
    config.phases = tuple(phases)
    return config
"""


def test_four_processes_split_the_state(recipe: Path, tmp_path: Path) -> None:
    """Each holds half of the parameters, shared with another process; one process reads and goes on."""
    one, four = tmp_path / "one", tmp_path / "four"
    assert main(["train", "--config", str(recipe), "--workdir", str(one), "--quiet"]) == 0
    mesh = ("--mesh", "data=2,fsdp=2")
    command = ("train", "--config", recipe, "--workdir", four)
    assert_codes(run(*command, *mesh, count=4), 0, 0, 0, 0)
    assert (result(four)["processes"], result(four)["mesh"]) == (4, {"data": 2, "fsdp": 2})
    assert 0 < distance(four, one) < BOUND
    assert_codes(run("eval", "--workdir", four, *mesh, count=4), 0, 0, 0, 0)
    report = json.loads((four / "eval-test-120.json").read_text())
    assert report["accuracy"] == pytest.approx(result(four)["metrics"]["test/accuracy"], abs=1e-6)
    state = result(four)["state_sha256"]
    (four / "result.json").unlink()
    assert main(["train", "--config", str(recipe), "--workdir", str(four), "--quiet"]) == 0
    assert (result(four)["processes"], result(four)["state_sha256"]) == (1, state)


def test_phases_are_shared_too(tmp_path: Path) -> None:
    file, mesh = tmp_path / "phases.py", ("--mesh", "fsdp=2")
    file.write_text(PHASES)
    command = ("train", "--config", file, "--workdir")
    assert main([*map(str, command), str(tmp_path / "one"), "--quiet"]) == 0
    assert_codes(run(*command, tmp_path / "two", *mesh), 0, 0)
    assert 0 < distance(tmp_path / "two", tmp_path / "one", 60) < BOUND


def test_processes_with_other_data_folders_or_idle_devices_are_refused(recipe: Path, tmp_path: Path) -> None:
    folders = [tmp_path / "host0", tmp_path / "host1"]
    for number, folder in enumerate(folders):
        folder.mkdir()
        image = np.zeros((200, 8, 8, 1), np.uint8)
        for split in ("train", "test"):
            np.savez(folder / f"own-{split}.npz", image=image, label=(np.arange(200) + number) % 10)
    for flags, said in (
        (["--config.data.name=npz:own", "--workdir", tmp_path / "run"], "process 1 has other data than"),
        (["--workdir", "run"], "--workdir run is another folder in process 1 than in process 0; it must be"),
        (["--workdir", tmp_path / "run", "--mesh", "data=1"], "takes 1 of the 2 devices of 2 processes"),
    ):
        with start(pair("train", "--config", recipe, *flags), folders=folders) as processes:
            ended = processes.ended()
        assert_codes(ended, 2, 2)
        assert all(said in each.said for each in ended), ended


def test_processes_go_through_a_table_together(tmp_path: Path) -> None:
    table = write_table(tmp_path)
    places = ("--results", tmp_path / "results", "--workdir", tmp_path / "runs")
    assert_codes(run("table", table, *places), 0, 0)
    found = [json.loads(path.read_text()) for path in records(tmp_path)]
    assert [record["processes"] for record in found] == [2, 2, 2, 2]


def test_a_notice_to_one_host_stops_both_processes_at_one_step(recipe: Path, tmp_path: Path) -> None:
    """Process 1 alone has a server to ask, and asks it every few seconds."""
    command = ("train", "--config", recipe, "--workdir", tmp_path, "--config.schedule.length=200000")
    with Server(maintenance_event="NONE", preempted="FALSE") as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        places = [{}, {maintenance.ELSEWHERE: f"127.0.0.1:{server.server_port}"}]
        with start(pair(*command), places) as processes:
            with server.lock:
                assert server.lock.wait_for(lambda: min(server.asked.values()) > 0, LONGEST)
            server.answers["maintenance-event"] = "TERMINATE_ON_HOST_MAINTENANCE"
            ended = processes.ended()
        server.shutdown()
    assert_codes(ended, 75, 75)
    said = re.compile(rf"^resjax: {MAINTENANCE}: saved step (\d+) of 200000 in {tmp_path}/checkpoints", re.M)
    found = [said.findall(each.said) for each in ended]
    assert len(found[0]) == 1
    assert found[0] == found[1]


def test_twenty_kills_leave_the_bits(recipe: Path, capsys: pytest.CaptureFixture[str]) -> None:
    command = ["verify-resume", "--config", str(recipe), "--processes", "2", "--kills", "20", "--quiet"]
    assert main([*command, "--config.schedule.length=400"]) == 0
    *kills, verdict = capsys.readouterr().out.splitlines()
    found = [
        re.match(r"(SIG\w+) to process ([01]) at step (\d+), ended (\S+) s later", line) for line in kills
    ]
    told = [match.groups() for match in found if match]
    assert len(told) == 20, kills
    assert {name for name, *_ in told} == {"SIGKILL", "SIGTERM"}
    assert {number for _, number, *_ in told} == {"0", "1"}
    assert max(float(seconds) for *_, seconds in told) < 30
    assert verdict == "the same bits: every report, the curve, and all arrays of the last state"
