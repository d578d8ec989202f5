"""Plans: what the compiler says of real programs, here and for chips that are not, and advice that holds."""

import dataclasses
import importlib.util
import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jax
import pytest
from refusal import refuse, refused, transcript, write

from resjax import backend, preflight, topology
from resjax import config as configs
from resjax import job as jobs
from resjax.__main__ import main
from resjax.config import Config
from resjax.errors import UserError
from resjax.loop import LONGEST, Loop
from resjax.preflight import Trial
from resjax.topology import Chip, Target

LIBTPU = importlib.util.find_spec("libtpu") is not None
QUICK = "--xla_backend_optimization_level=0 --xla_cpu_use_fusion_emitters=false"
NET = ["--config=configs/mnist_resnet.py:8", "--config.data.name=digits", "--config.model.width=4"]
NET += ["--config.input.pad=0", "--config.train.batch_size=64"]


def convolutional(*flags: str) -> Config:
    return configs.override(configs.load("configs/mnist_resnet.py:8", NET[1:]).to_dict(), flags)


def small(memory: int) -> Target:
    """-> this machine's processor, with so much memory."""
    return dataclasses.replace(topology.find(None), name="small", chip=Chip(memory, 1e12, 1e11))


def planned(*flags: str, devices: int = 1) -> dict[str, Any]:
    """-> what the command prints where there are so many devices."""
    flags = ("--json", *NET, *flags)
    environment = os.environ | {"XLA_FLAGS": f"--xla_force_host_platform_device_count={devices} {QUICK}"}
    done = subprocess.run(
        [sys.executable, "-m", "resjax", "plan", *flags], env=environment, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


@pytest.mark.slow
def test_a_plan_has_the_compiler_s_figures_and_the_net_s_operations() -> None:
    config = convolutional()
    found = preflight.plan(config, small(2**40), None)
    train, evaluation = found.needs
    assert found.fits
    assert found.verdict == "fits"
    assert found.trials == ()
    stage = jobs.build(config).last
    assert train.flops == pytest.approx(2 * stage.multiply_adds / stage.steps)
    assert evaluation.flops == pytest.approx(train.flops / 3 * evaluation.examples / train.examples)
    for need in found.needs:
        assert min(need.arguments, need.temporaries, need.accessed or 0) > 0
        assert need.peak >= need.arguments + need.temporaries + need.beside
        assert need.exchanges == ()
    state = sum(leaf.nbytes for leaf in jax.tree.leaves(stage.init_state(jax.random.key(0))))
    assert train.arguments > state
    assert evaluation.beside > state / 2


@pytest.mark.slow
def test_streamed_images_count_with_those_that_are_brought_ahead() -> None:
    """Programs of five steps: one computes, two are in flight, one is ahead; of 8 x 8 pixels and a label."""
    flags = ("--config.train.steps_per_dispatch=5", "--config.train.eval_batch_size=100")
    held, streamed = (
        preflight.plan(convolutional(*flags, f"--config.data.hold={hold}"), small(2**40), None)
        for hold in ("device", "host")
    )
    assert (held.whole, streamed.whole) == (True, False)
    example, chunk = 8 * 8 + 4, 5 * 64 * (8 * 8 + 4)
    train, evaluation = streamed.needs
    assert train.beside == 3 * chunk
    beside = 2 * chunk + 100 * example - 1437 * example
    assert evaluation.beside - held.needs[1].beside == pytest.approx(beside, abs=100)  # of mean and spread
    assert held.needs[0].arguments - train.arguments == pytest.approx(1437 * example - chunk, abs=2000)


def test_the_time_is_bounded_by_the_slowest_of_what_is_known() -> None:
    need = preflight.plan(convolutional(), small(0), None).needs[0]
    assert need.accessed
    bounds = preflight.bounds(need, Chip(0, 1e12, 1e11, 1e10))
    assert bounds["memory"] == need.accessed / 1e11
    assert bounds["compute"] >= need.flops / 1e12
    assert "interconnect" not in bounds  # one device sends nothing
    assert preflight.bounds(need, Chip(0)) == {}


@pytest.mark.slow
def test_what_does_not_fit_is_told_with_a_batch_that_does() -> None:
    whole, half = (
        preflight.plan(convolutional(f"--config.train.batch_size={batch}"), small(0), None).needs[0].peak
        for batch in (256, 128)
    )
    target = small((whole + half) // 2)
    found = preflight.plan(convolutional("--config.train.batch_size=256"), target, None)
    assert not found.fits
    assert found.verdict.startswith("does not fit: ")
    assert "reduce the batch to 128" in found.verdict
    trials = {(trial.key, trial.value): trial for trial in found.trials}
    assert trials.pop(("batch_size", 128)) == Trial("batch_size", 128, half, True)
    assert trials["accumulate", 2].peak < whole
    for (key, value), trial in trials.items():
        assert trial.fits == (trial.peak <= target.chip.memory)
        assert trial.fits == (f"config.train.{key}={value}" in found.verdict)


@pytest.mark.slow
def test_a_batch_in_parts_has_the_same_operations_and_needs_less() -> None:
    whole, parts = (
        preflight.plan(convolutional("--config.train.batch_size=256", *flags), small(0), None).needs[0]
        for flags in ((), ("--config.train.accumulate=4",))
    )
    assert parts.flops == whole.flops
    assert parts.temporaries < whole.temporaries / 2
    assert (whole.loops, parts.loops) == (False, True)  # so that its count by XLA is a lower bound


@pytest.mark.slow
def test_nothing_is_advised_where_nothing_fits(tiny: Config) -> None:
    found = preflight.plan(tiny, small(1), None)
    assert found.verdict == "does not fit: nothing that was tried does"
    assert found.trials
    assert not any(trial.fits for trial in found.trials)


@pytest.mark.slow
def test_eight_devices_share_out_the_state_and_exchange_it() -> None:
    whole, split = (planned(f"--mesh={mesh}", devices=8) for mesh in ("data=8", "data=4,fsdp=2"))
    assert (whole["mesh"], split["mesh"]) == ({"data": 8}, {"data": 4, "fsdp": 2})
    assert 0 < split["needs"][0]["arguments"] < whole["needs"][0]["arguments"]
    assert whole["needs"][0]["flops"] == split["needs"][0]["flops"]
    kinds = [{each["kind"]: each for each in found["needs"][0]["exchanges"]} for found in (whole, split)]
    assert kinds[0].keys() == {"all-reduce"}
    assert kinds[1].keys() == {"all-reduce", "all-gather"}
    assert kinds[1]["all-gather"]["sent"] == kinds[1]["all-gather"]["bytes"] / 2  # of pairs


def test_the_command_prints_what_it_knows_and_that_the_data_are_unknown(
    capsys: pytest.CaptureFixture[str],
) -> None:
    flags = ["--config.data.image_size=32", "--config.model.width=4", "--config.train.batch_size=8"]
    flags += ["--config.train.eval_batch_size=8"]
    assert main(["plan", "--config=configs/imagenet_resnet.py:18", *flags]) == 0
    printed = capsys.readouterr()
    assert "imagenet_resnet 18 on cpu, mesh data=1" in printed.out
    assert "\nfits\nImages come to each device as they are needed: " in printed.out
    assert "images/s of all devices, by that" in printed.out
    assert "compiling for cpu: training\nevaluation\n" in printed.err


def test_programs_for_another_platform_have_its_form(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("RESJAX_CPU_TUNING", raising=False)
    assert backend.favours_cpu()
    assert Loop().dispatch(1e12) == 1
    with backend.compiling_for("tpu"):
        assert not backend.favours_cpu()
        assert backend.compiler_options() is None
        assert Loop().dispatch(1e12) == LONGEST
    assert backend.favours_cpu()


@pytest.mark.golden
def test_a_topology_that_cannot_be_is_refused(golden: Callable[[str, str], None]) -> None:
    messages = {
        name: refused(UserError, lambda name=name: topology.find(name), f"--topology is '{name}'")
        for name in ("v5e", "v5e:8", "v5e:0x4", "v5:2x4", "h100:2x4")
    }
    golden("messages/topologies.txt", transcript(messages))


def test_a_batch_that_the_devices_cannot_share_out_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    refuse(capsys, "plan", "--config", write(tmp_path), "--mesh=data=2", names="--mesh data=2")


@pytest.mark.skipif(LIBTPU, reason="libtpu is installed")
def test_without_libtpu_the_extra_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    refuse(capsys, "plan", "--config", write(tmp_path), "--topology=v5e:2x4", names="resjax[tpu]")


@pytest.mark.slow  # as all that needs libtpu
@pytest.mark.skipif(not LIBTPU, reason="libtpu is not installed: pip install 'resjax[tpu]'")
@pytest.mark.parametrize("name", ["v5e:3x5", "v6e:2x3"])
def test_a_shape_that_libtpu_refuses_or_a_batch_that_a_slice_cannot_share_out_is_told(
    name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    refuse(capsys, "plan", "--config", write(tmp_path), "--topology", name, names=f"--topology is '{name}'")
    refuse(capsys, "plan", "--config", write(tmp_path), "--topology=v5e:2x4", names="batch_size")


@pytest.mark.slow
@pytest.mark.skipif(not LIBTPU, reason="libtpu is not installed: pip install 'resjax[tpu]'")
@pytest.mark.parametrize("name", ["v4:2x2x1", "v5p:2x2x1", "v6e:2x4"])
def test_every_generation_is_compiled_for(name: str) -> None:
    found = planned(f"--topology={name}", "--config.model.depth=20")  # v6e: deeper than 8 MiB of stack
    assert found["verdict"] == "fits"
    assert found["target"]["name"] == name


@pytest.mark.slow
@pytest.mark.skipif(not LIBTPU, reason="libtpu is not installed: pip install 'resjax[tpu]'")
def test_a_slice_that_is_not_there_is_compiled_for() -> None:
    whole, split = (planned("--topology=v5e:2x4", f"--mesh={mesh}") for mesh in ("data=8", "data=4,fsdp=2"))
    for found in (whole, split):
        train = found["needs"][0]
        assert found["verdict"] == "fits"
        assert train["peak"] > train["arguments"] > 0
        assert train["counted_flops"] > train["flops"] / 2
        assert train["bounds"].keys() == {"compute", "memory", "interconnect"}
    assert split["needs"][0]["arguments"] < whole["needs"][0]["arguments"]
    assert "all-gather" in {each["kind"] for each in split["needs"][0]["exchanges"]}
