"""What a run's own probes saw over its training, read from its log: a heat map of steps and blocks."""

import json
from pathlib import Path

import numpy as np

from resjax.probes import plot
from resjax.probes.findings import Finding, Point, Report
from resjax.record import PROBE

HISTORY = "history"  # the quantity of such points: the line is what was measured, x the step


def read(workdir: Path, probe: str) -> list[Point]:
    """-> the values of one probe in a run's log; none where its config has no such entry in `probes`."""
    file, found = workdir / "metrics.jsonl", []
    for line in file.read_text().splitlines() if file.exists() else []:
        row = json.loads(line)
        for key, value in row.items():
            if key.startswith(f"{PROBE}{probe}/"):
                what, place = key.removeprefix(f"{PROBE}{probe}/").rsplit("/", 1)
                found.append(Point(HISTORY, what, row["step"], place, value))
    return found


def draw(report: Report, stem: Path) -> None:
    """A row for each arm that has a history, its first seed; a column for each thing that was measured."""
    first = {finding.label: finding for finding in reversed(report.findings) if _lines(finding)}
    shown = [first[label] for label in report.labels if label in first]
    if not shown:
        return
    lines = list(dict.fromkeys(line for finding in shown for line in _lines(finding)))
    labels = {quantity.name: quantity.y_label for quantity in report.quantities}
    file = stem.with_name(f"{stem.name}-{HISTORY}")
    with plot.canvas(len(shown), len(lines), file) as (fig, axes):
        for row, finding in zip(axes, shown, strict=True):
            for axis, line in zip(row, lines, strict=True):
                _map(fig, axis, finding, line, labels.get(line.split("/")[0], ""))
        fig.suptitle(f"{report.title}: over training")


def _lines(finding: Finding) -> list[str]:
    """-> what was measured of the main loss, or where there is none, of all."""
    found = [point.line for point in finding.points if point.quantity == HISTORY]
    main = [line for line in found if line.endswith("/main")]
    return list(dict.fromkeys(main or found))


def _map(fig: object, axis: object, finding: Finding, line: str, label: str) -> None:
    points = [point for point in finding.points if (point.quantity, point.line) == (HISTORY, line)]
    steps = sorted({point.x for point in points})
    places = list(dict.fromkeys(point.name for point in points))
    values = np.full((len(places), len(steps)), np.nan)
    for point in points:
        values[places.index(point.name), steps.index(point.x)] = point.value
    title = f"{finding.label}, seed {finding.seed}: {line}"
    plot.heat_map(fig, axis, values, steps, places, title=title, label=label)
