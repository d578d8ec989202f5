"""A table's file, and its cells: each row with each seed, as the config that a run needs."""

import dataclasses
import functools
import json
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from resjax import config as configs
from resjax import pyfile
from resjax.config import Config
from resjax.data import sources
from resjax.errors import UserError, did_you_mean
from resjax.losses import Term
from resjax.metrics import shapes
from resjax.models.trunk import MAIN
from resjax.rows import Row, Table


@dataclasses.dataclass(frozen=True)
class Cell:
    """One run of a table.

    Attributes:
      recipe: the row's config; its seed is not the cell's.
      text: the same as JSON, without a seed, to be compared.
      flags: of `resjax train`, which give the cell's config.
    """

    row: Row
    seed: int
    recipe: Config
    text: str
    flags: tuple[str, ...]

    @functools.cached_property
    def config(self) -> Config:
        return configs.with_seed(self.recipe, self.seed)

    @property
    def label(self) -> str:
        return f"{self.row.label}, seed {self.seed}"

    @property
    def record_name(self) -> str:
        return f"{self.row.slug}-seed{self.seed}.json"


def split(spec: str) -> tuple[Path, list[str]]:
    """-> the file and the argument, if there is one, of `path.py[:arg]`."""
    path, _, arg = spec.partition(":")
    return Path(path), [arg] if arg else []


def load(spec: str) -> Table:
    """Reads the file of `path.py[:arg]`; raises UserError where it is absent, fails, or defines no table."""
    file, args = split(spec)
    table = pyfile.call(file, "get_table", *args)
    if not isinstance(table, Table):
        raise UserError(f"{file}: get_table() returned {type(table).__name__}, not a resjax.table.Table")
    return table


def cells(table: Table, file: Path) -> Iterator[Cell]:
    """Seed by seed, so that an unfinished table has the same number of seeds in most rows."""
    loaded = [_load(table, row, file) for row in table.rows]
    for seed in table.seeds:
        for row, (recipe, text, spec, overrides) in zip(table.rows, loaded, strict=True):
            yield Cell(row, seed, recipe, text, ("--config", spec, *overrides, f"--config.seed={seed}"))


def seedless(config: Mapping[str, Any]) -> str:
    """-> a config's plain values as JSON, all but the seed."""
    return json.dumps({key: value for key, value in config.items() if key != "seed"}, sort_keys=True)


def _load(table: Table, row: Row, file: Path) -> tuple[Config, str, str, list[str]]:
    """-> the row's config, as JSON too, its path with the argument as one from here finds it, and the
    overrides.
    """
    path, colon, arg = row.config.partition(":")
    spec = f"{os.path.relpath(file.parent / path)}{colon}{arg}"
    overrides = [f"--config.{key}={value}" for key, value in row.overrides.items()]
    config = configs.load(spec, overrides)
    _check_metric(table.metric, config)
    return config, seedless(configs.portable(config)), spec, overrides


def _check_metric(metric: str, config: Config) -> None:
    splits = ("train", "test", "validation") if config.data.holdout else ("train", "test")
    outputs = [MAIN, *(head.name for head in config.heads)]
    term = Term(pixel_classes=int(sources.labels_pixels(config.data.name)))
    names = shapes(outputs, dict.fromkeys(outputs, term))
    known = [f"{split}/{name}" for split in splits for name in names]
    if metric not in known:
        raise UserError(f"a table's metric is '{metric}'{did_you_mean(metric, known)}")
