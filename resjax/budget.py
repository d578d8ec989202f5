"""Shortened runs: the same recipe, its whole schedule scaled by one share."""

import json
import math
from typing import Any

from resjax import config as configs
from resjax.config import Config
from resjax.errors import UserError

FULL = 1.0


def check(share: float) -> None:
    """Raises UserError where the share is not above 0 and at most 1."""
    if not 0 < share <= 1:
        raise UserError(f"--budget is {share:g}; it must be above 0 and at most 1, such as 0.1")


def shorten(config: Config, share: float) -> Config:
    """-> the config with length, drops and warm-up of every phase, and the life of heads, times `share`.

    What counts in steps is rounded to whole ones, at least one. How often a run logs, saves and evaluates
    stays as it is.
    """
    check(share)
    if share == FULL:
        return config
    values = json.loads(configs.to_json(config))
    for part in (values, *values["phases"]):
        _scale(part["schedule"], share)
        for head in part["heads"]:
            head["discard_at"] = _steps(head["discard_at"] * share)
    return configs.override(values, ())


def _scale(schedule: dict[str, Any], share: float) -> None:
    def scaled(value: float) -> float:
        return _steps(value * share) if schedule["unit"] == "steps" else round(value * share, 6)

    for key in schedule.keys() & {"length", "warmup"}:
        schedule[key] = scaled(schedule[key])
    if "drops" in schedule:
        schedule["drops"] = [scaled(drop) for drop in schedule["drops"]]


def _steps(value: float) -> int:
    """0 stands for never, and stays."""
    return math.ceil(value) if value < 1 else round(value)
