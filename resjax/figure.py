"""From records to a figure: error against the rows' x, or where rows have none, against training steps."""

import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from resjax import stats
from resjax.render import values
from resjax.rows import Record, Table

# Wong's colours, distinct under the common colour deficiencies (Nature Methods 8, 441, 2011).
COLOURS = ("#D55E00", "#0072B2", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")


def figure(table: Table, records: Sequence[Record], path: Path) -> None:
    """Two panels, the table's metric and training; every seed a dot, lines are means, bands one std."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot as plt

    fig, axes = plt.subplots(1, 2, figsize=(10, 4), sharey=True, layout="constrained")
    by_x = any(row.x is not None for row in table.rows)
    for axis, metric in zip(axes, (table.metric, "train/accuracy"), strict=True):
        panel = dataclasses.replace(table, metric=metric)
        (_against_x if by_x else _against_steps)(axis, panel, records)
        split = metric.split("/")[0]
        axis.set(title="training error" if split == "train" else f"{split} error", ylim=(-2, 102))
        axis.grid(alpha=0.25)
        axis.spines[["top", "right"]].set_visible(False)
    axes[0].set_ylabel("error, %")
    counts = sorted({len(values(table, records, row.label)) for row in table.rows} - {0})
    seeds = "-".join(map(str, dict.fromkeys((counts[0], counts[-1])))) if counts else "0"
    handles, names = axes[0].get_legend_handles_labels()
    if handles:
        title = f"mean ± std of {seeds} seed{'' if seeds == '1' else 's'}"
        fig.legend(handles, names, title=title, frameon=False, loc="outside right center")
    fig.suptitle(table.title)
    fig.savefig(path, dpi=150, metadata={"Software": None})
    plt.close(fig)


def _against_x(axis: Any, table: Table, records: Sequence[Record]) -> None:
    lines = list(dict.fromkeys(row.line for row in table.rows if row.x is not None))
    for number, line in enumerate(lines):
        colour, points = COLOURS[number % len(COLOURS)], []
        for row in (row for row in table.rows if row.line == line and row.x is not None):
            errors = [100 * (1 - value) for value in values(table, records, row.label).values()]
            if errors:
                points.append((row.x, stats.summarize(errors)))
                axis.plot([row.x] * len(errors), errors, "o", color=colour, markersize=3.5, alpha=0.6)
        _band(axis, points, line, colour)
    axis.set_xlabel(table.x_label)
    axis.set_xticks(sorted({row.x for row in table.rows if row.x is not None}))


def _against_steps(axis: Any, table: Table, records: Sequence[Record]) -> None:
    for number, row in enumerate(table.rows):
        at_step: dict[int, list[float]] = {}
        for record in (record for record in records if record["row"] == row.label):
            for line in record.get("curve", []):
                if table.metric in line:
                    at_step.setdefault(line["step"], []).append(100 * (1 - line[table.metric]))
        points = [(step, stats.summarize(errors)) for step, errors in sorted(at_step.items())]
        _band(axis, points, row.label, COLOURS[number % len(COLOURS)])
    axis.set_xlabel("training steps")


def _band(axis: Any, points: list[tuple[Any, stats.Summary]], label: str, colour: str) -> None:
    if not points:
        return
    x = [at for at, _ in points]
    axis.plot(x, [found.mean for _, found in points], color=colour, linewidth=2, label=label)
    low = [found.mean - (found.std or 0.0) for _, found in points]
    high = [found.mean + (found.std or 0.0) for _, found in points]
    axis.fill_between(x, low, high, color=colour, alpha=0.15, linewidth=0)
