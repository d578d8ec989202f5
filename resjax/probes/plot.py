"""Figures of probes: curves with a band over seeds, one panel a quantity."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from resjax.probes.findings import Quantity, Report, chosen

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
    names = chosen(report.lines(quantity.name))
    for number, label in enumerate(report.labels):
        for style, line in zip(STYLES, names, strict=False):
            curve = report.curve(label, quantity.name, line)
            if not curve:
                continue
            x, colour = [at for at, *_ in curve], COLOURS[number % len(COLOURS)]
            name = f"{label}, {line}" if line and len(names) > 1 else label
            axis.plot(
                x, [found.mean for *_, found in curve], style, color=colour, linewidth=1.8, label=name,
                marker="o" if len(curve) < 20 else None, markersize=3,
            )  # fmt: skip
            low = [found.mean - (found.std or 0) for *_, found in curve]
            high = [found.mean + (found.std or 0) for *_, found in curve]
            if quantity.log:  # a band that reaches zero has no end on this axis
                low = [max(value, found.mean / 10) for value, (*_, found) in zip(low, curve, strict=True)]
            axis.fill_between(x, low, high, color=colour, alpha=0.15, linewidth=0)
    dress(axis, quantity)


def dress(axis: Any, quantity: Quantity) -> None:
    axis.set(title=quantity.title, xlabel=quantity.x_label, ylabel=quantity.y_label)
    if quantity.log:
        axis.set_yscale("log")
    axis.grid(alpha=0.25)
    axis.spines[["top", "right"]].set_visible(False)


def legend(fig: Any, axes: Any, report: Report) -> None:
    handles: dict[str, Any] = {}
    for axis in axes.flat:
        handles |= {name: handle for handle, name in zip(*axis.get_legend_handles_labels(), strict=True)}
    counts = sorted({report.seeds(label) for label in report.labels})
    seeds = "-".join(map(str, dict.fromkeys((counts[0], counts[-1]))))
    title = "one seed" if seeds == "1" else f"mean ± std of {seeds} seeds"
    if handles:
        fig.legend([*handles.values()], [*handles], title=title, frameon=False, loc="outside right center")
