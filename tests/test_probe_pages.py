"""The pages made of probes say what the committed numbers say."""

import json
from pathlib import Path

import pytest

from experiments import gradient_paths as paths
from experiments import he2015_figure7 as figure7
from resjax.budget import FULL
from resjax.probes import findings
from resjax.probes.findings import Finding, Point, Report
from resjax.probes.gradients import QUANTITIES, TOTAL
from resjax.probes.registry import PROBES

ROOT = Path(__file__).parent.parent


def finding(*points: tuple[str, str, float]) -> Finding:
    numbered = enumerate(points, 1)
    return Finding(
        "a", 0, 0, {}, tuple(Point(kind, line, x, str(x), value) for x, (kind, line, value) in numbered)
    )


def test_what_is_followed_is_the_weighted_sum_where_there_are_heads() -> None:
    alone = finding(("activations", "main", 8.0), ("activations", "main", 4.0), ("parameters", "main", 1.0))
    headed = finding(("activations", "main", 8.0), ("activations", TOTAL, 6.0), ("activations", "early", 1.0))
    report = Report("gradients", "", "", QUANTITIES, {}, (alone, headed))
    values = [[point.value for point in each.points] for each in paths.followed(report).findings]
    assert values == [[8.0, 4.0], [6.0]]


def test_the_ratio_is_of_the_first_block_s_input_and_the_last_one_s_output() -> None:
    own = finding(*(("activations", "main", value) for value in (12.0, 6.0, 3.0, 1.0)))
    report = Report("gradients", "", "", QUANTITIES, {}, (own,))
    found = paths.ratios({f"gradients-start-{depth}": report for depth in paths.DEPTHS}, "start")
    curve = found.curve("a", "ratio", "")
    assert [(x, each.mean) for x, _, each in curve] == [(depth, 4.0) for depth in paths.DEPTHS]


def test_the_committed_page_is_rendered_from_the_committed_numbers(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for file in paths.RESULTS.glob("*.json"):
        (tmp_path / file.name).write_bytes(file.read_bytes())
    drawn = []
    monkeypatch.setattr(paths, "_overview", lambda reports, stem: drawn.append(stem))
    for probe in PROBES.values():
        monkeypatch.setitem(vars(probe), "draw", lambda report, stem: drawn.append(stem))
    paths.publish(tmp_path)
    page = f"{paths.NAME}.md"
    assert (tmp_path / page).read_text() == (paths.RESULTS / page).read_text()
    assert all((paths.RESULTS / f"{stem.name}.png").exists() for stem in drawn)
    assert json.loads((paths.RESULTS / paths.COST).read_text())["minutes"] < 15


def test_every_committed_report_is_of_all_arms_and_seeds() -> None:
    for kind, when in paths.MEASURED:
        for depth in paths.DEPTHS:
            report = findings.read(paths.RESULTS / f"{kind}-{when}-{depth}.json")
            assert report.labels == list(paths.ARMS)
            assert {report.seeds(label) for label in report.labels} == {paths.SEEDS}
            assert all(each.config["model"]["depth"] == depth for each in report.findings)


PAGES = sorted((paths.RESULTS.parent / figure7.NAME).rglob("*.md"))


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.parent.name)
def test_figure_7_is_of_its_numbers_and_says_where_runs_were_shortened(page: Path) -> None:
    share = page.parent.name.removeprefix("budget-")
    budget = FULL if share == figure7.NAME else float(share)
    report = findings.read(page.with_suffix(".json"))
    assert page.read_text() == figure7.page(report, budget)
    assert ("Shortened runs" in page.read_text()) == (budget < FULL)
    assert set(report.labels) <= set(figure7.NETS)


def test_figure_7_without_runs_is_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ["--workdir", str(tmp_path / "runs"), "--results", str(tmp_path / "out")]
    assert figure7.main(arguments) == 2
    assert "resjax table experiments/he2015_table6.py" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("kind", ["pixels-start", "rows-start", "rows-end"])
def test_the_readme_s_gradients_through_time_are_the_committed_ones(kind: str) -> None:
    """The share of the first step, of nets with skips and without; in a GRU by pixels there is none."""
    path = f"experiments/results/through_time/{kind}/through-time.json"
    report = findings.read(ROOT / path)
    _, _, text = (ROOT / "README.md").read_text().partition("What skips do through time")
    at, rows = text.index(path), text.index("28 rows")
    said = text[at:rows] if kind == "pixels-start" else text[rows:at]
    first = {label: report.curve(label, "share", "")[-1] for label in report.labels}
    steps = max(x for x, *_ in first.values())
    for label in ("delay 5", "delay 9", "delay 21", "tanh", *(["LSTM"] if steps > 28 else [])):
        x, _, found = first[label]
        assert x == steps
        assert f" {found.mean:.2g}" in " ".join(said.split()), label
    assert (first["GRU"][0] < steps) == (kind == "pixels-start")
    if kind == "rows-start":  # between two skips, the gradient is least
        for label in ("delay 21", "tanh"):
            (found,) = (each.mean for x, _, each in report.curve(label, "share", "") if x == 20)
            assert f" {found:.2g}" in " ".join(text.split())
    assert first["tanh"][2].n == (1 if kind == "pixels-start" else 3)
