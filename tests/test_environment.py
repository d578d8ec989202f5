"""How a process learns which one of several it is: from flags, or from the environment of a cluster."""

from collections.abc import Callable
from pathlib import Path

import pytest
from jax._src.clusters import cloud_tpu_cluster, cluster
from refusal import refuse, refuse_to_train, transcript
from small_table import write as write_table
from together import recipe, shared_programs, slurm

from resjax import environment
from resjax.environment import Group

__all__ = ["recipe", "shared_programs"]
Capture = pytest.CaptureFixture[str]


BY_HAND = ("--coordinator", "localhost:9000", "--processes", "2", "--process", "1")
BAD = {
    ("--processes", "2"): "--coordinator, --process ",
    ("--distributed", "--process", "1"): "--distributed",
    (*BY_HAND, "--process", "2"): "--process is 2",
    (*BY_HAND, "--coordinator", "localhost"): "--coordinator is 'localhost'",
    (*BY_HAND, "--coordinator", "localhost:99999"): "--coordinator is 'localhost:99999'",
    (*BY_HAND, "--processes", "0"): "--processes",
    (*BY_HAND, "--join-timeout", "0"): "--join-timeout",
    ("--join-timeout", "9"): "--join-timeout",
    ("--distributed",): "--coordinator HOST:PORT",
}


@pytest.mark.golden
def test_bad_flags_are_refused(
    recipe: Path,
    tmp_path: Path,
    capsys: Capture,
    monkeypatch: pytest.MonkeyPatch,
    golden: Callable[[str, str], None],
) -> None:
    for name in ("SLURM_JOB_ID", "OMPI_MCA_orte_hnp_uri", "KUBERNETES_SERVICE_HOST"):
        monkeypatch.delenv(name, raising=False)
    messages = {
        " ".join(flags): refuse_to_train(capsys, recipe, tmp_path / "run", *flags, names=name)
        for flags, name in BAD.items()
    }
    table = ("table", write_table(tmp_path), *BY_HAND)
    messages["table --render"] = refuse(capsys, *table, "--render", names="--render")
    messages["table --engine slurm"] = refuse(capsys, *table, "--engine", "slurm", names="--engine")
    golden("messages/processes.txt", transcript(messages))


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
