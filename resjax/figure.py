"""From records to a figure: accuracy against the rows' x, or where rows have none, against training steps."""

import dataclasses
import itertools
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from resjax import legend, stats
from resjax.budget import FULL
from resjax.records import Records
from resjax.render import values
from resjax.rows import Record, Row, Table

# Wong's colours, distinct under the common colour deficiencies (Nature Methods 8, 441, 2011).
COLOURS = ("#D55E00", "#0072B2", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")
LEAST = 0.1  # percent; below that there are errors of training alone, in the end none


def figure(table: Table, found: Records, path: Path) -> None:
    """The table's metric and training, by panel; every seed a dot, lines are means, bands one std.

    Where there are no full runs, it shows those shortened least, says so, and leaves out published numbers,
    which are no match for them.
    """
    title = table.title
    share, records = (FULL, found.full) if found.full else next(iter(found.shortened.items()))
    ran = {record["row"] for record in records}
    if share < FULL:
        title += f"\nshortened runs: {100 * share:g} % of the schedule"
        rows = tuple(dataclasses.replace(row, published=None) for row in table.rows if row.label in ran)
        table = dataclasses.replace(table, rows=rows, contrasts=())
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot as plt

    shown = (row for row in table.rows if row.label in ran or (row.published and row.x is not None))
    panels = list(dict.fromkeys(row.panel for row in shown))
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
        axis.set_ylabel(f"{table.report}, %")
        axis.label_outer()
    _scale(axes.flat[0], table)  # all share it
    seeds = legend.span({len(values(table, records, row.label)) for row in table.rows} - {0})
    legend.outside(fig, axes, f"mean ± std of {seeds} seed{'' if seeds == '1' else 's'}")
    fig.suptitle(title)
    fig.savefig(path, dpi=150, metadata={"Software": None})
    plt.close(fig)


def _scale(axis: Any, table: Table) -> None:
    """Errors fall by orders of magnitude as a net learns; at the end they differ by far less."""
    if table.report == "accuracy":
        axis.set_ylim(-2, 102)
    elif _by_x(table):
        axis.set_ylim(0, None)
    else:
        axis.set_yscale("log")
        axis.set_ylim(bottom=max(axis.get_ylim()[0], LEAST))
        axis.yaxis.set_major_formatter("{x:g}")


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
        colour, points = COLOURS[number % len(COLOURS)], []
        for row in (row for row in rows if row.line == line and row.x is not None):
            found = list(values(table, records, row.label).values())
            if found:
                points.append((row.x, stats.summarize(found)))
                axis.plot([row.x] * len(found), found, "o", color=colour, markersize=3.5, alpha=0.6)
        _band(axis, points, line, colour)
    _published(axis, table, rows)
    axis.set_xlabel(table.x_label)
    places = sorted({row.x for row in rows if row.x is not None})
    if table.x_log:
        axis.set_xscale("log")
        axis.minorticks_off()
    axis.set_xticks(places, [f"{place:g}" for place in places])


def _published(axis: Any, table: Table, rows: Sequence[Row]) -> None:
    """A paper's numbers, which are of the metric and not of training."""
    points = [(row.x, row.published.value) for row in rows if row.published and row.x is not None]
    if points and not table.metric.startswith("train/"):
        x, y = zip(*points, strict=True)
        axis.plot(x, y, "D", markerfacecolor="none", color="black", markersize=6, label="published")


def _against_steps(axis: Any, table: Table, rows: Sequence[Row], records: Sequence[Record]) -> None:
    for number, row in enumerate(rows):
        at_step: dict[int, list[float]] = {}
        for record in (record for record in records if record["row"] == row.label):
            for step, value in curve(record, table.metric):
                at_step.setdefault(step, []).append(table.percent(value))
        points = [(step, stats.summarize(found)) for step, found in sorted(at_step.items())]
        _band(axis, points, row.label, COLOURS[number % len(COLOURS)])
    axis.set_xlabel("training steps")


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


def _band(axis: Any, points: list[tuple[Any, stats.Summary]], label: str, colour: str) -> None:
    if not points:
        return
    x, marker = [at for at, _ in points], "o" if len(points) == 1 else None
    axis.plot(x, [found.mean for _, found in points], color=colour, linewidth=2, label=label, marker=marker)
    low = [found.mean - (found.std or 0.0) for _, found in points]
    high = [found.mean + (found.std or 0.0) for _, found in points]
    axis.fill_between(x, low, high, color=colour, alpha=0.15, linewidth=0)
    if len(points) == 1:  # a band has no width there
        axis.vlines(x, low, high, color=colour)
