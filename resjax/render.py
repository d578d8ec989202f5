"""From records to a table in Markdown, CSV and plain text, and a figure. Percent only here."""

import csv
import dataclasses
import io
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from resjax import stats

if TYPE_CHECKING:  # `table` calls this file; only its types are needed here
    from resjax.table import Record, Row, Table

# Wong's colours, distinct under the common colour deficiencies (Nature Methods 8, 441, 2011).
COLOURS = ("#D55E00", "#0072B2", "#009E73", "#CC79A7", "#E69F00", "#56B4E9")


@dataclasses.dataclass(frozen=True)
class Rendered:
    markdown: str
    csv: str
    text: str


def values(table: "Table", records: Sequence["Record"], label: str) -> dict[int, float]:
    """-> {seed: metric} of a row's finished runs."""
    return {
        record["seed"]: record["metrics"][table.metric]
        for record in records
        if record["row"] == label and table.metric in record.get("metrics", {})
    }


def render(table: "Table", records: Sequence["Record"]) -> Rendered:
    header = ["row", f"{table.metric}, % (mean ± std)", "n", "train/accuracy, %", "seconds a run"]
    body = [_row(table, records, row) for row in table.rows]
    contrasts = [_contrast(table, records, *pair) for pair in table.contrasts]
    contrast_header = ["row - control, paired by seed", "difference, points", "95 % interval", "n"]
    tables = [(header, body)] + ([(contrast_header, contrasts)] if contrasts else [])
    origin = _origin(records)
    markdown = [f"# {table.title}", *([table.note] if table.note else [])]
    markdown += [_markdown(*each) for each in tables] + [origin]
    if table.x_label:
        markdown.insert(1, f"![{table.title}]({table.name}.png)")
    text = [table.title, *(_text(*each) for each in tables), origin]
    return Rendered("\n\n".join(markdown) + "\n", _csv(table, records), "\n\n".join(text))


def _row(table: "Table", records: Sequence["Record"], row: "Row") -> list[str]:
    mine = [record for record in records if record["row"] == row.label]
    finished = [record for record in mine if "metrics" in record]
    diverged = len(mine) - len(finished)
    suffix = f" ({diverged} diverged)" if diverged else ""
    if not finished:
        return [row.label, "not run" if not mine else "-", f"0{suffix}", "", ""]
    found = stats.summarize(list(values(table, records, row.label).values()))
    train = stats.summarize([record["metrics"]["train/accuracy"] for record in finished])
    seconds = stats.summarize([record["seconds"] for record in finished])
    return [row.label, _percent(found), f"{found.n}{suffix}", _percent(train), f"{seconds.mean:.1f}"]


def _percent(found: stats.Summary) -> str:
    return f"{100 * found.mean:.2f}" + ("" if found.std is None else f" ± {100 * found.std:.2f}")


def _contrast(table: "Table", records: Sequence["Record"], label: str, control: str) -> list[str]:
    found = stats.paired_difference(values(table, records, label), values(table, records, control))
    name = f"{label} - {control}"
    if found is None:
        return [name, "not run", "", "0"]
    interval = "" if found.low is None else f"{100 * found.low:+.2f} to {100 * (found.high or 0):+.2f}"
    return [name, f"{100 * found.mean:+.2f}", interval, str(found.n)]


def _origin(records: Sequence["Record"]) -> str:
    """One sentence on where the numbers come from; several devices or versions are all named."""

    def all_of(*keys: str) -> str:
        found = set()
        for record in records:
            value: Any = record
            for key in keys:
                value = (value or {}).get(key)
            found.add("unknown" if value is None else str(value))
        return " / ".join(sorted(found))

    hours = sum(record.get("seconds", 0) for record in records) / 3600
    cost = f"{hours:.1f} h" if hours >= 1 else f"{60 * hours:.1f} min"
    return (
        f"{len(records)} runs, {cost} in all, on {all_of('device', 'kind')} ({all_of('device', 'platform')},"
        f" {all_of('cpu_count')} cores); jax {all_of('versions', 'jax')}, flax {all_of('versions', 'flax')};"
        f" commit {all_of('commit')}."
    )


def _markdown(header: list[str], body: list[list[str]]) -> str:
    rule = "|---|" + "---:|" * (len(header) - 1)
    return "\n".join([f"| {' | '.join(header)} |", rule, *(f"| {' | '.join(row)} |" for row in body)])


def _text(header: list[str], body: list[list[str]]) -> str:
    widths = [max(len(row[i]) for row in [header, *body]) for i in range(len(header))]
    lines = [
        "  ".join(
            cell.ljust(width) if i == 0 else cell.rjust(width)
            for i, (cell, width) in enumerate(zip(row, widths, strict=True))
        )
        for row in [header, *body]
    ]
    return "\n".join([lines[0], "-" * len(lines[0]), *lines[1:]])


def _csv(table: "Table", records: Sequence["Record"]) -> str:
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(
        ["row", "line", "x", "metric", "seed", "value", "train_accuracy", "seconds", "diverged_at"]
    )
    for row in table.rows:
        for record in (record for record in records if record["row"] == row.label):
            metrics = record.get("metrics", {})
            value, train = metrics.get(table.metric), metrics.get("train/accuracy")
            seconds, diverged = record.get("seconds"), record.get("diverged_at")
            x = row.x if row.x is not None else ""
            writer.writerow(
                [row.label, row.line, x, table.metric, record["seed"], value, train, seconds, diverged]
            )
    return out.getvalue()


def figure(table: "Table", records: Sequence["Record"], path: Path) -> None:
    """Error on test and train against x, a curve for each line: every seed a dot, the band one std."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot as plt

    fig, axes = plt.subplots(1, 2, figsize=(10, 4), sharey=True, layout="constrained")
    panels = ((table.metric, "test error"), ("train/accuracy", "training error"))
    lines = list(dict.fromkeys(row.line for row in table.rows if row.x is not None))
    for axis, (metric, name) in zip(axes, panels, strict=True):
        for colour, line in zip(COLOURS, lines, strict=False):
            _curve(axis, dataclasses.replace(table, metric=metric), records, line, colour)
        axis.set(title=name, xlabel=table.x_label, ylim=(-2, 100))
        axis.grid(alpha=0.25)
        axis.spines[["top", "right"]].set_visible(False)
    axes[0].set_ylabel("error, %")
    axes[0].legend(frameon=False)
    fig.suptitle(table.title)
    fig.savefig(path, dpi=150, metadata={"Software": None})
    plt.close(fig)


def _curve(axis: Any, table: "Table", records: Sequence["Record"], line: str, colour: str) -> None:
    points = []
    for row in (row for row in table.rows if row.line == line and row.x is not None):
        errors = [100 * (1 - value) for value in values(table, records, row.label).values()]
        if errors:
            points.append((row.x, stats.summarize(errors)))
            axis.plot([row.x] * len(errors), errors, "o", color=colour, markersize=3.5, alpha=0.6)
    if not points:
        return
    x = [at for at, _ in points]
    mean = [found.mean for _, found in points]
    spread = [found.std or 0.0 for _, found in points]
    seeds = min(found.n for _, found in points)
    axis.plot(x, mean, color=colour, linewidth=2, label=f"{line}, mean ± std of {seeds}")
    low = [m - s for m, s in zip(mean, spread, strict=True)]
    high = [m + s for m, s in zip(mean, spread, strict=True)]
    axis.fill_between(x, low, high, color=colour, alpha=0.15, linewidth=0)
    axis.set_xticks(sorted({row.x for row in table.rows if row.x is not None}))
