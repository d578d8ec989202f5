"""What is said of rows: by records that were written here, for nothing of it needs a run."""

import json
import re
from pathlib import Path
from typing import Any

import pytest
from small_table import write

from resjax import catalogue, config, figure, legend, render, verdicts
from resjax import table as tables
from resjax.cells import Cell
from resjax.records import Records, read_all
from resjax.table import Published, Row, Table

COMMON = {"versions": {}, "device": {}, "seconds": 1.0}


def run(label: str, seed: int, error: float | None) -> dict[str, Any]:
    """-> a record; without an error it diverged."""
    metrics = {"metrics": {"test/accuracy": 1 - (error or 0) / 100, "train/accuracy": 0.5}}
    return {"row": label, "seed": seed, **(metrics if error is not None else {"diverged_at": 3}), **COMMON}


def table(**settings: Any) -> Table:
    """Of one row; settings are those of its published number."""
    number = Published(value=settings.pop("value", 8.0), source="An Author 2015, table 6", **settings)
    rows = (Row(label="net", config="c.py", x=1, line="a", published=number), Row(label="b", config="c.py"))
    return Table(name="t", title="A table", rows=rows, seeds=(0, 1, 2), report="error", note="A note.")


@pytest.mark.parametrize(
    ("errors", "settings", "verdict"),
    [
        ((7.5, 8.0, 8.5), {}, "too few runs to tell"),
        ((8.0, 8.0, 8.0), {}, "reproduced"),
        ((8.0, 8.0, None), {}, "some diverged"),
        ((9.0, 9.0, None), {}, "some diverged"),
        ((None, None, None), {}, "diverged"),
        ((None,), {"verified": False}, "diverged"),
        ((8.0, None), {"verified": False}, "unverified number"),
        ((8.0,), {"protocol": "10 crops"}, "other protocol"),
        ((), {"protocol": "10 crops"}, "not run"),
    ],
)
def test_what_diverged_is_not_left_out_of_a_verdict(errors, settings, verdict) -> None:
    spec = table(**settings)
    found = Records([run("net", seed, error) for seed, error in enumerate(errors)], {})
    assert verdicts.verdict(spec, found, spec.rows[0]) == verdict


def test_a_terminal_shows_the_sources_and_the_note_of_the_page() -> None:
    shown = render.render(table(), Records([run("net", 0, 8.0)], {}))
    for text in (shown.text, shown.markdown):
        assert "A note." in text
        assert "- An Author 2015, table 6: net" in text
    assert "while learning, with what augmentation and dropout the recipe has" in shown.markdown


def test_a_page_says_how_a_best_of_k_a_bound_and_another_protocol_are_taken() -> None:
    pages = [
        render.render(table(**settings), Records([], {})).markdown
        for settings in ({"statistic": "best", "runs": 5}, {"above": True}, {"protocol": "10 crops"})
    ]
    told = ("what the best of k runs", "lies above it", "shown and not judged")
    assert [[said in page for said in told] for page in pages] == [
        [True, False, False], [False, True, False], [False, False, True]
    ]  # fmt: skip


def test_every_table_of_shortened_runs_says_so_in_latex_too() -> None:
    text = render.render(table(), Records([], {0.02: [run("net", 0, 8.0)]})).latex
    full, shortened = text.split(r"\end{tabular}")[:2]
    row = r"\multicolumn{6}{l}{\emph{Shortened runs: 2 \% of the schedule}} \\"
    assert row in shortened.splitlines()
    assert "emph" not in full
    assert {"% A note.", "% - An Author 2015, table 6: net"} <= set(full.splitlines())


@pytest.fixture
def cells(tmp_path: Path) -> list[Cell]:
    file = write(tmp_path)
    return list(tables.cells(tables.load(str(file)), file))


def save(cell: Cell, folder: Path, **changes: Any) -> None:
    record = run(cell.row.label, cell.seed, 8.0) | {"config": config.portable(cell.config)} | changes
    record = {key: value for key, value in record.items() if value is not None}
    folder.mkdir(parents=True, exist_ok=True)
    (folder / cell.record_name).write_text(json.dumps(record))


@pytest.mark.parametrize(
    ("changes", "name"),
    [
        ({"metrics": {}}, "test/accuracy, train/accuracy"),
        ({"metrics": {"test/accuracy": 0.9}}, "train/accuracy"),
        ({"metrics": 3}, "damaged"),
        ({"seconds": None}, "seconds"),
        ({"seconds": float("nan")}, "seconds"),
        ({"metrics": {"test/accuracy": float("nan"), "train/accuracy": 0.5}}, "test/accuracy"),
        ({"metrics": {"test/accuracy": 0.9, "train/accuracy": 90.0}}, "train/accuracy"),
        ({"metrics": {"test/accuracy": "high", "train/accuracy": 0.5}}, "damaged"),
        ({"row": "residual 4"}, "'residual 4'"),
        ({"seed": 1}, "seed 1"),
    ],
)
def test_a_record_with_what_cannot_be_is_named_once_and_skipped(
    cells: list[Cell], tmp_path: Path, changes: dict[str, Any], name: str
) -> None:
    for cell in cells:
        save(cell, tmp_path / "out", **(changes if cell is cells[0] else {}))
    with pytest.warns(UserWarning, match=r"plain-4-seed0\.json") as caught:
        found = read_all(cells, tmp_path / "out")
    (message,) = [str(warning.message) for warning in caught]
    assert name in message
    assert [(record["row"], record["seed"]) for record in found.full] == [
        ("plain 4", 1), ("residual 4", 0), ("residual 4", 1)
    ]  # fmt: skip


def test_a_list_says_what_is_missing_and_what_diverged(cells: list[Cell], tmp_path: Path) -> None:
    for cell in cells[:2]:
        save(cell, tmp_path / "results/small")
    save(cells[2], tmp_path / "results/small", metrics=None, diverged_at=3)
    header, _, line = catalogue.listing(tmp_path).splitlines()
    assert header.split()[1:4] == ["cells", "recorded", "missing"]
    assert re.search(r"table\.py +4 +3 \(1 diverged\) +1 +- +-$", line)


def drawn(spec: Table, records: list[dict], path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[dict, str]:
    """-> the colours of a figure's legend by their names, and its title."""
    seen: list[Any] = []

    def outside(fig: Any, axes: Any, title: str) -> None:
        pairs = [pair for axis in axes.flat for pair in zip(*axis.get_legend_handles_labels(), strict=True)]
        seen.append(({name: handle.get_color() for handle, name in pairs}, title))
        real(fig, axes, title)

    real = legend.outside
    monkeypatch.setattr(legend, "outside", outside)
    figure.figure(spec, Records(records, {}), path)
    return seen[0]


@pytest.mark.parametrize(
    ("settings", "name"),
    [
        ({}, "published"),
        ({"verified": False}, "published, unverified"),
        ({"protocol": "10 crops"}, "published, other protocol"),
        ({"above": True}, None),
    ],
)
def test_a_figure_tells_published_numbers_from_those_that_are_not_judged(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, settings: dict[str, Any], name: str | None
) -> None:
    colours, title = drawn(table(**settings), [run("net", 0, 8.0)], tmp_path / "t.png", monkeypatch)
    assert colours.keys() == {"a", *([name] if name else [])}
    assert (colours.get("published") == "black") == (name == "published")
    assert title == "1 seed"


def test_a_figure_says_how_many_seeds_each_row_has(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    curve = [{"step": 1, "test/accuracy": 0.5, "train/accuracy": 0.5}]
    rows = (Row(label="one", config="c.py"), Row(label="two", config="c.py"))
    spec = Table(name="t", title="A table", rows=rows, seeds=(0, 1))
    runs = [run(label, seed, 8.0) | {"curve": curve} for label, seed in (("one", 0), ("two", 0), ("two", 1))]
    names, title = drawn(spec, runs, tmp_path / "t.png", monkeypatch)
    assert [*names] == ["one (1)", "two (2)"]
    assert title == "mean ± std over seeds (how many)"


def test_a_figure_s_file_says_which_records_it_is_drawn_from(tmp_path: Path) -> None:
    from PIL import Image

    spec, found = table(), Records([run("net", 0, 8.0)], {})
    figure.figure(spec, found, tmp_path / "t.png")
    with Image.open(tmp_path / "t.png") as picture:
        assert picture.info["Description"] == figure.origin(spec, found)
    assert figure.origin(spec, Records([run("net", 0, 8.1)], {})) != figure.origin(spec, found)
    assert figure.origin(table(value=8.1), found) != figure.origin(spec, found)


def test_lines_that_look_alike_are_told_apart_by_panel(tmp_path: Path) -> None:
    """Colours begin anew in every panel, so that one legend for all would name a line twice."""
    from matplotlib import pyplot as plt

    for names, figures in ((("a", "b"), 0), (("a", "a"), 1)):
        fig, axes = plt.subplots(2, 2, layout="constrained")
        for axis, name in zip(axes.flat, names * 2, strict=True):
            axis.plot([0, 1], color="black", label=name)
        legend.place(fig, axes, "1 seed")
        own = [axis.get_legend() is not None for axis in axes.flat]
        assert (len(fig.legends), own) == (figures, [not figures] * 2 + [False] * 2)
        plt.close(fig)
