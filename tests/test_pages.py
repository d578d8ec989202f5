"""The pages of benchmarks whose sides take no turns: each is of its record, and says what it should."""

import json
import re
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from experiments.benchmarks import memory, numerics, page, startup, watching
from resjax import forecast
from resjax.preflight import Plan

ROOT = Path(__file__).parent.parent
RESULTS = ROOT / "experiments" / "results" / "benchmarks"
PAGES = [memory, numerics, startup, watching]
ORIGIN: dict[str, Any] = {
    "versions": {"jax": "1", "flax": "2", "python": "3"},
    "device": {"kind": "abacus", "platform": "cpu"},
    "cpu_count": 2,
    "commit": "c0ffee",
    "date": "2026-01-01",
}


@pytest.mark.parametrize("module", PAGES, ids=lambda module: module.__name__.rpartition(".")[2])
def test_what_is_committed_is_rendered_from_the_committed_record(module: ModuleType) -> None:
    if not module.PATH.exists():
        pytest.skip("there is no record")
    record = json.loads(module.PATH.read_text())
    assert module.PATH.with_suffix(".md").read_text() == module.markdown(record)
    assert record["commit"]
    assert not record["commit"].endswith("+")


def test_a_page_can_be_rendered_anew_without_measuring(tmp_path: Path) -> None:
    path = tmp_path / "new" / "page.json"
    page.publish(path, lambda: {"seen": 7}, lambda record: f"seen {record['seen']}", [])
    path.with_suffix(".md").unlink()
    page.publish(path, lambda: pytest.fail("measured"), lambda record: f"seen {record['seen']}", ["--render"])
    assert path.with_suffix(".md").read_text() == "seen 7"


def test_the_readme_s_rows_are_those_of_the_pages() -> None:
    _, _, benchmarks = (ROOT / "README.md").read_text().partition("## Benchmarks")
    shown = [line for line in benchmarks.partition("\n## ")[0].splitlines() if line.startswith("|")]
    race = RESULTS.parent / "time_to_accuracy" / "time_to_accuracy.md"
    pages = [path.read_text().splitlines() for path in (*RESULTS.glob("*.md"), race)]
    assert len(shown) > 15
    assert set(shown) <= {line for lines in pages for line in lines}


PLANS = sorted((RESULTS.parent / "preflight").glob("*.json"))
PLANS_TOLD = [
    path for name in ("resnet50", "resnet1001", "resnet1001_norms") for path in PLANS if path.stem == name
]


@pytest.mark.parametrize("path", PLANS, ids=lambda path: path.stem)
def test_a_recorded_plan_is_as_it_is_printed_today(path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    command, _, printed = path.with_suffix(".txt").read_text().partition("\n")
    record = json.loads(path.read_text())
    readme = (ROOT / "README.md").read_text()
    assert all(word in readme for word in command.removeprefix("$ ").split())
    assert record["verdict"] in printed
    forecast.show(Plan.from_dict(record), as_json=False)
    assert capsys.readouterr().out == printed


def test_the_readme_s_plans_are_the_recorded_ones() -> None:
    readme = (ROOT / "README.md").read_text()
    whole, without, norms = (path.with_suffix(".txt").read_text() for path in PLANS_TOLD)
    assert whole.partition("\n")[2].strip() in readme
    told = readme.partition("ResNet-1001")[2]
    verdicts = [line for line in without.splitlines() if line.startswith(("does not fit", "checked"))]
    assert len(verdicts) == 5
    assert "\n".join(verdicts) in told
    for text in (without, norms):
        peak = re.findall(r"│ peak +│ +([\d,.]+ MiB)", text)
        assert len(peak) == 1
        assert peak[0] in told


def test_memory_has_every_net_with_every_policy() -> None:
    record = json.loads(memory.PATH.read_text())
    assert {(row["net"], row["remat"]) for row in record["rows"]} == {
        (net, policy) for net in memory.NETS for policy in memory.POLICIES
    }


@pytest.mark.slow
def test_what_is_computed_anew_is_not_kept() -> None:
    def temporaries(policy: str) -> int:
        found = memory.plan(38, {"model.width": 2, "train.remat": policy, "train.scan_from": 2})
        assert found["loop"] == 5
        return found["temporary_bytes"]

    none, norms, units = (temporaries(policy) for policy in memory.POLICIES)
    assert units < norms < none


def test_start_up_shows_the_fastest_the_median_and_the_slowest() -> None:
    record = {"seconds": {"first step": [5.0, 3.0, 4.5]}, "probes": [100.2, 200.4], **ORIGIN}
    text = startup.markdown(record)
    assert "| first step | 3.00 | 4.50 | 5.00 | 3 |" in text
    assert "ran at 100 to 200 GFLOP/s" in text


def test_help_and_the_start_of_a_process_are_measured() -> None:
    assert 0 < startup.help_seconds() < 30


def test_the_two_ways_to_compute_are_compared_seed_by_seed() -> None:
    accuracies = {"as it is": (0.60, 0.62, 0.64), "RESJAX_CPU_TUNING=0": (0.61, 0.62, 0.63)}
    runs = [
        {"arm": arm, "seed": seed, "accuracy": accuracy, "seconds": 10.0 + seed}
        for arm, found in accuracies.items()
        for seed, accuracy in enumerate(found)
    ]
    text = numerics.markdown({"runs": runs, **ORIGIN})
    assert "| as it is | 62.00 ± 2.00 | 3 |" in text
    assert "| RESJAX_CPU_TUNING=0 | 62.00 ± 1.00 | 3 |" in text
    assert "is +0.00 points (95 % interval -2.48 to\n+2.48)" in text  # 4.303 * 1 / sqrt(3)


def test_the_readme_has_the_difference_that_was_measured() -> None:
    told = re.compile(r"([+-][\d.]+) points \(95 % interval ([+-][\d.]+) to\s+([+-][\d.]+)")
    page, readme = numerics.PATH.with_suffix(".md").read_text(), (ROOT / "README.md").read_text()
    (found,) = told.findall(page)
    assert found in told.findall(readme)


def test_probes_in_training_cost_less_than_a_twentieth() -> None:
    record = json.loads(watching.PATH.read_text())
    every = watching.watch("gradients").every
    for name in {each["probe"] for each in record["rounds"]}:
        own = [each["measurement"] / each["step"] for each in record["rounds"] if each["probe"] == name]
        assert len(own) == watching.ROUNDS
        assert sorted(own)[len(own) // 2] / every < 0.05
