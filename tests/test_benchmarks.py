"""The benchmarks: what counts, what is rendered, and the protocol with sides that are real processes."""

import json
import sys
from pathlib import Path
from typing import Any

import pytest

from experiments.benchmarks import benchmark, render, rounds, summary, workload
from experiments.benchmarks.__main__ import BENCHMARKS, RESULTS
from experiments.benchmarks.benchmark import Benchmark
from experiments.benchmarks.harness import Side
from experiments.benchmarks.rounds import Round
from resjax import config as configs
from resjax.errors import ResjaxError

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


def test_the_peers_train_what_the_config_says(root: Path) -> None:
    config = configs.load(f"{root}/configs/cifar10_resnet.py:{workload.DEPTH}")
    optim, model = config.optim, config.model
    assert (config.train.batch_size, config.schedule.learning_rate) == (workload.BATCH, workload.RATE)
    assert (optim.momentum, optim.weight_decay, optim.decay) == (workload.MOMENTUM, workload.DECAY, "kernels")
    assert (model.shortcut, model.width, config.input.pad) == ("A", workload.WIDTHS[0], workload.PAD)


@pytest.mark.results
@pytest.mark.parametrize("path", [p for n in BENCHMARKS if (p := RESULTS / f"{n}.json").exists()], ids=str)
def test_what_is_committed_is_rendered_from_the_committed_record(path: Path) -> None:
    text = render.markdown(BENCHMARKS[path.stem], render.read(path))
    assert path.with_suffix(".md").read_text() == text
    assert path.with_suffix(".png").stat().st_size > 10_000
