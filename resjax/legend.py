"""One legend for all panels of a figure, and the numbers of seeds in words."""

from collections.abc import Iterable
from typing import Any


def place(fig: Any, axes: Any, title: str) -> None:
    """As `outside`; but where two names have lines that look alike, each upper panel has its own."""
    handles = _handles(axes.flat)
    looks = {(line.get_color(), line.get_linestyle(), line.get_marker()) for line in handles.values()}
    if len(looks) == len(handles):
        outside(fig, axes, title)
    else:
        for axis in axes[0]:
            axis.legend(title=title, frameon=False, fontsize=7, title_fontsize=7)


def outside(fig: Any, axes: Any, title: str) -> None:
    """At the right of the panels, each name once; nothing where no panel has a name."""
    handles = _handles(axes.flat)
    if handles:
        fig.legend([*handles.values()], [*handles], title=title, frameon=False, loc="outside right center")


def _handles(axes: Iterable[Any]) -> dict[str, Any]:
    pairs = (zip(*axis.get_legend_handles_labels(), strict=True) for axis in axes)
    return {name: handle for each in pairs for handle, name in each}


def span(counts: Iterable[int]) -> str:
    """-> "3", or "1-2" where they differ; "0" where there are none."""
    found = sorted(set(counts)) or [0]
    return "-".join(map(str, dict.fromkeys((found[0], found[-1]))))
