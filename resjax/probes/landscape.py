"""The loss around a net's parameters, along two random directions."""

import math
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int

from resjax import checks
from resjax.device import Variables
from resjax.errors import UserError
from resjax.losses import Term
from resjax.models.trunk import MAIN, Trunk
from resjax.probes import kept, plot
from resjax.probes.bench import Bench, Point, Quantity, Report, Subject
from resjax.probes.directions import filter_normalized

FIRST, SECOND = "along the first direction (norms of filters)", "along the second"
QUANTITIES = (
    Quantity(name="loss", title="loss on a line", x_label=FIRST, y_label="mean loss (nats)", log=True),
    Quantity(name="accuracy", title="accuracy on the line", x_label=FIRST, y_label="share of train images"),
    Quantity(name="surface", title="loss on a plane", x_label=FIRST, y_label="mean loss (nats)", log=True),
)
NAMES = ("loss", "accuracy")
LEVELS = 25  # of a contour map
Plane = tuple[np.ndarray, np.ndarray, str]


def measure(
    subject: Subject,
    bench: Bench,
    *,
    points: int = 21,
    radius: float = 1.0,
    examples: int = 250,
    directions: int = 0,
) -> list[Point]:
    """The main loss at theta + a d1 + b d2 and its accuracy: Li et al. 2018 (1712.09913), sections 3 and 4.

    theta are the trunk's parameters as evaluation uses them; d1 and d2 are random and filter-normalised:
    each filter is as long as theta's own, and biases and the parameters of norms stay. a and b are in
    units of these norms, `points` evenly spaced numbers from -`radius` to `radius`; another number for
    `directions` draws other ones. All is of `examples` of the train split, not augmented.

    - `loss`, `accuracy`: at x = a and b = 0: the mean, and the share whose largest logit is their label's.
    - `surface`: the mean loss at x = a; the line is b.

    Batch norm: behind training, as in evaluation, with theta's running statistics everywhere, as in the
    paper. Before the first step there are none worth the name: each place has the statistics of the batch,
    as in training, and what is dropped at random is the same everywhere.

    Rows that are done are kept where a command is stopped.
    """
    checks.at_least(3, points=points)
    checks.positive(radius=radius)
    checks.at_least(1, examples=examples)
    checks.at_least(0, directions=directions)
    if points % 2 == 0:
        raise ValueError(f"points is {points}; it must be odd, so that the net itself is one of them")
    if subject.net.until != MAIN:
        raise UserError(f"{subject.label}: the landscape is of a whole net; its phase ends before the logits")
    settings = {"points": points, "radius": radius, "examples": examples, "directions": directions}
    found = surface(subject, bench, **settings)
    places = [float(f"{place:.9g}") for place in np.linspace(-radius, radius, points)]
    middle = points // 2
    return [
        *(
            Point(name, "", a, f"{a:g}", float(value))
            for name in NAMES
            for a, value in zip(places, found[name][middle], strict=True)
        ),
        *(
            Point("surface", f"{b:g}", a, f"{a:g}", float(value))
            for b, row in zip(places, found["loss"], strict=True)
            for a, value in zip(places, row, strict=True)
        ),
    ]


def surface(
    subject: Subject,
    bench: Bench,
    *,
    points: int,
    radius: float,
    examples: int,
    directions: int,
) -> kept.Rows:
    """-> loss and accuracy at (second, first), (points, points) each; what is done is kept row by row."""
    file = kept.place(subject, bench.folder, [points, radius, examples, directions])
    variables = subject.evaluated_trunk
    pair = tuple(filter_normalized(variables["params"], directions, axis) for axis in (0, 1))
    places = np.linspace(-radius, radius, points, dtype=np.float32)
    data = subject.images(examples, "train")
    term = subject.task.objective.terms[MAIN]
    found = kept.read(file, NAMES, points)
    done = len(found["loss"])
    with bench.display.task(f"{subject.label}, seed {subject.seed}", points, done) as update:
        for number in range(done, points):
            bench.poll()
            row = jax.device_get(
                _row(
                    variables, pair, places, places[number], *data,
                    trunk=subject.net.trunk, term=term, train=subject.step == 0,
                )
            )  # fmt: skip
            found = {name: np.concatenate([found[name], row[name][None]]) for name in found}
            kept.write(file, found)
            update(number + 1, "")
    return found


@partial(jax.jit, static_argnames=("trunk", "term", "train"))
def _row(
    variables: Variables,
    directions: tuple[Any, Any],
    places: Float[Array, " p"],
    second: Float[Array, ""],
    inputs: Float[Array, "n h w c"],
    labels: Int[Array, " n"],
    *,
    trunk: Trunk,
    term: Term,
    train: bool,
) -> dict[str, Float[Array, " p"]]:
    """One place after the other: `vmap` would make grouped convolutions, and hold all activations at once."""
    rest = {name: tree for name, tree in variables.items() if name != "params"}

    def at(first: Float[Array, ""]) -> dict[str, Float[Array, ""]]:
        moved = jax.tree.map(
            lambda theta, a, b: theta + first.astype(theta.dtype) * a + second.astype(theta.dtype) * b,
            variables["params"],
            *directions,
        )
        found: Any = trunk.apply(
            {"params": moved, **rest}, inputs, train=train, mutable=list(rest),
            rngs={"dropout": jax.random.key(0)},
        )[0]  # fmt: skip
        logits = found[MAIN].astype(jnp.float32)
        right = logits.argmax(1) == labels
        return {
            "loss": term.per_example(logits, labels).mean(),
            "accuracy": right.mean(dtype=jnp.float32),
        }

    return jax.lax.map(at, places)


def draw(report: Report, stem: Path) -> None:
    """STEM: curves. STEM-contour, STEM-surface: the plane of each arm's first seed, on one scale."""
    shown = [quantity for quantity in report.quantities if quantity.name != "surface"]
    with plot.canvas(1, len(shown), stem) as (fig, axes):
        for axis, quantity in zip(axes.flat, shown, strict=True):
            plot.panel(axis, report, quantity)
        plot.legend(fig, axes, report)
        fig.suptitle(report.title)
    planes = {label: _plane(report, label) for label in report.labels}
    _contours(planes, stem.with_name(f"{stem.name}-contour"))
    _surfaces(planes, stem.with_name(f"{stem.name}-surface"))


def _plane(report: Report, label: str) -> Plane:
    """-> places, logarithms of the loss at (second, first), and whose they are; NaN where not finite."""
    finding = next(finding for finding in report.findings if finding.label == label)
    rows: dict[str, list[Point]] = {}
    for point in finding.points:
        if point.quantity == "surface":
            rows.setdefault(point.line, []).append(point)
    places = np.array([float(line) for line in rows])
    values = np.array([[point.value for point in row] for row in rows.values()])
    values = np.where(np.isfinite(values) & (values > 0), values, np.nan)
    return places, np.log10(values), f"{label}, seed {finding.seed}"


def _limits(planes: Mapping[str, Plane]) -> tuple[float, float]:
    values = np.concatenate([plane.ravel() for _, plane, _ in planes.values()])
    finite = values[np.isfinite(values)]
    return (finite.min(), finite.max()) if len(finite) else (0.0, 1.0)


def _contours(planes: Mapping[str, Plane], stem: Path) -> None:
    low, high = _limits(planes)
    levels = np.linspace(low, max(high, low + 1e-3), LEVELS)  # of logarithms: evenly spaced factors
    with plot.canvas(1, len(planes), stem, figsize=(4.2 * len(planes) + 1.2, 4.3)) as (fig, axes):
        for axis, (places, values, title) in zip(axes.flat, planes.values(), strict=True):
            filled = axis.contourf(places, places, values, levels, cmap="viridis")
            axis.contour(places, places, values, levels, colors="white", linewidths=0.4, linestyles="solid")
            axis.plot(0, 0, marker="+", color="white", markersize=9)
            axis.set(title=title, xlabel=FIRST, ylabel=SECOND, aspect="equal")
        powers = range(math.ceil(low), math.floor(high) + 1)
        bar = fig.colorbar(filled, ax=axes, label="mean loss (nats)", shrink=0.85)
        bar.set_ticks([*powers], labels=[f"$10^{{{power}}}$" for power in powers])
        fig.suptitle("loss on a plane through the net (+)")


def _surfaces(planes: Mapping[str, Plane], stem: Path) -> None:
    low, high = _limits(planes)
    size = {"figsize": (4.6 * len(planes) + 0.6, 4.6), "subplot_kw": {"projection": "3d"}}
    with plot.canvas(1, len(planes), stem, **size) as (fig, axes):
        for axis, (places, values, title) in zip(axes.flat, planes.values(), strict=True):
            x, y = np.meshgrid(places, places)
            axis.plot_surface(x, y, values, cmap="viridis", vmin=low, vmax=high, linewidth=0)
            axis.set(title=title, xlabel="first direction", ylabel="second direction", zlim=(low, high))
            axis.locator_params(nbins=5)
            axis.set_zlabel("log10 of the mean loss (nats)")
        fig.suptitle("loss on a plane through the net, in norms of filters")
