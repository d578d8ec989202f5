"""From records to a table in Markdown, LaTeX, CSV and plain text. What is percent, `Table` says."""

import csv
import dataclasses
import io
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from resjax import captions, markup, stats
from resjax import config as configs
from resjax.config import Config
from resjax.records import Records
from resjax.rows import Record, Row, Table
from resjax.verdicts import compare, diverged, values, verdict

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


def render(table: Table, records: Records) -> Rendered:
    blocks = list(_blocks(table, records))
    return Rendered(
        _markdown(table, records, blocks),
        _latex(table, blocks),
        _csv(table, records),
        _text(table, blocks),
    )


def _markdown(table: Table, records: Records, blocks: Sequence[Block]) -> str:
    parts = [f"# {table.title}", f"![{table.title}]({table.name}.png)" if records else "", table.note]
    for block in blocks:
        parts += [f"## {block.heading}" if block.heading else ""]
        parts += [markup.markdown(*each) for each in block.tables] + [block.origin]
    parts += [captions.meaning(table), captions.TRAINING, captions.sources(table)]
    return _paragraphs(parts) + "\n"


def _text(table: Table, blocks: Sequence[Block]) -> str:
    parts = [table.title, table.note]
    for block in blocks:
        parts += [block.heading, *(markup.text(*each) for each in block.tables), block.origin]
    return _paragraphs([*parts, captions.sources(table)])


def _latex(table: Table, blocks: Sequence[Block]) -> str:
    """Tabulars, of which those of shortened runs say so in a row; what else is said, in comments."""
    tabulars = [markup.latex(*each, block.heading) for block in blocks for each in block.tables]
    said = [table.title, table.note, captions.meaning(table), captions.TRAINING, captions.sources(table)]
    return _paragraphs([markup.latex_comment(_paragraphs(said)), *tabulars]) + "\n"


def _paragraphs(parts: Iterable[str]) -> str:
    return "\n\n".join(part for part in parts if part)


def _blocks(table: Table, records: Records) -> Iterator[Block]:
    header, row = (_published_header, _published_row) if table.compares else (_header, _row)
    body = [row(table, records, each) for each in table.rows]
    yield Block([(header(table), body), *_contrasts(table, records.full)], captions.origin(records.full))
    for share, shortened in records.shortened.items():
        only = Records(shortened, {})
        run = [each for each in table.rows if values(table, shortened, each.label)]
        labels = {each.label for each in run}
        pairs = tuple(pair for pair in table.contrasts if labels.issuperset(pair))
        contrasts = _contrasts(dataclasses.replace(table, contrasts=pairs), shortened)
        body = [_row(table, only, each) for each in run]
        heading = f"Shortened runs: {100 * share:g} % of the schedule"
        yield Block([(_header(table), body), *contrasts], captions.origin(shortened), heading)


def _header(table: Table) -> list[str]:
    ours, train = f"{table.heading(table.metric)} (mean ± std)", table.heading(table.train_metric)
    return ["row", ours, "n", train, COST, *(TIMES if table.timed else ["seconds a run"])]


def _published_header(table: Table) -> list[str]:
    _, *ours = _header(table)
    return ["row", "published, %", *ours[:2], "difference, points", "95 % interval", "verdict", *ours[2:]]


def _published_row(table: Table, records: Records, row: Row) -> list[str]:
    label, *ours = _row(table, records, row)
    found = compare(table, records, row)
    difference = "" if found is None else f"{found.difference:+z.2f}"
    interval = "" if found is None else _interval(found.low, found.high)
    stated = "" if row.published is None else str(row.published)
    return [label, stated, *ours[:2], difference, interval, verdict(table, records, row), *ours[2:]]


def _row(table: Table, records: Records, row: Row) -> list[str]:
    mine = [record for record in records.full if record["row"] == row.label]
    finished = [record for record in mine if table.metric in record.get("metrics", {})]
    lost = diverged(mine)
    suffix = f" ({lost} diverged)" if lost else ""
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
    return "" if low is None or high is None else f"{low:+z.2f} to {high:+z.2f}"


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
    numbers = [f"{found.mean:+z.2f}", _interval(found.low, found.high), detectable, str(found.n)]
    moved = configs.recipe_difference(recipes[control], recipes[label])
    return [name, *numbers, "; ".join(moved) or "nothing"]


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
