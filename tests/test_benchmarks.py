"""The benchmarks: what counts, what is rendered, and the protocol with sides that are real processes."""

import itertools
import json
import sys
from pathlib import Path
from typing import Any
from unittest.mock import Mock

import jax
import numpy as np
import pytest

from experiments.benchmarks import benchmark, cpu, harness, render, rounds, summary, workload
from experiments.benchmarks.__main__ import BENCHMARKS, RESULTS, main
from experiments.benchmarks.benchmark import Benchmark
from experiments.benchmarks.harness import Live, Side, environment
from experiments.benchmarks.rounds import Round
from experiments.benchmarks.sides import resjax_side
from resjax import config as configs
from resjax import training
from resjax.config import Config
from resjax.errors import ResjaxError, UserError

SIDE = """
import json, sys
def say(message):
    print(json.dumps(message), flush=True)
say("first step")
say({"ready": {"platform": "cpu"}})
for line in sys.stdin:
    assert json.loads(line) == "go"
    say({"seconds": SECONDS})
"""
CANNOT = """print('{"cannot": "there is no compiler"}')"""
DIES = """import sys; sys.exit("RuntimeError: out of memory\\n\\n")"""
DIES_LATER = SIDE.replace('say({"seconds": SECONDS})', 'raise ValueError("lost its data")')


def side(name: str, code: str = SIDE, seconds: float = 0.25, needs: tuple[str, ...] = ()) -> Side:
    command = (sys.executable, "-c", code.replace("SECONDS", str(seconds)))
    return Side(name, name.title(), command, needs)


def small(*sides: Side) -> Benchmark:
    return Benchmark(
        name="small", title="Small", note="Turns of {steps} steps.", platform="cpu", ours="mine",
        baseline="theirs", images=100, prepare=lambda folder: None, sides=lambda folder, steps: sides,
    )  # fmt: skip


BOTH = small(side("mine"), side("theirs", seconds=0.5))


def record_of(bench: Benchmark, **settings: Any) -> dict[str, Any]:
    return benchmark.run(bench, wanted=2, steps=5, probe=lambda: 100.0, pause=0.0, **settings)


def round_of(probes: list[float], **seconds: float) -> Round:
    return Round(list(seconds), probes, seconds)


def test_a_round_with_one_probe_below_four_fifths_of_the_best_does_not_count() -> None:
    fine, slow, best = (round_of([low, 95.0], a=1.0) for low in (80.0, 79.9, 100.0))
    assert rounds.steady([fine, slow, best]) == [fine, best]
    assert rounds.steady([fine, slow]) == [fine, slow]  # until a better probe shows that it was slow


def test_rounds_go_on_until_enough_are_good_or_there_were_thrice_as_many() -> None:
    for probes, run, good in ([9.0, 9.0, 5.0, 9.0, 9.0, 9.0], 3, 2), (map(float, range(12)), 6, 1):
        found = rounds.run({"a": lambda: 1.0}, 2, iter(probes).__next__, pause=0.0)
        assert (len(found), len(rounds.steady(found))) == (run, good)


def test_turns_rotate_and_a_probe_stands_on_both_sides_of_each() -> None:
    said: list[str] = []
    turns: Any = {name: lambda name=name: said.append(name) or 1.0 for name in "abc"}
    rounds.run(turns, 2, lambda: said.append("|") or 9.0, pause=0.0)
    assert "".join(said) == "|a|b|c||b|c|a|"


def test_ratios_are_taken_within_rounds() -> None:
    found = [round_of([1.0], a=a, b=b) for a, b in ((1.0, 2.0), (10.0, 30.0), (2.0, 2.0))]
    assert summary.speed(found, "a", "b") == summary.Spread(2.0, 1.0, 3.0)
    assert summary.milliseconds(found, "a", 10) == 200.0


def test_a_run_leaves_a_record_from_which_table_and_figure_are_rendered(tmp_path: Path) -> None:
    record, path = record_of(BOTH), tmp_path / "small.json"
    assert record["sides"].keys() == {"mine", "theirs"} == record["rounds"][0]["seconds"].keys()
    assert (len(record["rounds"]), record["discarded"]) == (2, 0)
    assert {"versions", "device", "commit", "date", "cpu_count", "settings"} <= record.keys()
    path.write_text(json.dumps(record))
    text = render.publish(BOTH, path)
    row = next(line for line in text.splitlines() if line.startswith("| Mine |"))
    assert row.startswith("| Mine | 50 | 2,000 | 2.00 (2.00 to 2.00) | 1 | 0.")
    assert "Turns of 5 steps." in text
    assert path.with_suffix(".md").read_text() == text == render.markdown(BOTH, render.read(path))
    assert path.with_suffix(".png").stat().st_size > 5_000


def test_a_side_that_cannot_run_is_recorded_and_left_out() -> None:
    bench = small(side("mine"), side("theirs", CANNOT))
    record = record_of(bench)
    assert record["sides"]["theirs"] == {"cannot": "there is no compiler"}
    assert record["rounds"][0]["seconds"].keys() == {"mine"}
    text = render.markdown(bench, record)
    assert "Theirs did not run: there is no compiler." in text
    assert "speed, Mine = 1" in text  # the baseline is missing
    with pytest.raises(ResjaxError, match="no side can run here: there is no compiler"):
        record_of(bench, only=["theirs"])


@pytest.mark.parametrize(
    ("code", "said"),
    [
        (DIES, "the side mine ended with exit code 1: RuntimeError: out of memory"),
        (DIES_LATER, "the side mine ended with exit code 1: ValueError: lost its data"),
        ("print('\"ready\"')", "the side mine said 'ready', which the protocol does not know"),
        (SIDE.replace("cpu", "gpu"), "the side mine runs on gpu, but small is about cpu"),
    ],
)
def test_a_side_that_dies_or_says_strange_things_is_told_in_one_sentence(code: str, said: str) -> None:
    with pytest.raises(ResjaxError, match=said):
        record_of(small(side("mine", code), side("theirs")))


def test_a_side_ends_with_the_harness(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(harness, "PATIENCE", 0.2)
    with Live(side("busy", SIDE + "\nimport time; time.sleep(1000)"), tmp_path) as live:
        assert live.go() == 0.25
    assert live._process.returncode == -9
    with Live(side("idle"), tmp_path) as idle:
        assert idle.facts.keys() == {"first_step_seconds", "platform"}
    assert idle._process.returncode == 0


def test_no_setting_of_the_user_reaches_a_side(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("XLA_FLAGS", "OMP_NUM_THREADS", "JAX_COMPILATION_CACHE_DIR", "GLIBC_TUNABLES"):
        monkeypatch.setenv(name, "1")
    own = {"XDG_CACHE_HOME", "TORCHINDUCTOR_CACHE_DIR"}
    assert environment(Path("folder")).keys() <= {*harness.KEPT, *own}


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ("cpu --rounds 0", "argument --rounds: it is '0'; give a whole number above 0"),
        ("cpu --only ,", "argument --only: it names no side"),
        ("cpu --only flaks", "--only: 'flaks' is not a side of cpu; did you mean 'flax'?"),
        ("gpu", "invalid choice: 'gpu'"),
        ("", "required: BENCHMARK"),
        ("cpu --render --results nowhere", "there is no record nowhere/cpu.json"),
    ],
)
def test_bad_arguments_are_told(arguments: str, said: str, capsys: pytest.CaptureFixture[str]) -> None:
    try:
        code = main(arguments.split())
    except SystemExit as exited:
        code = exited.code
    told = capsys.readouterr().err
    assert (code, told.count("\n")) == (2, 1)
    assert told.startswith("resjax: ")
    assert said in told


def test_a_missing_package_is_told_with_its_extra() -> None:
    bench = small(side("mine"), side("theirs", needs=("no_such_package",)))
    with pytest.raises(UserError, match=r"theirs needs no_such_package.*pip install 'resjax\[bench\]'"):
        record_of(bench)
    assert [each.name for each in bench.choose(["mine"], Path(), 1)] == ["mine"]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("{", r"small\.json is damaged"),
        ('{"rounds": [{"order": []}]}', r"small\.json is damaged"),
        ('{"rounds": [{"order": [], "probes": [1, 9], "seconds": {}}]}', "never steady in 1 rounds"),
    ],
)
def test_a_record_that_cannot_be_rendered_is_told(text: str, said: str, tmp_path: Path) -> None:
    (tmp_path / "small.json").write_text(text)
    with pytest.raises(ResjaxError, match=said):
        render.publish(BOTH, tmp_path / "small.json")


def test_resjax_s_side_stops_the_real_loop_where_it_logs(tmp_path: Path, tiny: Config) -> None:
    channel = Mock()
    channel.wait.side_effect = [None, None, SystemExit]  # the harness says go twice, and goes away
    settings = {"train.eval_every": 1e6, "train.steps_per_dispatch": 1, "schedule.length": 1000}
    config = configs.override(tiny, [f"--config.{key}={value}" for key, value in settings.items()])
    with pytest.raises(SystemExit):
        training.train(config, tmp_path, resjax_side.PausingDisplay(channel, 3, dict))
    told = [call.args[0] for call in channel.tell.call_args_list]
    assert told[0] == "first step"
    assert [list(each) for each in told[1:]] == [["ready"], ["seconds"], ["seconds"]]
    logged = [json.loads(line)["step"] for line in (tmp_path / "metrics.jsonl").read_text().splitlines()]
    assert logged == [3, 6, 9]


def test_the_peers_train_what_the_config_says(root: Path) -> None:
    config = configs.load(f"{root}/configs/cifar10_resnet.py:{workload.DEPTH}")
    optim, model = config.optim, config.model
    assert (config.train.batch_size, config.schedule.learning_rate) == (workload.BATCH, workload.RATE)
    assert (optim.momentum, optim.weight_decay, optim.decay) == (workload.MOMENTUM, workload.DECAY, "kernels")
    assert (model.shortcut, model.width, config.input.pad) == ("A", workload.WIDTHS[0], workload.PAD)


def test_flax_s_net_is_of_resnet_20_s_size_and_takes_its_step() -> None:
    from experiments.benchmarks.sides import flax_side

    state = jax.eval_shape(flax_side.first_state)
    assert sum(int(np.prod(leaf.shape)) for leaf in jax.tree.leaves(state.params)) == 269_722
    images, labels = np.zeros((256, 32, 32, 3), np.uint8), np.zeros(256, np.int32)
    mean, index = np.zeros((1, 32, 32, 3), np.float32), labels[: workload.BATCH]
    new = jax.eval_shape(flax_side.train_step, state, index, images, labels, mean, jax.random.key(0))
    assert jax.tree.map(np.shape, new.params) == jax.tree.map(np.shape, state.params)


def test_torch_s_net_is_of_resnet_20_s_size() -> None:
    torch = pytest.importorskip("torch")
    from experiments.benchmarks.sides import torch_side

    net = torch_side.resnet()
    assert sum(each.numel() for each in net.parameters()) == 269_722
    images = torch.arange(2 * 3 * 32 * 32.0).view(2, 3, 32, 32)
    crops = torch_side.augment(images)
    assert crops.shape == images.shape
    assert set(crops.flatten().tolist()) <= {0.0, *images.flatten().tolist()}


def test_the_images_are_read_as_resjax_reads_them(tmp_path: Path) -> None:
    from resjax.data import sources

    cpu.BENCHMARK.prepare(tmp_path)
    images, labels, mean = workload.read_images(str(tmp_path / "images"))
    found = sources.load(name=f"npz:{tmp_path / 'images'}")
    np.testing.assert_array_equal(found.train.images, images)
    np.testing.assert_array_equal(found.train.labels, labels)
    assert (found.classes, mean.shape) == (workload.CLASSES, (1, *found.image_shape))
    epoch = itertools.islice(workload.batches(len(images)), len(images) // workload.BATCH)
    assert sorted(np.concatenate(list(epoch))) == list(range(len(images)))


@pytest.mark.parametrize("path", [p for n in BENCHMARKS if (p := RESULTS / f"{n}.json").exists()], ids=str)
def test_what_is_committed_is_rendered_from_the_committed_record(path: Path) -> None:
    text = render.markdown(BENCHMARKS[path.stem], render.read(path))
    assert path.with_suffix(".md").read_text() == text
    assert path.with_suffix(".png").stat().st_size > 10_000
