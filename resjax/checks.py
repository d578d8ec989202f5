"""Ranges of settings. Each function raises ValueError("KEY is VALUE; it must be ..."); NaN is in no range."""

import math


def at_least(low: float, **settings: float) -> None:
    for key, value in settings.items():
        if not low <= value < math.inf:
            raise ValueError(f"{key} is {value}; it must be at least {low} and finite")


def positive(**settings: float) -> None:
    for key, value in settings.items():
        if not 0 < value < math.inf:
            raise ValueError(f"{key} is {value}; it must be above 0 and finite")


def share(**settings: float) -> None:
    """From 0 to below 1: rates of decay, of dropout."""
    for key, value in settings.items():
        if not 0 <= value < 1:
            raise ValueError(f"{key} is {value}; it must be from 0 to below 1")


def inside(**settings: float) -> None:
    """Strictly between 0 and 1."""
    for key, value in settings.items():
        if not 0 < value < 1:
            raise ValueError(f"{key} is {value}; it must be between 0 and 1")


def probability(**settings: float) -> None:
    for key, value in settings.items():
        if not 0 <= value <= 1:
            raise ValueError(f"{key} is {value}; it must be from 0 to 1")


def finite(**settings: float) -> None:
    for key, value in settings.items():
        if not math.isfinite(value):
            raise ValueError(f"{key} is {value}; it must be finite")


def of_form(depth: int, slope: int, offset: int) -> int:
    """-> n, 1 at least, of a depth slope * n + offset; raises ValueError for any other depth."""
    n = max(1, round((depth - offset) / slope))
    if depth != slope * n + offset:
        raise ValueError(f"depth is {depth}; it must be {slope}n + {offset}, such as {slope * n + offset}")
    return n
