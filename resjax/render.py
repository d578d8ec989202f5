"""From records to a table in Markdown, CSV and plain text. Percent only here and in `figure`."""

import csv
import dataclasses
import io
from collections.abc import Sequence
from typing import Any

from resjax import config as configs
from resjax import stats
from resjax.rows import Record, Row, Table

COST = "multiply-adds of training, 10⁹"
CONTRAST = [
    "row - control, paired by seed",
    "difference, points",
    "95 % interval",
    "detectable, points",
    "n",
    "what moved",
]


@dataclasses.dataclass(frozen=True)
class Rendered:
    markdown: str
    csv: str
    text: str


def values(table: Table, records: Sequence[Record], label: str) -> dict[int, float]:
    """-> {seed: metric} of a row's finished runs."""
    return {
        record["seed"]: record["metrics"][table.metric]
        for record in records
        if record["row"] == label and table.metric in record.get("metrics", {})
    }


def render(table: Table, records: Sequence[Record]) -> Rendered:
    header = ["row", f"{table.metric}, % (mean ± std)", "n", "train/accuracy, %", COST, "seconds a run"]
    body = [_row(table, records, row) for row in table.rows]
    contrasts = [_contrast(table, records, *pair) for pair in table.contrasts]
    tables = [(header, body)] + ([(CONTRAST, contrasts)] if contrasts else [])
    origin = _origin(records)
    markdown = [f"# {table.title}", *([table.note] if table.note else [])]
    markdown += [_markdown(*each) for each in tables] + [origin]
    markdown.insert(1, f"![{table.title}]({table.name}.png)")
    text = [table.title, *(_text(*each) for each in tables), origin]
    return Rendered("\n\n".join(markdown) + "\n", _csv(table, records), "\n\n".join(text))


def _row(table: Table, records: Sequence[Record], row: Row) -> list[str]:
    mine = [record for record in records if record["row"] == row.label]
    finished = [record for record in mine if "metrics" in record]
    diverged = len(mine) - len(finished)
    suffix = f" ({diverged} diverged)" if diverged else ""
    if not finished:
        return [row.label, "not run" if not mine else "-", f"0{suffix}", "", "", ""]
    found = stats.summarize(list(values(table, records, row.label).values()))
    train = stats.summarize([record["metrics"]["train/accuracy"] for record in finished])
    seconds = stats.summarize([record["seconds"] for record in finished])
    cost = {record.get("training_multiply_adds") for record in finished}
    costs = " / ".join("" if each is None else _significant(each / 1e9) for each in sorted(cost, key=str))
    return [row.label, _percent(found), f"{found.n}{suffix}", _percent(train), costs, f"{seconds.mean:.1f}"]


def _significant(value: float) -> str:
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"


def _percent(found: stats.Summary) -> str:
    return f"{100 * found.mean:.2f}" + ("" if found.std is None else f" ± {100 * found.std:.2f}")


def _contrast(table: Table, records: Sequence[Record], label: str, control: str) -> list[str]:
    found = stats.paired_difference(values(table, records, label), values(table, records, control))
    name = f"{label} - {control}"
    if found is None:
        return [name, "not run", "", "", "0", ""]
    interval = "" if found.low is None else f"{100 * found.low:+.2f} to {100 * (found.high or 0):+.2f}"
    detectable = "" if found.detectable is None else f"{100 * found.detectable:.2f}"
    return [
        name,
        f"{100 * found.mean:+.2f}",
        interval,
        detectable,
        str(found.n),
        _moved(records, label, control),
    ]


def _moved(records: Sequence[Record], label: str, control: str) -> str:
    """-> what differs between the recipes of two rows, from the configs in their records."""
    configs_of = {record["row"]: configs.override(record["config"], ()) for record in reversed(records)
                  if record["row"] in (label, control)}  # fmt: skip
    old, new = configs_of[control], configs_of[label]
    moved = configs.recipe_difference(old, configs.override({**new.to_dict(), "seed": old.seed}, ()))
    return "; ".join(moved) or "nothing"


def _origin(records: Sequence[Record]) -> str:
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


def _csv(table: Table, records: Sequence[Record]) -> str:
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(
        [
            "row",
            "line",
            "panel",
            "x",
            "metric",
            "seed",
            "value",
            "train_accuracy",
            "training_multiply_adds",
            "seconds",
            "diverged_at",
        ]
    )
    for row in table.rows:
        for record in (record for record in records if record["row"] == row.label):
            metrics = record.get("metrics", {})
            value, train = metrics.get(table.metric), metrics.get("train/accuracy")
            seconds, diverged = record.get("seconds"), record.get("diverged_at")
            cost = record.get("training_multiply_adds")
            x = row.x if row.x is not None else ""
            place = [row.label, row.line, row.panel, x, table.metric, record["seed"]]
            writer.writerow([*place, value, train, cost, seconds, diverged])
    return out.getvalue()
