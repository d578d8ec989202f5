"""The command `resjax probe`: what it writes is what it measured, and what it refuses."""

import csv
import json
import re
from pathlib import Path

import pytest

from resjax import usage
from resjax.__main__ import main
from resjax.config import Config
from resjax.loop import Watch
from resjax.probes import findings
from resjax.probes.findings import Finding, Point, Quantity, Report
from resjax.probes.registry import PROBES
from resjax.schema import Section
from resjax.training import train
from resjax.watching import CHEAP

CONFIG = """
from ml_collections import ConfigDict

def get_config(depth="4"):
    config = ConfigDict()
    config.data = dict(name="digits")
    config.model = dict(name="residual_mlp", depth=int(depth), width=8)
    config.schedule = dict(name="constant", unit="steps", length=2, learning_rate=0.1)
    return config
"""


@pytest.fixture
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "config.py").write_text(CONFIG)
    return Path("config.py")


def run(*arguments: str) -> int:
    return main(["probe", "gradients", "--probe.examples=16", "--quiet", *arguments])


def test_configs_and_runs_are_overlaid(
    file: Path, finished: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "run").symlink_to(finished)
    nets = ["residual=config.py:6", "plain=config.py:6 --config.model.skip=False", "trained=run"]
    assert run("--compare", *nets, "--seeds", "2", "--out", "out") == 0
    printed = capsys.readouterr().out
    report = findings.read(Path("out/gradients.json"))
    assert report.labels == ["residual", "plain", "trained"]
    assert [(each.seed, each.step) for each in report.findings] == [(0, 0), (1, 0), (0, 0), (1, 0), (0, 12)]
    assert [each.config["model"]["skip"] for each in report.findings[1:3]] == [True, False]
    curve = report.curve("plain", "parameters", "main")
    values = [each.points[0].value for each in report.findings if each.label == "plain"]
    assert report.findings[2].points[0].name == "stem" == curve[0][1]
    assert min(values) < report.curve("plain", "activations", "main")[0][2].mean < max(values)
    assert re.search(rf"^plain +parameters +main +2 +{curve[0][2].mean:.3g} ", printed, re.MULTILINE)
    for suffix in ("png", "pdf", "csv"):
        assert Path(f"out/gradients.{suffix}").stat().st_size > 1_000


def test_a_report_is_read_as_it_was_saved(tmp_path: Path) -> None:
    points = (Point("size", "a, b", 1, "stem", 0.1), Point("size", "a, b", 2.5, "main", 1e-30))
    quantity = Quantity(name="size", title="t", x_label="x", y_label="y", log=True)
    report = Report("p", "title", "what", (quantity,), {"k": 1}, (Finding("arm", 3, 7, {"seed": 3}, points),))
    findings.save(report, tmp_path / "deep" / "p")
    assert findings.read(tmp_path / "deep" / "p.json") == report
    with (tmp_path / "deep" / "p.csv").open() as lines:
        rows = list(csv.DictReader(lines))
    assert [(row["line"], float(row["x"]), float(row["value"])) for row in rows] == [
        ("a, b", 1.0, 0.1), ("a, b", 2.5, 1e-30)
    ]  # fmt: skip
    saved = json.loads((tmp_path / "deep" / "p.json").read_text())
    assert {"versions", "device", "commit"} <= saved.keys()


def test_what_is_not_finite_is_kept_and_not_averaged() -> None:
    quantity = Quantity(name="size", title="t", x_label="x", y_label="y")
    seeds = [
        Finding("arm", seed, 0, {}, (Point("size", "", 1, "a", value),))
        for seed, value in enumerate((1.0, 3.0, float("inf")))
    ]
    report = Report("p", "title", "what", (quantity,), {}, tuple(seeds))
    ((_, _, found),) = report.curve("arm", "size", "")
    assert (found.n, found.mean) == (2, 2.0)


def test_many_lines_are_thinned_to_the_first_two_and_even_others() -> None:
    assert findings.chosen(list("abcd")) == list("abcd")
    assert findings.chosen(list("abcdefghij")) == ["a", "b", "g", "j"]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["gradient", "--config", "config.py"], "'gradient' is not a probe; did you mean 'gradients'"),
        (["gradients"], "needs --config FILE, --workdir DIR or --compare"),
        (["gradients", "--config", "config.py", "--seeds", "0"], "--seeds is 0; it must be at least 1"),
        (
            ["gradients", "--config", "config.py", "--probe.examples=0"],
            "examples is 0; it must be at least 1",
        ),
        (["gradients", "--config", "config.py", "--probe.examples=x"], "it must be a whole number"),
        (["gradients", "--config", "config.py", "--probe.exmples=3"], "did you mean 'examples'"),
        (["gradients", "--config", "config.py", "--probe.examples"], "they look like --probe.examples=256"),
        (["gradients", "--config", "nowhere.py"], "nowhere.py"),
        (["gradients", "--workdir", "nowhere"], "holds no run"),
        (["gradients", "--compare", "a=nowhere"], "holds no run"),
        (["gradients", "--compare", "a= "], "names no config and no run"),
        (["lesion", "--config", "config.py"], "the probe lesion asks for a trained net"),
    ],
)
def test_bad_input_gets_one_sentence(
    arguments: list[str], said: str, file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["probe", *arguments, "--quiet"]) == 2
    told = capsys.readouterr().err
    assert told.startswith("resjax: ")
    assert told.count("\n") == 1
    assert said in told
    assert not Path("probes").exists()


@pytest.mark.slow
def test_a_run_has_its_own_config(
    file: Path, tiny: Config, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    train(tiny, tmp_path / "run")
    assert run("--workdir", "run", "--config.model.depth=8") == 2
    assert "leave out --config.model.depth=8" in capsys.readouterr().err
    assert run("--workdir", "run", "--checkpoint", "5") == 2
    assert "5" in capsys.readouterr().err
    assert run("--workdir", "run") == 0
    assert Path("run/probes/gradients.json").exists()


def test_the_help_names_every_probe_with_its_settings_and_training_the_cheap_ones() -> None:
    told = re.findall(r"^  ([a-z-]+)  .*\n {19}(.*)$", usage.PROBE, re.MULTILINE)
    for (name, settings), known in zip(told, PROBES, strict=True):
        assert name == known
        own = Section(PROBES[name].measure).keys(None)
        assert settings == " ".join(f"{key}={default}" for key, (_, default) in own.items())
    assert set(Section(Watch).keys(None)["name"][0].__args__) == set(CHEAP) <= set(PROBES)


def test_every_probe_defines_its_numbers_and_names_its_source() -> None:
    for name, probe in PROBES.items():
        assert re.search(r"\(\d{4}\.\d{4,5}\)|20\d\d", probe.measure.__doc__ or ""), name
        assert all(quantity.x_label and quantity.y_label for quantity in probe.quantities), name
