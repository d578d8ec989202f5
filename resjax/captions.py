"""What stands below a table in words: where its numbers come from, and what its verdicts mean."""

from collections.abc import Iterator, Sequence
from typing import Any

from resjax.rows import Record, Table

TRAINING = (
    "Training numbers are means over the last epoch, while learning, with what augmentation and dropout the"
    " recipe has."
)


def origin(records: Sequence[Record]) -> str:
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


def sources(table: Table) -> str:
    """-> each source with the rows whose published numbers are from it; empty where there is none."""
    found: dict[str, list[str]] = {}
    for row in table.rows:
        if row.published:
            found.setdefault(row.published.source, []).append(row.label)
    cited = [f"- {source}: {'; '.join(labels)}" for source, labels in found.items()]
    return "Published numbers:\n\n" + "\n".join(cited) if cited else ""


def meaning(table: Table) -> str:
    """-> what a reader of verdicts must know; empty where there are none."""
    return " ".join(_meanings(table)) if table.compares else ""


def _meanings(table: Table) -> Iterator[str]:
    published = [row.published for row in table.rows if row.published]
    yield (
        "The difference is ours less the published number. *Reproduced*: its 95 % interval lies within"
        f" {table.tolerance:g} points of zero; *differs*: the interval leaves out zero; else there are *too"
        " few runs to tell*. A number of one run, or of runs that the paper does not state, is taken for one"
        " draw from runs that spread as ours do; a median or a best of k for that of k such draws."
    )
    if any(each.statistic == "best" for each in published):
        yield (
            "Where it is the best of k, ours is not our mean, but what the best of k runs that spread as ours"
            " do is expected to be; of a single run of ours, that run."
        )
    if any(each.above for each in published):
        yield (
            "Where the paper prints a bound (>) alone, *reproduced* says that the interval lies above it,"
            " *differs* that it lies below."
        )
    if any(each.protocol for each in published):
        yield "Numbers of an *other protocol*, which stands in brackets, are shown and not judged."
    yield (
        "*Unverified* numbers were read off a figure, or found in no source that prints them, and are not"
        " judged; nor is a row of which *some diverged*, to a loss that is NaN or infinite: the others are a"
        " choice of the better runs."
    )
