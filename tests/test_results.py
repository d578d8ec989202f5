"""What is rendered and committed is what the committed records say; so are the README's numbers."""

import functools
import re
import statistics
import warnings
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from PIL import Image

from experiments import segmentation, skips_through_time
from resjax import catalogue, figure, records, render
from resjax import table as tables
from resjax.budget import FULL

ROOT = Path(__file__).parent.parent
RESULTS = ROOT / "experiments" / "results"
README = ROOT / "README.md"
GRIDS = ("skip_heads_pretraining", "skip_heads_pretraining_mnist", "skip_heads_pretraining_mnist_conv")
TABLES = {tables.load(each).name for each in catalogue.specs(ROOT / "experiments")}
RENDERED = [
    path for path in sorted(RESULTS.glob("*/*.md")) if path.stem == path.parent.name and path.stem in TABLES
]


def spec(markdown: Path) -> str:
    """-> the table's file, and behind a colon its argument: the rest of the table's name."""
    files = [file for file in (ROOT / "experiments").glob("*.py") if markdown.stem.startswith(file.stem)]
    file = max(files, key=lambda file: len(file.stem))
    argument = markdown.stem.removeprefix(file.stem).removeprefix("_")
    return f"{file}:{argument}" if argument else str(file)


@functools.cache
def recorded(markdown: Path) -> tuple[tables.Table, records.Records]:
    table, (file, _) = tables.load(spec(markdown)), tables.split(spec(markdown))
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # a record that is damaged, or of another config
        return table, records.read_all(list(tables.cells(table, file)), markdown.parent)


@pytest.mark.results
@pytest.mark.parametrize("path", RENDERED, ids=lambda path: path.stem)
def test_committed_tables_are_rendered_from_the_committed_records(path: Path) -> None:
    table, found = recorded(path)
    expected = render.render(table, found)
    assert path.read_text() == expected.markdown
    assert path.with_suffix(".csv").read_text() == expected.csv
    assert path.with_suffix(".tex").read_text() == expected.latex
    assert "-0.00 " not in expected.markdown  # a difference of nothing has no sign but plus
    assert ("![" in expected.markdown) == path.with_suffix(".png").exists() == bool(found)
    if found:
        with Image.open(path.with_suffix(".png")) as picture:
            assert picture.info["Description"] == figure.origin(table, found)


OWN = [path for path in RENDERED if not tables.load(spec(path)).compares]


@pytest.mark.results
@pytest.mark.parametrize("path", OWN, ids=lambda path: path.stem)
def test_every_cell_of_a_table_of_ours_that_is_done_has_a_record_of_its_present_config(path: Path) -> None:
    if f"[done](experiments/results/{path.stem}/{path.name})" in README.read_text():
        table, (file, _) = tables.load(spec(path)), tables.split(spec(path))
        for cell in tables.cells(table, file):
            assert records.is_recorded(cell, path.parent, FULL), cell.record_name


def test_every_table_with_published_numbers_is_rendered() -> None:
    specs = catalogue.specs(ROOT / "experiments")
    names = {table.name for each in specs if (table := tables.load(each)).compares}
    assert names <= {path.stem for path in RENDERED}


def test_the_readme_leads_to_every_table() -> None:
    files = {Path(each.partition(":")[0]).name for each in catalogue.specs(ROOT / "experiments")}
    named = set(re.findall(r"\]\(experiments/(\w+\.py)\)", README.read_text()))
    assert len(files) > 15
    assert files <= named


def rows(markdown: Path) -> list[str]:
    return [line for line in markdown.read_text().splitlines() if re.match(r"\| (plain|residual) ", line)]


def test_the_readme_s_rows_are_the_quickstart_s_and_the_grids() -> None:
    quickstart, *grids = (rows(RESULTS / name / f"{name}.md") for name in ("quickstart", *GRIDS))
    shown = rows(README)
    assert shown[: len(quickstart)] == quickstart
    assert len(quickstart) > 10
    accuracies = [dict(cells(row)[:2] for row in grid) for grid in grids]
    summary = [cells(row) for row in shown[len(quickstart) :] if " - " not in row]
    assert len(summary) == 12
    for label, *found in summary:
        assert found == [grid[label] for grid in accuracies]
    contrasts = {row for row in shown[len(quickstart) :] if " - " in row}
    assert len(contrasts) > 5
    assert contrasts <= set(grids[0])


def test_the_readme_s_contrasts_of_families_are_those_of_their_tables() -> None:
    line = r"^\| \[(\w+)\]\(experiments/results/\1/\1\.md\) \| (.* - .*) \|$"
    shown = re.findall(line, README.read_text(), re.MULTILINE)
    assert len(shown) > 10
    for name, text in shown:
        contrast, *numbers = text.split(" | ")
        lines = (RESULTS / name / f"{name}.md").read_text().splitlines()
        found = {label: rest for label, *rest in map(cells, lines)}
        treated, control = contrast.split(" - ")
        assert numbers == [found[treated][0], found[control][0], *found[contrast][:2]]


def cells(row: str) -> list[str]:
    return [cell.strip() for cell in row.strip("|").split("|")]


def state(markdown: Path) -> str:
    """-> "2 of 10", with shortened runs "2 of 10; 4 at 5 %"; "done" of a table of ours that is."""
    table, found = recorded(markdown)
    wanted = len(table.rows) * len(table.seeds)
    if markdown in OWN and len(found.full) == wanted:
        return "done"
    shortened = [f"; {len(each)} at {100 * share:g} %" for share, each in found.shortened.items()]
    return f"{len(found.full)} of {wanted}" + "".join(shortened)


@pytest.mark.results
def test_the_readme_says_of_each_table_what_is_recorded() -> None:
    found = re.findall(
        r"\| \[([^]]*)\]\(experiments/results/(\w+)/\w+\.md\) \|$", README.read_text(), re.MULTILINE
    )
    assert {name: text for text, name in found} == {path.stem: state(path) for path in RENDERED}


@pytest.mark.results
@pytest.mark.parametrize(("choose", "best"), [(skips_through_time, min), (segmentation, max)])
def test_chosen_rates_are_those_that_the_records_choose(choose: ModuleType, best: Any) -> None:
    """No record, no choice; a rate that stands in the table without one would be invented."""
    table, found = choose.rates_table(), {}
    file = Path(str(choose.__file__))
    full = records.read_all(list(tables.cells(table, file)), table.results(file)).full
    for row in table.rows:
        if values := render.values(table, full, row.label).values():
            found.setdefault(row.line, {})[row.x] = statistics.mean(values)
    assert {arm: best(rates, key=rates.get) for arm, rates in found.items()} == choose.CHOSEN


@pytest.mark.results
def test_no_record_names_a_folder_of_the_machine_it_came_from() -> None:
    for path in RESULTS.rglob("*.json"):
        assert not re.search(r'"[^"]*(?<![\w.])/(home|root|tmp|work|Users)/', path.read_text()), path.name
