"""From records to a figure: accuracy against the rows' x, or where rows have none, against training steps."""

import dataclasses
import hashlib
import itertools
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from resjax import legend, stats
from resjax.budget import FULL
from resjax.published import Published
from resjax.records import Records
from resjax.rows import Record, Row, Table
from resjax.verdicts import values

# Wong's colours, distinct under the common colour deficiencies (Nature Methods 8, 441, 2011).
COLOURS = ("#D55E00", "#0072B2", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")
DASHES = ("-", "--", ":")  # of the first seven lines, the next seven, ...
PUBLISHED = {  # marker and colour
    "published": ("D", "black"),
    "published, unverified": ("D", "#999999"),
    "published, other protocol": ("s", "#999999"),
}
LEAST = 0.1  # percent; below that there are errors of training alone, in the end none


def figure(table: Table, found: Records, path: Path) -> None:
    """The table's metric and training, by panel; every seed a dot, lines are means, bands one std.

    Where there are no full runs, it shows those shortened least, says so, and leaves out published numbers,
    which are no match for them. The file's `Description` is what `origin` says.
    """
    described, title = origin(table, found), table.title
    share, records = (FULL, found.full) if found.full else next(iter(found.shortened.items()))
    ran = {record["row"] for record in records}
    if share < FULL:
        title += f"\nshortened runs: {100 * share:g} % of the schedule"
        rows = tuple(dataclasses.replace(row, published=None) for row in table.rows if row.label in ran)
        table = dataclasses.replace(table, rows=rows, contrasts=())
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot as plt

    panels = list(dict.fromkeys(row.panel for row in table.rows if row.label in ran or _is_marked(row)))
    metrics = (table.metric, table.train_metric)
    # Without panels the two metrics stand side by side, else below each other.
    shape = (2, len(panels)) if len(panels) > 1 else (1, 2)
    size = (4 * shape[1] + 2, 3.6 * shape[0] + 0.4)
    fig, axes = plt.subplots(
        *shape, figsize=size, sharey=True, sharex="col", layout="constrained", squeeze=False
    )
    places = [(metric, panel) for metric in metrics for panel in panels]
    for axis, (metric, panel) in zip(axes.flat, places, strict=True):
        _panel(axis, dataclasses.replace(table, metric=metric), panel, records)
    for axis in axes.flat:
        axis.set_ylabel(f"{_quantity(table)}, %")
        axis.label_outer()
    _scale(axes.flat[0], table)  # all share it
    legend.place(fig, axes, _seeds(_counts(table, records, table.rows)))
    fig.suptitle(title)
    fig.savefig(path, dpi=150, metadata={"Software": None, "Description": described})
    plt.close(fig)


def origin(table: Table, found: Records) -> str:
    """-> a digest of the records and the rows that a figure is drawn from: another one, another figure."""
    rows = [[row.label, row.line, row.panel, row.x, str(row.published)] for row in table.rows]
    shown = [table.title, table.metric, table.report, table.x_label, table.x_log, rows]
    text = json.dumps([shown, found.full, found.shortened], sort_keys=True)
    return f"drawn from records of SHA-256 {hashlib.sha256(text.encode()).hexdigest()}"


def _counts(table: Table, records: Sequence[Record], rows: Sequence[Row]) -> set[int]:
    """-> the numbers of seeds that rows have, but for those that did not run."""
    return {len(values(table, records, row.label)) for row in rows} - {0}


def _seeds(counts: set[int]) -> str:
    if len(counts) > 1:
        return "mean ± std over seeds (how many)"
    return "1 seed" if counts == {1} else f"mean ± std of {legend.span(counts)} seeds"


def _entry(table: Table, records: Sequence[Record], name: str, rows: Sequence[Row]) -> str:
    """-> a name in the legend, with its number of seeds where not all rows have the same."""
    mine = _counts(table, records, rows)
    return f"{name} ({legend.span(mine)})" if len(_counts(table, records, table.rows)) > 1 else name


def _scale(axis: Any, table: Table) -> None:
    """Errors fall by orders of magnitude as a net learns; at the end, or in a short run, by far less."""
    low, high = axis.get_ylim()
    if table.report == "accuracy":
        axis.set_ylim(-2, 102)
    elif _by_x(table) or high < 10 * max(low, LEAST):
        axis.set_ylim(0, None)
    else:
        axis.set_yscale("log")
        axis.set_ylim(bottom=max(axis.get_ylim()[0], LEAST))
        axis.yaxis.set_major_formatter("{x:g}")


def _quantity(table: Table) -> str:
    if table.report == "error":
        return "error"
    name = table.metric.split("/")[-1]
    return "mean IoU" if name == "iou" else name


def _by_x(table: Table) -> bool:
    return any(row.x is not None for row in table.rows)


def _panel(axis: Any, table: Table, panel: str, records: Sequence[Record]) -> None:
    rows = [row for row in table.rows if row.panel == panel]
    (_against_x if _by_x(table) else _against_steps)(axis, table, rows, records)
    split = table.metric.split("/")[0]
    name = "training" if split == "train" else split
    axis.set(title=f"{panel}, {name}" if panel else name)
    axis.grid(alpha=0.25)
    axis.spines[["top", "right"]].set_visible(False)


def _against_x(axis: Any, table: Table, rows: Sequence[Row], records: Sequence[Record]) -> None:
    lines = list(dict.fromkeys(row.line for row in table.rows if row.x is not None))
    for number, line in enumerate(lines):
        points = []
        for row in (row for row in rows if row.line == line and row.x is not None):
            found = list(values(table, records, row.label).values())
            if found:
                points.append((row.x, stats.summarize(found)))
                axis.plot([row.x] * len(found), found, "o", color=_colour(number), markersize=3.5, alpha=0.6)
        name = _entry(table, records, line, [row for row in table.rows if row.line == line])
        _band(axis, points, name, number)
    _published(axis, table, rows)
    axis.set_xlabel(table.x_label)
    places = sorted({row.x for row in rows if row.x is not None})
    if table.x_log:
        axis.set_xscale("log")
        axis.minorticks_off()
    axis.set_xticks(places, [f"{place:g}" for place in places])


def _published(axis: Any, table: Table, rows: Sequence[Row]) -> None:
    """A paper's numbers, which are of the metric and not of training."""
    if table.metric.startswith("train/"):
        return
    for name, (marker, colour) in PUBLISHED.items():
        points = [
            (row.x, row.published.value)
            for row in rows
            if row.published and _is_marked(row) and _kind(row.published) == name
        ]
        if points:
            axis.plot(*zip(*points, strict=True), marker, mfc="none", color=colour, markersize=6, label=name)


def _is_marked(row: Row) -> bool:
    """There is a published number to draw; where a paper has but a bound, there is no place for it."""
    return row.published is not None and not row.published.above and row.x is not None


def _kind(published: Published) -> str:
    if published.judged:
        return "published"
    return "published, other protocol" if published.verified else "published, unverified"


def _against_steps(axis: Any, table: Table, rows: Sequence[Row], records: Sequence[Record]) -> None:
    for number, row in enumerate(rows):
        at_step: dict[int, list[float]] = {}
        for record in (record for record in records if record["row"] == row.label):
            for step, value in curve(record, table.metric):
                at_step.setdefault(step, []).append(table.percent(value))
        points = [(step, stats.summarize(found)) for step, found in sorted(at_step.items())]
        _band(axis, points, _entry(table, records, row.label, [row]), number)
    axis.set_xlabel("training steps")
    axis.xaxis.get_major_locator().set_params(integer=True)


def curve(record: Record, metric: str) -> list[tuple[int, float]]:
    """-> (step, value) in the last phase. A report on training has the mean of the steps since the one
    before; where those are far fewer than elsewhere, as at the end, the mean is of few examples: left out.
    """
    lines = [line for line in record.get("curve", []) if metric in line and "phase" not in line]
    steps = [line["step"] for line in lines]
    spans = [after - before for before, after in itertools.pairwise(steps)]
    least = max(spans, default=0) / 2 if metric.startswith("train/") else 0
    wide = [True, *(span >= least for span in spans)]
    return [(line["step"], line[metric]) for line, is_wide in zip(lines, wide, strict=False) if is_wide]


def _colour(number: int) -> str:
    return COLOURS[number % len(COLOURS)]


def _band(axis: Any, points: list[tuple[Any, stats.Summary]], label: str, number: int) -> None:
    """The line `number` of a panel, from 0."""
    if not points:
        return
    colour, dashes = _colour(number), DASHES[number // len(COLOURS) % len(DASHES)]
    x, marker = [at for at, _ in points], "o" if len(points) == 1 else None
    means = [found.mean for _, found in points]
    axis.plot(x, means, dashes, color=colour, linewidth=2, label=label, marker=marker)
    low = [found.mean - (found.std or 0.0) for _, found in points]
    high = [found.mean + (found.std or 0.0) for _, found in points]
    axis.fill_between(x, low, high, color=colour, alpha=0.15, linewidth=0)
    if len(points) == 1:  # a band has no width there
        axis.vlines(x, low, high, color=colour)
