"""How the runs of a table's row stand to its published number."""

from collections.abc import Sequence

from resjax import published
from resjax.published import Comparison, Verdict
from resjax.records import Records
from resjax.rows import Record, Row, Table


def values(table: Table, records: Sequence[Record], label: str) -> dict[int, float]:
    """-> {seed: the table's metric, in percent} of a row's finished runs."""
    return {
        record["seed"]: table.percent(record["metrics"][table.metric])
        for record in records
        if record["row"] == label and table.metric in record.get("metrics", {})
    }


def diverged(records: Sequence[Record], label: str | None = None) -> int:
    """-> how many runs of a row, or of all, became NaN or infinite."""
    return sum("diverged_at" in record and label in (None, record["row"]) for record in records)


def compare(table: Table, records: Records, row: Row) -> Comparison | None:
    """-> how the full runs of a row stand to its published number; None where there is either not."""
    found = list(values(table, records.full, row.label).values())
    if row.published is None or not found:
        return None
    return published.compare(row.published, found, table.tolerance, table.report == "error")


def verdict(table: Table, records: Records, row: Row) -> Verdict:
    """-> of a row with a published number; that of a row without is empty.

    Where some runs diverged, those that did not are a choice of the better ones, and not judged.
    """
    if row.published is None:
        return ""
    found, lost = compare(table, records, row), diverged(records.full, row.label)
    if found is not None:
        return "some diverged" if lost and row.published.judged else found.verdict
    if lost:
        return "diverged"
    shortened = any(values(table, each, row.label) for each in records.shortened.values())
    return "shortened run" if shortened else "not run"
