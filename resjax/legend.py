"""One legend for all panels of a figure, and the numbers of seeds in words."""

from collections.abc import Iterable
from typing import Any


def outside(fig: Any, axes: Any, title: str) -> None:
    """At the right of the panels, each name once; nothing where no panel has a name."""
    handles: dict[str, Any] = {}
    for axis in axes.flat:
        handles |= {name: handle for handle, name in zip(*axis.get_legend_handles_labels(), strict=True)}
    if handles:
        fig.legend([*handles.values()], [*handles], title=title, frameon=False, loc="outside right center")


def span(counts: Iterable[int]) -> str:
    """-> "3", or "1-2" where they differ; "0" where there are none."""
    found = sorted(set(counts)) or [0]
    return "-".join(map(str, dict.fromkeys((found[0], found[-1]))))
