"""What a table is: rows of configs, times seeds."""

import dataclasses
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

from resjax.errors import did_you_mean
from resjax.published import Published

Record = dict[str, Any]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Row:
    """One arm of a comparison.

    Attributes:
      config: path of a config file relative to the table's file, with `:arg` if it takes one.
      overrides: dotted keys of the config and their values.
      line, x, panel: where the row stands in the figure: its curve, its place on the axis, and the column
        of panels that it is in.
      published: a paper's number for this row.
    """

    label: str
    config: str
    overrides: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    line: str = ""
    x: float | None = None
    panel: str = ""
    published: Published | None = None

    @property
    def slug(self) -> str:
        return re.sub(r"[^a-z0-9]+", "-", self.label.lower()).strip("-")


@dataclasses.dataclass(frozen=True, kw_only=True)
class Table:
    """Rows times seeds.

    Attributes:
      metric: a key of a result's metrics, an accuracy; that of training stands beside it.
      report: how it is shown: as it is, or as the `error`, one less it, as most papers do.
      tolerance: in points; a published number is reproduced where ours is surely that near.
      x_log: the figure's axis of the rows' x is logarithmic.
      contrasts: (row, control) labels, compared seed by seed.
      timed: time is what it is about, so that its mean and spread are shown, without that of compiling.
      note: what a reader must know, below the title.
      keep_records: True puts records beside the table's file, under results/, to be committed; False
        under ./runs, for a table that everyone runs anew.
    """

    name: str
    title: str
    rows: tuple[Row, ...]
    seeds: tuple[int, ...]
    metric: str = "test/accuracy"
    report: Literal["accuracy", "error"] = "accuracy"
    tolerance: float = 0.5
    x_label: str = ""
    x_log: bool = False
    contrasts: tuple[tuple[str, str], ...] = ()
    timed: bool = False
    note: str = ""
    keep_records: bool = True

    def __post_init__(self) -> None:
        labels = [row.label for row in self.rows]
        slugs = [row.slug for row in self.rows]
        if not self.rows or not all(slugs) or len(set(slugs)) < len(slugs):
            raise ValueError(f"rows are {labels}; there must be one at least, each with a label of its own")
        whole = all(isinstance(seed, int) and seed >= 0 for seed in self.seeds)
        if not self.seeds or not whole or len(set(self.seeds)) < len(self.seeds):
            raise ValueError(
                f"seeds is {self.seeds}; it must hold whole numbers from 0, at least one and none twice"
            )
        for pair in self.contrasts:
            if not isinstance(pair, tuple) or len(pair) != 2:
                raise ValueError(f"contrasts has {pair}; each must be a row and its control")
            for label in pair:
                if label not in labels:
                    raise ValueError(f"contrasts name the row '{label}'{did_you_mean(label, labels)}")

    @property
    def compares(self) -> bool:
        """There are published numbers."""
        return any(row.published for row in self.rows)

    @property
    def train_metric(self) -> str:
        """-> the same of training: `train/iou` beside `test/iou`."""
        return f"train/{self.metric.rpartition('/')[2]}"

    def heading(self, metric: str) -> str:
        return f"{metric.replace('accuracy', self.report)}, %"

    def percent(self, accuracy: float) -> float:
        """-> what is shown of an accuracy from 0 to 1."""
        return 100 * (accuracy if self.report == "accuracy" else 1 - accuracy)

    def results(self, file: Path) -> Path:
        return (file.parent / "results" if self.keep_records else Path("runs") / "results") / self.name
