"""`resjax table FILE --engine ray`, on a real cluster of two nodes on this machine."""

import json
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest
from refusal import refuse
from small_table import records, write

Capture = pytest.CaptureFixture[str]
ABSENT = "Ray is not installed: python -m pip install 'resjax[ray]'"
needs_ray = pytest.mark.filterwarnings("ignore")  # Ray's own


@pytest.fixture(scope="module", autouse=True)
def as_urgent_as_the_tests() -> Iterator[None]:
    """Workers give way to whatever else the machine does, unless Ray is told otherwise."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("RAY_worker_niceness", "0")
        yield


@pytest.fixture(scope="module")
def address(as_urgent_as_the_tests: None) -> Iterator[str]:
    """-> that of two nodes, each with one processor."""
    utils = pytest.importorskip("ray.cluster_utils", reason=ABSENT)
    cluster = utils.Cluster(initialize_head=True, head_node_args={"num_cpus": 1})
    cluster.add_node(num_cpus=1)
    yield cluster.address
    cluster.shutdown()


def command(file: Path, *flags: object) -> list[str]:
    folders = ["--workdir", file.parent / "runs", "--results", file.parent / "results"]
    return [sys.executable, "-m", "resjax", "table", *map(str, (file, *folders, *flags))]


def start(file: Path, *flags: object) -> subprocess.Popen[str]:
    return subprocess.Popen(command(file, *flags), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def wait_for_checkpoint(process: subprocess.Popen[str], folder: Path) -> Path:
    """-> the folder of a run that has one and is not done."""
    while process.poll() is None:
        for checkpoint in folder.glob("runs/small/*/seed*/checkpoints/*000"):
            run = checkpoint.parent.parent
            if not (run / "result.json").exists():
                return run
        time.sleep(0.01)
    raise AssertionError(process.communicate()[1])


def worker(run: Path) -> psutil.Process:
    """-> the process of Ray that is at this run."""
    label = f"{run.parent.name.replace('-', ' ')}, seed {run.name.removeprefix('seed')}"
    (found,) = (
        process
        for process in psutil.Process().children(recursive=True)
        if process.cmdline() and process.cmdline()[0] == f"ray::{label}"
    )
    return found


def facts(record: Path) -> dict[str, object]:
    found = json.loads(record.read_text())
    return {name: value for name, value in found.items() if "second" not in name and name != "command"}


@pytest.mark.slow
@needs_ray
def test_records_are_those_of_the_plain_engine_though_a_worker_was_killed(
    address: str, tmp_path: Path
) -> None:
    for name in ("plain", "ray"):
        (tmp_path / name).mkdir()
    plain, file = (write(tmp_path / name, steps=4000) for name in ("plain", "ray"))
    with start(file, "--seed", "0", "--engine", "ray", "--address", address) as process:
        run = wait_for_checkpoint(process, file.parent)
        worker(run).kill()
        stdout, stderr = process.communicate(timeout=300)
    assert process.returncode == 0, stderr
    assert re.search(rf"resuming \S*{run.parent.name}/{run.name} at step [123]000 of 4000", stderr)
    assert "residual 4 - plain 4" in stdout
    subprocess.run(command(plain, "--seed", "0"), check=True, capture_output=True)
    names = ["plain-4-seed0.json", "residual-4-seed0.json"]
    assert [path.name for path in records(file.parent)] == names
    for name in names:
        ours, other = (facts(tmp_path / engine / "results" / "small" / name) for engine in ("ray", "plain"))
        assert ours == other
        assert ours["state_sha256"]


@pytest.mark.slow
@needs_ray
def test_a_cell_that_fails_is_told_and_the_others_go_on(address: str, tmp_path: Path) -> None:
    file, run = write(tmp_path, steps=5), tmp_path / "runs" / "small" / "plain-4" / "seed0"
    train = ["train", "--config", str(tmp_path / "config.py"), "--workdir", str(run), "--config.seed=1"]
    subprocess.run([sys.executable, "-m", "resjax", *train], check=True, capture_output=True)
    flags = ("--seed", "0", "--engine", "ray", "--address", address)
    done = subprocess.run(command(file, *flags), capture_output=True, text=True)
    reason = f"plain 4, seed 0: --workdir {run} holds a run with config.model.skip = True, not False"
    assert done.returncode == 1
    assert done.stderr.count(reason) == 2
    assert f"resjax: 1 of 2 cells failed; {reason}" in done.stderr
    assert "Traceback" not in done.stderr
    assert [path.stem for path in records(tmp_path)] == ["residual-4-seed0"]


@pytest.mark.slow
@needs_ray
def test_a_stopped_table_goes_on_with_any_engine(tmp_path: Path) -> None:
    """On the cluster that is started where no address is given."""
    pytest.importorskip("ray", reason=ABSENT)
    file = write(tmp_path, steps=4000)
    with start(file, "--engine", "ray", "--seed", "0") as process:
        wait_for_checkpoint(process, tmp_path)
        process.send_signal(signal.SIGINT)
        _, stderr = process.communicate(timeout=120)
    assert process.returncode == 75, stderr
    assert "SIGINT" in stderr
    assert "the same command goes on" in stderr
    assert "Traceback" not in stderr
    done = subprocess.run(command(file, "--seed", "0"), capture_output=True, text=True, check=True)
    assert "resuming" in done.stderr
    assert [path.stem for path in records(tmp_path)] == ["plain-4-seed0", "residual-4-seed0"]


@pytest.mark.parametrize("address", ["127.0.0.1:1", "127.0.0.1:one", "no-such-host.invalid:6379", ":"])
@needs_ray
def test_an_address_where_nothing_answers_is_refused(tmp_path: Path, capsys: Capture, address: str) -> None:
    pytest.importorskip("ray", reason=ABSENT)
    flags = ("--workdir", tmp_path / "runs", "--quiet", "--engine", "ray", "--address", address)
    refuse(capsys, "table", write(tmp_path), *flags, names=f"--address is {address}")


@pytest.mark.slow
@needs_ray
def test_an_address_where_something_else_answers_is_refused(tmp_path: Path) -> None:
    pytest.importorskip("ray", reason=ABSENT)
    with socket.create_server(("127.0.0.1", 0)) as server:
        address = f"127.0.0.1:{server.getsockname()[1]}"
        flags = ("--engine", "ray", "--address", address)
        done = subprocess.run(command(write(tmp_path), *flags), capture_output=True, text=True, timeout=200)
    assert done.returncode == 2
    assert f"resjax: --address is {address}" in done.stderr
    assert "Traceback" not in done.stderr


def test_without_ray_it_says_so(tmp_path: Path, capsys: Capture, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, "resjax.engines.ray_cluster", raising=False)
    monkeypatch.setitem(sys.modules, "ray", None)  # as Python itself does where an import was forbidden
    flags = ("--workdir", tmp_path / "runs", "--quiet", "--engine", "ray")
    refuse(capsys, "table", write(tmp_path), *flags, names="resjax[ray]")
