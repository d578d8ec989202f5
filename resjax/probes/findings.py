"""What probes find: numbers, each of a quantity at a place in a net; and the files that hold them."""

import csv
import dataclasses
import io
import json
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from resjax import markup, stats
from resjax.record import provenance, write_atomically

MOST = 4  # lines of one arm in a panel or a table
HEADER = ["arm", "quantity", "line", "n", "first", "middle", "last", "lowest", "highest"]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Quantity:
    """What one panel of a figure shows.

    Attributes:
      y_label: with the unit.
      log: the axis of values is logarithmic.
    """

    name: str
    title: str
    x_label: str
    y_label: str
    log: bool = False


@dataclasses.dataclass(frozen=True)
class Point:
    """One number.

    Attributes:
      line: what it is of, where a quantity is of several, such as losses; empty: there is just one.
      x, name: the place, as a number and as a word, such as a block's.
    """

    quantity: str
    line: str
    x: float
    name: str
    value: float


@dataclasses.dataclass(frozen=True)
class Finding:
    """What was found of one net: an arm of the comparison, with one seed, after so many steps."""

    label: str
    seed: int
    step: int
    config: dict[str, Any]
    points: tuple[Point, ...]


@dataclasses.dataclass(frozen=True)
class Report:
    """All that one command found.

    Attributes:
      definition: what the numbers are: the docstring of what measured them.
      settings: of the probe.
    """

    probe: str
    title: str
    definition: str
    quantities: tuple[Quantity, ...]
    settings: dict[str, Any]
    findings: tuple[Finding, ...]

    @property
    def labels(self) -> list[str]:
        return list(dict.fromkeys(finding.label for finding in self.findings))

    def lines(self, quantity: str) -> list[str]:
        points = (point for finding in self.findings for point in finding.points)
        return list(dict.fromkeys(point.line for point in points if point.quantity == quantity))

    def shown(self, quantity: str) -> list[str]:
        """-> the lines of a figure and a table, the same ones for all quantities as far as they have them."""
        longest = chosen(max((self.lines(each.name) for each in self.quantities), key=len))
        own = self.lines(quantity)
        return [line for line in own if line in longest] or chosen(own)

    @property
    def styles(self) -> list[str]:
        """-> all lines that are shown, each of which has a style of its own."""
        return list(dict.fromkeys(line for each in self.quantities for line in self.shown(each.name)))

    def curve(self, label: str, quantity: str, line: str) -> list[tuple[float, str, stats.Summary]]:
        """-> (x, name, statistics over seeds) of one arm, in the order of x, without what is not finite."""
        found: dict[tuple[float, str], list[float]] = {}
        for finding in self.findings:
            for point in finding.points:
                wanted = (finding.label, point.quantity, point.line) == (label, quantity, line)
                if wanted and math.isfinite(point.value):
                    found.setdefault((point.x, point.name), []).append(point.value)
        return [(x, name, stats.summarize(found[x, name])) for x, name in sorted(found)]

    def seeds(self, label: str) -> int:
        return sum(finding.label == label for finding in self.findings)


def save(report: Report, stem: Path) -> None:
    """Writes STEM.json, which says all of it, and STEM.csv, the numbers alone."""
    stem.parent.mkdir(parents=True, exist_ok=True)
    write_atomically(stem.with_suffix(".json"), to_json(report))
    write_atomically(stem.with_suffix(".csv"), _csv(report.findings))


def read(path: Path) -> Report:
    """The inverse of `save`; raises ValueError where the file is no report."""
    try:
        values = json.loads(path.read_text())
        found = {field.name: values[field.name] for field in dataclasses.fields(Report)}
        found["quantities"] = tuple(Quantity(**each) for each in values["quantities"])
        found["findings"] = tuple(
            Finding(**(each | {"points": tuple(Point(*point) for point in each["points"])}))
            for each in values["findings"]
        )
        return Report(**found)
    except (KeyError, TypeError) as error:
        raise ValueError(f"{path} is no report of a probe ({error})") from error


def to_json(report: Report) -> str:
    """Values are rounded to seven digits, which float32 has."""
    values = dataclasses.asdict(report)
    for finding, plain in zip(report.findings, values["findings"], strict=True):
        plain["points"] = [
            [point.quantity, point.line, point.x, point.name, float(f"{point.value:.7g}")]
            for point in finding.points
        ]
    return json.dumps(values | provenance()) + "\n"


def _csv(findings: Sequence[Finding]) -> str:
    file = io.StringIO()
    writer = csv.writer(file, lineterminator="\n")
    writer.writerow(["arm", "seed", "step", "quantity", "line", "x", "name", "value"])
    for finding in findings:
        for point in finding.points:
            own = (finding.label, finding.seed, finding.step)
            writer.writerow([*own, point.quantity, point.line, f"{point.x:g}", point.name, repr(point.value)])
    return file.getvalue()


def chosen(lines: list[str]) -> list[str]:
    """-> those that are shown; the files hold all: the first two, and of the others a few evenly spaced."""
    if len(lines) <= MOST:
        return lines
    rest, count = lines[2:], MOST - 2
    return lines[:2] + [rest[round((i + 1) * (len(rest) - 1) / count)] for i in range(count)]


def table(report: Report) -> str:
    """-> a line for each curve: its means over seeds at both ends and in the middle, and its range."""
    body = []
    for quantity in report.quantities:
        for line in report.shown(quantity.name):
            for label in report.labels:
                curve = report.curve(label, quantity.name, line)
                if curve:
                    means = [found.mean for *_, found in curve]
                    ends = [means[0], means[len(means) // 2], means[-1], min(means), max(means)]
                    count = max(found.n for *_, found in curve)
                    body.append([label, quantity.name, line, str(count), *(f"{value:.3g}" for value in ends)])
    return markup.text(HEADER, body)
