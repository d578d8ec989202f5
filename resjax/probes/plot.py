"""Figures of probes: curves with a band over seeds, one panel a quantity."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from resjax import legend as legends
from resjax.probes.findings import Quantity, Report

# Wong's colours, distinct under the common colour deficiencies (Nature Methods 8, 441, 2011).
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")
STYLES = ("-", "--", ":", "-.")


@contextmanager
def canvas(rows: int, columns: int, stem: Path, **settings: Any) -> Iterator[tuple[Any, Any]]:
    """-> (figure, axes), which are saved as STEM.png and STEM.pdf at the end."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot as plt

    options = {"figsize": (4.2 * columns + 1.6, 3.6 * rows + 0.4), "layout": "constrained", "squeeze": False}
    fig, axes = plt.subplots(rows, columns, **(options | settings))
    try:
        yield fig, axes
        stem.parent.mkdir(parents=True, exist_ok=True)
        fig.savefig(stem.with_suffix(".png"), dpi=150, metadata={"Software": None})
        fig.savefig(stem.with_suffix(".pdf"), metadata={"Creator": None, "CreationDate": None})
    finally:
        plt.close(fig)


def lines(report: Report, stem: Path) -> None:
    """Means over seeds against the place, with a band of one standard deviation."""
    shown = [quantity for quantity in report.quantities if report.lines(quantity.name)]
    with canvas(1, len(shown), stem) as (fig, axes):
        for axis, quantity in zip(axes.flat, shown, strict=True):
            panel(axis, report, quantity)
        legend(fig, axes, report)
        fig.suptitle(report.title)


def panel(axis: Any, report: Report, quantity: Quantity) -> None:
    """A colour for each arm, a style for each line; arms that agree show as one curve inside another."""
    names, everywhere = report.shown(quantity.name), report.styles
    for number, label in enumerate(report.labels):
        for line in names:
            curve = report.curve(label, quantity.name, line)
            if curve:
                name = f"{label}, {line}" if line and len(everywhere) > 1 else label
                settings = {
                    "color": COLOURS[number % len(COLOURS)],
                    "linestyle": STYLES[everywhere.index(line) % len(STYLES)],
                    "linewidth": 3.6 - 2 * number / max(1, len(report.labels) - 1),
                    "marker": "o" if len(curve) < 20 else None,
                    "markersize": 3,
                }
                _curve(axis, curve, name, settings, log=quantity.log)
    dress(axis, quantity)


def _curve(axis: Any, curve: Sequence[Any], name: str, settings: dict[str, Any], *, log: bool) -> None:
    x, found = [at for at, *_ in curve], [summary for *_, summary in curve]
    axis.plot(x, [each.mean for each in found], label=name, **settings)
    low = [each.mean - (each.std or 0) for each in found]
    high = [each.mean + (each.std or 0) for each in found]
    if log:  # a band that reaches zero has no end on this axis
        low = [max(value, each.mean / 10) for value, each in zip(low, found, strict=True)]
    axis.fill_between(x, low, high, color=settings["color"], alpha=0.15, linewidth=0)


def heat_map(
    fig: Any, axis: Any, values: np.ndarray, steps: Sequence[float], places: Sequence[str], **texts: str
) -> None:
    """Values (places, steps), above zero, in colours of a logarithmic scale; the image is at the bottom.

    `texts` are the title and the `label` of the colours.
    """
    from matplotlib.colors import LogNorm

    edges = np.arange(len(places) + 1)
    shown = axis.pcolormesh(_edges(steps), edges, values, norm=LogNorm(), cmap="viridis")
    every = max(1, -(-len(places) // 12))
    axis.set_yticks(edges[:-1:every] + 0.5, places[::every], fontsize=7)
    axis.set(title=texts["title"], xlabel="training steps")
    fig.colorbar(shown, ax=axis, label=texts["label"])


def _edges(x: Sequence[float]) -> np.ndarray:
    """-> the borders of cells around these places."""
    if len(x) == 1:
        return np.array([x[0] - 0.5, x[0] + 0.5])
    middle = (np.array(x[1:]) + np.array(x[:-1])) / 2
    return np.array([1.5 * x[0] - 0.5 * x[1], *middle, 1.5 * x[-1] - 0.5 * x[-2]])


def dress(axis: Any, quantity: Quantity) -> None:
    axis.set(title=quantity.title, xlabel=quantity.x_label, ylabel=quantity.y_label)
    if quantity.log:
        axis.set_yscale("log")
    if all(float(line.get_xdata()[0]).is_integer() for line in axis.lines):
        axis.locator_params(axis="x", integer=True)
    axis.grid(alpha=0.25)
    axis.spines[["top", "right"]].set_visible(False)


def legend(fig: Any, axes: Any, report: Report) -> None:
    seeds = legends.span(report.seeds(label) for label in report.labels)
    legends.outside(fig, axes, "one seed" if seeds == "1" else f"mean ± std of {seeds} seeds")
