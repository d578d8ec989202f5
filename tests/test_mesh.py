"""Many devices: the same run on one, on eight, and on four pairs that split the state."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any, cast

import jax
import jax.numpy as jnp
import pytest
from jax.sharding import AbstractMesh, Mesh, PartitionSpec
from refusal import refuse

from resjax import job as jobs
from resjax import mesh as meshes
from resjax import trained
from resjax.checkpoint import Checkpoints
from resjax.digests import digest
from resjax.mesh import Layout
from resjax.phases import Origin, trunk_of
from resjax.record import read_config

ROOT = Path(__file__).parent.parent
# Of the largest value of each array of the state, behind 50 steps in float32. Measured: 2e-6.
BOUND = 2e-5


@pytest.fixture(scope="session")
def eight(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    return runs_on_eight(tmp_path_factory.mktemp("eight"), "first")


@pytest.fixture(scope="session")
def every(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    return runs_on_eight(tmp_path_factory.mktemp("every"), "every")


def runs_on_eight(folder: Path, which: str) -> dict[str, Any]:
    """-> what tests/eight.py prints, and where its runs are."""
    command = [sys.executable, str(ROOT / "tests" / "eight.py"), str(folder), which]
    environment = os.environ | {"PYTHONPATH": f"{ROOT}{os.pathsep}{ROOT / 'tests'}"}
    ran = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True)
    assert ran.returncode == 0, ran.stderr
    return {"folder": folder, **json.loads(ran.stdout.splitlines()[-1])}


@pytest.mark.parametrize(
    ("text", "layout"),
    [("data=8", Layout(8)), ("data=4,fsdp=2", Layout(4, 2)), ("fsdp=2", Layout(1, 2)), (None, None)],
)
def test_a_layout_is_read_and_written(text: str | None, layout: Layout | None) -> None:
    assert meshes.parse(text) == layout
    assert layout is None or meshes.parse(str(layout)) == layout


def test_a_bad_mesh_is_refused_by_eval_and_table(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """`train` is in test_bad_input.py."""
    quickstart = (ROOT / "experiments" / "quickstart.py", "--results", tmp_path)  # no cell is recorded there
    for text in ("dta=8", "data=2"):
        refuse(capsys, "eval", "--workdir", tmp_path, f"--mesh={text}", names="--mesh")
        refuse(capsys, "table", *quickstart, "--workdir", tmp_path, f"--mesh={text}", names="--mesh")


@pytest.mark.parametrize(
    ("shape", "split"),
    [
        ((3, 3, 8, 16), (None, None, None, "fsdp")),
        ((3, 3, 16, 10), (None, None, "fsdp")),
        ((12, 3), ("fsdp",)),
        ((3, 5), ()),  # no length is even
        ((64,), ()),  # a vector
        ((), ()),
    ],
)
def test_the_longest_axis_of_an_array_is_split(shape: tuple[int, ...], split: tuple[str | None, ...]) -> None:
    mesh = cast(Mesh, AbstractMesh((4, 2), meshes.AXES))  # of no devices at all, as of a topology
    leaf = jax.ShapeDtypeStruct(shape, jnp.float32)
    assert meshes.state(mesh, {"kernel": leaf})["kernel"].spec == PartitionSpec(*split)


def test_one_device_has_no_mesh_and_no_shardings() -> None:
    mesh = meshes.make()
    assert mesh is None
    assert meshes.axes(mesh) == {"data": 1}
    assert meshes.examples(mesh) is meshes.whole(mesh) is meshes.state(mesh, {}) is None


@pytest.mark.slow
def test_every_layout_sees_the_same_examples_and_ends_with_the_same_numbers(eight: dict[str, Any]) -> None:
    runs = eight["conv"]
    assert [run["mesh"] for run in runs.values()] == [{"data": 1}, {"data": 8}, {"data": 4, "fsdp": 2}]
    assert len({run["order"] for run in runs.values()}) == 1
    for name in ("eight", "split"):
        assert 0 < runs[name]["distance"] < BOUND  # 0: nothing was shared out
        assert runs[name]["metrics"] == pytest.approx(runs["one"]["metrics"], rel=1e-5)


@pytest.mark.slow
def test_units_in_a_loop_behind_phases_of_pretraining_do_too(every: dict[str, Any]) -> None:
    runs = every["phases"]
    assert runs["split"]["order"] == runs["one"]["order"]
    assert 0 < runs["split"]["distance"] < BOUND


@pytest.mark.slow
def test_a_program_is_compiled_once(every: dict[str, Any]) -> None:
    kinds = ("conv", "groups", "parts", "phases")
    assert {run["compiled"] for kind in kinds for run in every[kind].values()} == {1}


@pytest.mark.slow
def test_a_device_has_its_share_of_the_batch_and_of_the_state(eight: dict[str, Any]) -> None:
    for layout, kinds in (("eight", {"all-reduce"}), ("split", {"all-reduce", "all-gather"})):
        exchanged, images = eight["collectives"][layout]
        assert exchanged.keys() == kinds
        assert set(images) == {"8,8,8,4"}  # of a batch of 64
    assert eight["collectives"]["split"][0]["all-gather"] == 8  # each kernel, once
    assert 0.5 < eight["share"] < 0.55


@pytest.mark.slow
def test_batch_norm_of_each_device_s_own_examples_needs_no_exchange(every: dict[str, Any]) -> None:
    """What is left is one sum, of gradients and running statistics; the numbers are those of one device."""
    assert every["collectives"]["groups"][0] == {"all-reduce": 1}
    assert 0 < every["groups"]["eight"]["distance"] < BOUND


@pytest.mark.slow
def test_a_batch_in_parts_is_shared_out_as_it_lies(every: dict[str, Any]) -> None:
    """Each device takes its part of its own examples; what is exchanged are statistics and gradients."""
    exchanged, images = every["collectives"]["parts"]
    assert exchanged.keys() == {"all-reduce"}
    assert set(images) == {"4,8,8,4"}  # of a batch of 64 in 2 parts
    assert all(0 < every["parts"][name]["distance"] < BOUND for name in ("eight", "split"))


@pytest.mark.slow
def test_bfloat16_is_for_computing_alone_on_a_mesh_too(every: dict[str, Any]) -> None:
    types, losses = every["narrow"]
    assert types == ["float32"]
    assert bool(jnp.isfinite(jnp.asarray(losses)).all())
    assert losses[-1] < losses[0]


@pytest.mark.slow
def test_a_checkpoint_is_read_by_every_layout_to_the_same_bits(every: dict[str, Any]) -> None:
    for name, digests in every["read"].items():
        assert digests == 3 * [every["conv"][name]["state_sha256"]]


@pytest.mark.slow
def test_a_checkpoint_is_read_where_there_is_one_device(eight: dict[str, Any]) -> None:
    """This process has never had more."""
    for name in ("eight", "split"):
        folder = eight["folder"] / "conv" / name
        job = jobs.build(read_config(folder))
        with Checkpoints(folder, read_only=True) as checkpoints:
            state, _ = checkpoints.restore(50, job.state_like(50))
        assert digest(state) == eight["conv"][name]["state_sha256"]
        origin = trained.load("start", Origin(run=str(folder)))
        assert digest(origin.variables) == digest(trunk_of(state.variables))


@pytest.mark.slow
def test_a_run_goes_on_with_another_layout(every: dict[str, Any]) -> None:
    assert max(every["gone on"].values()) < BOUND


@pytest.mark.slow
def test_evaluation_counts_each_example_once_on_any_layout(every: dict[str, Any]) -> None:
    """360 examples, 104 at a time on eight devices: the last batch is padded."""
    reports = every["evaluated"]
    for report in reports.values():
        assert report["examples"] == 360
        assert report["accuracy"] == reports["one"]["accuracy"]
        assert report["loss"] == pytest.approx(reports["one"]["loss"], rel=1e-6)


@pytest.mark.slow
def test_the_command_line_names_the_mesh_that_would_do(eight: dict[str, Any]) -> None:
    code, said = eight["default"]
    assert code == 2
    assert "config.train.batch_size is 100" in said
    assert "--mesh data=5" in said
    code, said = eight["uneven parts"]
    assert code == 2
    assert "batch_size is 64" in said
    assert "--mesh data=4" in said
    assert eight["fewer"] == [0, ""]  # evaluation on five
