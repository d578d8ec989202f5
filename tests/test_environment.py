"""How a process learns which one of several it is: from flags, or from the environment of a cluster."""

from pathlib import Path

import pytest
from jax._src.clusters import cloud_tpu_cluster, cluster
from refusal import refuse
from small_table import write as write_table
from together import recipe, shared_programs, slurm

from resjax import environment
from resjax.environment import Group

__all__ = ["recipe", "shared_programs"]
Capture = pytest.CaptureFixture[str]


BY_HAND = ("--coordinator", "localhost:9000", "--processes", "2", "--process", "1")
BAD = {
    ("--processes", "2"): ("--coordinator, --process is missing", "go together"),
    ("--distributed", "--process", "1"): ("--distributed takes from the environment", "one or the other"),
    (*BY_HAND, "--process", "2"): ("--process is 2", "it must be 0 to 1"),
    (*BY_HAND, "--coordinator", "localhost"): ("--coordinator is 'localhost'", "HOST:PORT"),
    (*BY_HAND, "--coordinator", "localhost:99999"): ("--coordinator is 'localhost:99999'", "HOST:PORT"),
    (*BY_HAND, "--processes", "0"): ("--processes: it is '0'", "whole number from 1"),
    (*BY_HAND, "--join-timeout", "0"): ("--join-timeout: it is '0'", "above 0"),
    ("--join-timeout", "9"): ("--join-timeout goes with --distributed",),
    ("--distributed",): ("no environment of several processes was found", "--coordinator HOST:PORT"),
}


@pytest.mark.parametrize("flags", BAD, ids=" ".join)
def test_bad_flags_are_refused(
    flags: tuple[str, ...], recipe: Path, tmp_path: Path, capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("SLURM_JOB_ID", "OMPI_MCA_orte_hnp_uri", "KUBERNETES_SERVICE_HOST"):
        monkeypatch.delenv(name, raising=False)
    refuse(capsys, "train", "--config", recipe, "--workdir", tmp_path / "run", *flags, said=BAD[flags])
    assert not (tmp_path / "run").exists()


def test_tables_name_what_runs_nothing_and_the_engine(tmp_path: Path, capsys: Capture) -> None:
    table = write_table(tmp_path)
    refuse(capsys, "table", table, "--render", *BY_HAND, said=("--render and --plan run nothing",))
    said = ("--coordinator goes with --engine plain, not with slurm",)
    refuse(capsys, "table", table, "--engine", "slurm", *BY_HAND, said=said)


def test_the_environment_of_slurm_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    task = slurm(4)[3]
    for name, value in task.items():
        monkeypatch.setenv(name, value)
    by_hand = {"coordinator": None, "processes": None, "process": None, "join_timeout": 7.0}
    expected = Group(f"localhost:{task['JAX_COORDINATOR_PORT']}", 4, 3, 7.0, [3])
    assert environment.parse(distributed=True, **by_hand) == expected


def test_the_environment_of_tpu_slices_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of the second host of the second of two, as GKE has it; that the machine has TPUs is pretended."""
    for module in (cluster, cloud_tpu_cluster):
        monkeypatch.setattr(module, "running_in_cloud_tpu_vm", True)
    slices = {"COORDINATOR_ADDRESS": "localhost:8080", "NUM_SLICES": "2", "SLICE_ID": "1"}
    host = {"WORKER_HOSTNAMES": "host2,host3", "WORKER_ID": "1", "SKIP_MDS_QUERY": "1"}
    for prefix, values in (("MEGASCALE", slices), ("TPU", host)):
        for name, value in values.items():
            monkeypatch.setenv(f"{prefix}_{name}", value)
    by_hand = {"coordinator": None, "processes": None, "process": None, "join_timeout": 7.0}
    expected = Group(f"localhost:{cloud_tpu_cluster.coordinator_port}", 4, 3, 7.0, None)
    assert environment.parse(distributed=True, **by_hand) == expected
