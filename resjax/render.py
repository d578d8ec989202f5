"""From records to a table in Markdown, LaTeX, CSV and plain text. What is percent, `Table` says."""

import csv
import dataclasses
import io
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from resjax import config as configs
from resjax import markup, published, stats
from resjax.config import Config
from resjax.published import Comparison, Verdict
from resjax.records import Records
from resjax.rows import Record, Row, Table

COST = "multiply-adds of training, 10⁹"
TIMES = ["seconds a run without compiling (mean ± std)", "compiling, s"]
CONTRAST = ["row - control, paired by seed", "difference, points", "95 % interval", "detectable, points", "n"]
CONTRAST += ["what moved"]
CSV = ["row", "line", "panel", "x", "metric", "seed", "value", "train_accuracy", "training_multiply_adds"]
CSV += ["seconds", "diverged_at", "budget", "command"]
Cells = list[list[str]]


@dataclasses.dataclass(frozen=True)
class Rendered:
    markdown: str
    latex: str
    csv: str
    text: str


@dataclasses.dataclass(frozen=True)
class Block:
    """Some tables below one another, under a heading of their own if they have one."""

    tables: list[tuple[list[str], Cells]]
    origin: str
    heading: str = ""


def values(table: Table, records: Sequence[Record], label: str) -> dict[int, float]:
    """-> {seed: the table's metric, in percent} of a row's finished runs."""
    return {
        record["seed"]: table.percent(record["metrics"][table.metric])
        for record in records
        if record["row"] == label and table.metric in record.get("metrics", {})
    }


def compare(table: Table, records: Records, row: Row) -> Comparison | None:
    """-> how the full runs of a row stand to its published number; None where there is either not."""
    found = list(values(table, records.full, row.label).values())
    if row.published is None or not found:
        return None
    return published.compare(row.published, found, table.tolerance, table.report == "error")


def verdict(table: Table, records: Records, row: Row) -> Verdict:
    """-> of a row with a published number; that of a row without is empty."""
    if row.published is None:
        return ""
    found = compare(table, records, row)
    if found is not None:
        return found.verdict
    shortened = any(values(table, each, row.label) for each in records.shortened.values())
    return "shortened run" if shortened else "not run"


def render(table: Table, records: Records) -> Rendered:
    blocks = list(_blocks(table, records))
    parts = [f"# {table.title}"]
    parts += [f"![{table.title}]({table.name}.png)"] if records else []
    parts += [table.note] if table.note else []
    text = [table.title]
    for block in blocks:
        parts += [f"## {block.heading}"] if block.heading else []
        text += [block.heading] if block.heading else []
        parts += [markup.markdown(*each) for each in block.tables] + [block.origin]
        text += [markup.text(*each) for each in block.tables] + [block.origin]
    explained = _explained(table)
    tabulars = [markup.latex(*each) for block in blocks for each in block.tables]
    return Rendered(
        "\n\n".join(part for part in [*parts, *explained] if part) + "\n",
        "\n\n".join(tabulars) + "\n",
        _csv(table, records),
        "\n\n".join(part for part in text if part),
    )


def _blocks(table: Table, records: Records) -> Iterator[Block]:
    header, row = (_published_header, _published_row) if table.compares else (_header, _row)
    body = [row(table, records, each) for each in table.rows]
    yield Block([(header(table), body), *_contrasts(table, records.full)], _origin(records.full))
    for share, shortened in records.shortened.items():
        only = Records(shortened, {})
        run = [each for each in table.rows if values(table, shortened, each.label)]
        labels = {each.label for each in run}
        pairs = tuple(pair for pair in table.contrasts if labels.issuperset(pair))
        contrasts = _contrasts(dataclasses.replace(table, contrasts=pairs), shortened)
        body = [_row(table, only, each) for each in run]
        heading = f"Shortened runs: {100 * share:g} % of the schedule"
        yield Block([(_header(table), body), *contrasts], _origin(shortened), heading)


def _header(table: Table) -> list[str]:
    ours, train = f"{table.heading(table.metric)} (mean ± std)", table.heading(table.train_metric)
    return ["row", ours, "n", train, COST, *(TIMES if table.timed else ["seconds a run"])]


def _published_header(table: Table) -> list[str]:
    _, *ours = _header(table)
    return ["row", "published, %", *ours[:2], "difference, points", "95 % interval", "verdict", *ours[2:]]


def _published_row(table: Table, records: Records, row: Row) -> list[str]:
    label, *ours = _row(table, records, row)
    found = compare(table, records, row)
    difference = "" if found is None else f"{found.difference:+.2f}"
    interval = "" if found is None else _interval(found.low, found.high)
    stated = "" if row.published is None else str(row.published)
    return [label, stated, *ours[:2], difference, interval, verdict(table, records, row), *ours[2:]]


def _row(table: Table, records: Records, row: Row) -> list[str]:
    mine = [record for record in records.full if record["row"] == row.label]
    finished = [record for record in mine if "metrics" in record]
    diverged = len(mine) - len(finished)
    suffix = f" ({diverged} diverged)" if diverged else ""
    if not finished:
        seen = [row.label, "not run" if not mine else "-", f"0{suffix}"]
        return seen + [""] * (len(_header(table)) - len(seen))
    found = stats.summarize(list(values(table, records.full, row.label).values()))
    train = stats.summarize([table.percent(record["metrics"][table.train_metric]) for record in finished])
    cost = {record.get("training_multiply_adds") for record in finished}
    costs = " / ".join("" if each is None else _significant(each / 1e9) for each in sorted(cost, key=str))
    return [row.label, _spread(found), f"{found.n}{suffix}", _spread(train), costs, *_times(table, finished)]


def _times(table: Table, finished: Sequence[Record]) -> list[str]:
    seconds = [record["seconds"] for record in finished]
    if not table.timed:
        return [f"{stats.summarize(seconds).mean:.1f}"]
    compiling = [record["compiling_seconds"] for record in finished]
    found = stats.summarize([whole - part for whole, part in zip(seconds, compiling, strict=True)])
    return [_spread(found), f"{stats.summarize(compiling).mean:.2f}"]


def _significant(value: float) -> str:
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"


def _spread(found: stats.Summary) -> str:
    return f"{found.mean:.2f}" + ("" if found.std is None else f" ± {found.std:.2f}")


def _interval(low: float | None, high: float | None) -> str:
    return "" if low is None or high is None else f"{low:+.2f} to {high:+.2f}"


def _contrasts(table: Table, records: Sequence[Record]) -> list[tuple[list[str], Cells]]:
    """-> one table, or none where the table has no contrasts."""
    labels = {label for pair in table.contrasts for label in pair}
    first = {record["row"]: record["config"] for record in reversed(records) if record["row"] in labels}
    recipes = {label: configs.override({**config, "seed": 0}, ()) for label, config in first.items()}
    body = [_contrast(table, records, recipes, *pair) for pair in table.contrasts]
    return [(CONTRAST, body)] if body else []


def _contrast(
    table: Table, records: Sequence[Record], recipes: Mapping[str, Config], label: str, control: str
) -> list[str]:
    found = stats.paired_difference(values(table, records, label), values(table, records, control))
    name = f"{label} - {control}"
    if found is None:
        return [name, "not run", "", "", "0", ""]
    detectable = "" if found.detectable is None else f"{found.detectable:.2f}"
    numbers = [f"{found.mean:+.2f}", _interval(found.low, found.high), detectable, str(found.n)]
    moved = configs.recipe_difference(recipes[control], recipes[label])
    return [name, *numbers, "; ".join(moved) or "nothing"]


def _origin(records: Sequence[Record]) -> str:
    """One sentence on where the numbers come from; several devices or versions are all named."""
    if not records:
        return ""

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
        f" commit {all_of('commit')}.{_commands(records)}"
    )


def _commands(records: Sequence[Record]) -> str:
    """-> for each row, what makes the run of its first seed; `--config.seed` is the only thing to change."""
    first = {record["row"]: record["command"] for record in reversed(records) if record.get("command")}
    lines = [f"- {row}: `{command}`" for row, command in sorted(first.items())]
    return "\n\nOne run of each row:\n\n" + "\n".join(lines) if lines else ""


def _explained(table: Table) -> list[str]:
    """-> what a reader of published numbers must know: where they are from, and what the verdicts mean."""
    if not table.compares:
        return []
    sources: dict[str, list[str]] = {}
    for row in table.rows:
        if row.published:
            sources.setdefault(row.published.source, []).append(row.label)
    cited = [f"- {source}: {', '.join(labels)}" for source, labels in sources.items()]
    return [
        "The difference is ours less the published number. *Reproduced*: its 95 % interval lies within"
        f" {table.tolerance:g} points of zero; *differs*: the interval leaves out zero; else there are *too"
        " few runs to tell*. A number of one run, or of runs that the paper does not state, is taken for one"
        " draw from runs that spread as ours do; a median or a best of k for that of k such draws."
        " *Unverified* numbers were read off a figure, or found in no source that prints them, and are not"
        " judged.",
        "Published numbers:\n\n" + "\n".join(cited),
    ]


def _csv(table: Table, records: Records) -> str:
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(CSV)
    for each in [records.full, *records.shortened.values()]:
        for row in table.rows:
            for record in (record for record in each if record["row"] == row.label):
                writer.writerow(_line(table, row, record))
    return out.getvalue()


def _line(table: Table, row: Row, record: Record) -> list[Any]:
    """Accuracies are from 0 to 1 here, whatever the table reports."""
    metrics, x = record.get("metrics", {}), "" if row.x is None else row.x
    place = [row.label, row.line, row.panel, x, table.metric, record["seed"]]
    found = [metrics.get(table.metric), metrics.get("train/accuracy"), record.get("training_multiply_adds")]
    found += [record.get("seconds"), record.get("diverged_at")]
    return [*place, *found, record.get("budget", 1), record.get("command")]
