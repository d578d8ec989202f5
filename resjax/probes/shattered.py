"""Shattered gradients: how fast the gradient with respect to the input changes with the input."""

import math
from functools import partial
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from resjax import checks
from resjax.anatomy import Shapes, dissect
from resjax.device import Variables
from resjax.errors import UserError
from resjax.families import build_trunk
from resjax.models.heads import Net
from resjax.models.trunk import MAIN, Trunk
from resjax.phases import init_trunk
from resjax.probes import noise, plot, statistics
from resjax.probes.bench import Bench, Point, Quantity, Report, Subject

PIXEL = (1, 1, 1)
RANGE = 2.0  # inputs of the scalar net lie in [-2, 2]
CELLS = 32  # of each side of the correlation matrix that is kept
REFERENCES = 400  # draws of noise
QUANTITIES = (
    Quantity(
        name="autocorrelation", title="net of one number, at the start", x_label="lag (steps of the grid)",
        y_label="autocorrelation of the gradient",
    ),
    Quantity(
        name="gradient", title="gradient over the grid, first seed", x_label="input (no unit)",
        y_label="gradient / its RMS, moved apart",
    ),
    Quantity(
        name="path", title="between two images", x_label="lag (steps of the path)",
        y_label="autocorrelation of the gradient",
    ),
)  # fmt: skip


def measure(
    subject: Subject, bench: Bench, *, nets: int = 8, inputs: int = 256, paths: int = 8
) -> list[Point]:
    """Autocorrelation and correlation of input gradients.

    Of the *scalar net*, the model of the config for images of shape (1, 1, 1) and one class, before
    training whatever the subject is: g_i = df(x_i)/dx, at `inputs` numbers x_i evenly from -2 to 2, of `nets`
    draws of the initial values, the first by the config's seed. `nets` = 0 leaves it out.

    - `gradient`: g_i of the first draw, divided by its root mean square.
    - `autocorrelation`: R(l) = sum_i g_i g_(i+l) / sqrt(sum_i g_i^2 sum_i g_(i+l)^2), i from 1 to
      `inputs` - l, mean over the draws. No mean is taken off, so a linear net has 1; white noise has 0.
    - `covariance`, in the files and a figure of its own: E g_i g_j / sqrt(E g_i^2 E g_j^2) over the draws,
      for 32 of the inputs, the upper triangle. White noise has 0 off the diagonal, brown noise
      min(s, t) / sqrt(s t).

    A net with neither norms nor biases is proportional to |x|, so that g takes two values alone: draw biases
    (`bias_std`).

    Batch norm has the statistics of the grid as a batch, as in the paper; they are held constant in the
    derivative, so that g is that of a function of one number.

    Of the *subject's own net*, with its values, the same on real inputs:

    - `path`: R(l) of the gradient vectors, with inner products for products, of the logit of a's class along
      the straight line from a to b, `inputs` points from one example of train to another, not augmented; mean
      over `paths` pairs. Batch norm has the running statistics, at step 0 those of 512 examples. `paths` = 0
      leaves it out.

    Balduzzi et al. 2017 (1702.08591): figure 1 for gradients and covariances, figure 2 for the
    autocorrelation by depth, with 200 units a layer. Lines between examples are not the paper's.
    """
    checks.at_least(0, nets=nets, paths=paths)
    checks.at_least(CELLS, inputs=inputs)
    found = scalar(subject, bench, nets, inputs) if nets else []
    return found + (along_paths(subject, bench, paths, inputs) if paths else [])


def scalar(subject: Subject, bench: Bench, nets: int, inputs: int) -> list[Point]:
    net, grid = _scalar_net(subject), np.linspace(-RANGE, RANGE, inputs)
    first, _ = jax.random.split(jax.random.key(subject.seed))  # as training does
    images, draws = jnp.asarray(grid, jnp.float32).reshape(-1, *PIXEL), []
    for number in range(nets):
        bench.poll()
        own = init_trunk(net, jax.random.fold_in(first, number) if number else first, Shapes(PIXEL, {}))
        variables = {kind: tree["trunk"] for kind, tree in own.items()}
        if "batch_stats" in variables:
            variables = statistics.estimate(variables, images, trunk=net.trunk, after="", until=MAIN)
        draws.append(gradients(variables, images, jnp.ones(1), trunk=net.trunk, after=""))
    values = np.concatenate(draws, 1, dtype=np.float64).T
    scaled = values[0] / (np.sqrt(np.square(values[0]).mean()) or 1)
    points = [Point("gradient", "", float(x), "", float(y)) for x, y in zip(grid, scaled, strict=True)]
    kept = np.linspace(0, inputs - 1, CELLS).round().astype(int)
    return points + _curve("autocorrelation", values[..., None]) + _matrix(grid[kept], values[:, kept])


def _scalar_net(subject: Subject) -> Net:
    """Raises UserError where the model does not go together with images of one pixel."""
    trunk = build_trunk(1, **subject.config.model.to_dict())
    try:
        shapes = dissect(trunk, PIXEL).endpoints.values()
        reason = "" if all(map(math.prod, shapes)) else "nothing of the image is left inside"
    except ValueError as error:
        reason = str(error)
    if reason:
        name = subject.config.model.name
        raise UserError(
            f"{subject.label}: the model {name} cannot be a net of one number ({reason}); --probe.nets=0"
            " measures its own net alone"
        )
    return Net(trunk)


def along_paths(subject: Subject, bench: Bench, paths: int, inputs: int) -> list[Point]:
    """Raises UserError where the net gives no logits."""
    net = subject.net
    if net.until != MAIN:
        raise UserError(
            f"{subject.label}: the net ends at '{net.until}' in this phase and has no logits; --probe.paths=0"
            " leaves paths between images out"
        )
    seen, targets = subject.batch(max(2 * paths, statistics.EXAMPLES))
    variables, found = statistics.fixed(subject, seen), []
    for number in range(min(paths, len(seen) // 2)):
        bench.poll()
        line = _line(seen[2 * number], seen[2 * number + 1], inputs)
        classes = subject.job.dataset.classes
        chosen = jax.nn.one_hot(targets["labels"][2 * number], classes, dtype=jnp.float32)
        found.append(np.asarray(gradients(variables, line, chosen, trunk=net.trunk, after=net.after)))
    return _curve("path", np.stack(found).astype(np.float64))


def _line(a: Array, b: Array, count: int) -> Float[Array, "n ..."]:
    share = jnp.linspace(0, 1, count, dtype=a.dtype).reshape(-1, *[1] * a.ndim)
    return (1 - share) * a[None] + share * b[None]


@partial(jax.jit, static_argnames=("trunk", "after"))
def gradients(
    variables: Variables,
    inputs: Float[Array, "n ..."],
    weights: Float[Array, " k"],
    *,
    trunk: Trunk,
    after: str,
) -> Float[Array, "n d"]:
    """-> the gradient of weights . logits with respect to each input; no example knows the others."""

    def total(x: Array) -> Float[Array, ""]:
        found: Any = trunk.apply(variables, x, train=False, after=after)
        return (found[MAIN].astype(jnp.float32) @ weights).sum()

    return jax.grad(total)(inputs).reshape(len(inputs), -1).astype(jnp.float32)


def _curve(quantity: str, values: Float[np.ndarray, "m n d"]) -> list[Point]:
    """-> the mean autocorrelation; nets whose gradient is zero all along have none."""
    lags = values.shape[1] // 2
    each = np.stack([noise.autocorrelation(own, lags) for own in values])
    each = each[np.isfinite(each).all(1)]
    means = each.mean(0) if len(each) else []
    return [Point(quantity, "", lag, "", float(value)) for lag, value in enumerate(means, 1)]


def _matrix(places: Float[np.ndarray, " n"], draws: Float[np.ndarray, "m n"]) -> list[Point]:
    found = noise.correlation(draws)
    return [
        Point("covariance", f"{places[i]:.4g}", float(places[j]), "", float(found[i, j]))
        for i in range(len(places))
        for j in range(i, len(places))
    ]


def draw(report: Report, stem: Path) -> None:
    """Curves, and the correlation matrices in STEM-covariance.png and .pdf."""
    shown = [quantity for quantity in report.quantities if report.lines(quantity.name)]
    with plot.canvas(1, len(shown), stem) as (fig, axes):
        for axis, quantity in zip(axes.flat, shown, strict=True):
            if quantity.name == "gradient":
                _sequences(axis, report, quantity)
            else:
                plot.panel(axis, report, quantity)
                _references(axis, report.settings["inputs"])
        plot.legend(fig, axes, report)
        fig.suptitle(report.title)
    if report.lines("covariance"):
        _matrices(report, stem.with_name(f"{stem.name}-covariance"))


def _references(axis: Any, inputs: int) -> None:
    for style, (name, make) in zip(("--", ":"), noise.NOISES.items(), strict=True):
        draws = make(REFERENCES, inputs)[..., None]
        means = np.mean([noise.autocorrelation(own, inputs // 2) for own in draws], 0)
        axis.plot(range(1, inputs // 2 + 1), means, style, color="0.5", linewidth=1.8, label=name)
    axis.set(xscale="log", ylim=(-0.3, 1.05))


def _sequences(axis: Any, report: Report, quantity: Quantity) -> None:
    """One below the other, for they would hide each other; the noises at the bottom."""
    x = np.linspace(-RANGE, RANGE, report.settings["inputs"])
    rows = [(plot.COLOURS[i % len(plot.COLOURS)], _own(report, each)) for i, each in enumerate(report.labels)]
    rows += [("0.5", make(1, len(x))[0]) for make in noise.NOISES.values()]
    for number, (colour, values) in enumerate(rows):
        scaled = np.clip(values / np.sqrt(np.square(values).mean()), -3, 3) if np.any(values) else values
        axis.plot(x, scaled - 6 * number, color=colour, linewidth=0.8)
    plot.dress(axis, quantity)
    axis.set_yticks([])


def _own(report: Report, label: str) -> np.ndarray:
    points = next(each.points for each in report.findings if each.label == label)
    return np.array([point.value for point in points if point.quantity == "gradient"])


def _matrices(report: Report, stem: Path) -> None:
    names = [*report.labels, *noise.NOISES]
    rows = -(-len(names) // 5)
    columns = -(-len(names) // rows)
    with plot.canvas(rows, columns, stem, figsize=(2.6 * columns + 1, 2.7 * rows + 0.5)) as (fig, axes):
        for axis in axes.flat[len(names) :]:
            axis.set_axis_off()
        for axis, name in zip(axes.flat, names, strict=False):
            values = _mean_matrix(report, name)
            edges = (-RANGE, RANGE, RANGE, -RANGE)
            image = axis.imshow(values, vmin=-1, vmax=1, cmap="RdBu_r", extent=edges)
            axis.set(title=name, xlabel="input (no unit)", ylabel="input (no unit)")
        fig.colorbar(image, ax=axes, label="correlation over initial values")
        draws = report.settings["nets"] * max(map(report.seeds, report.labels))
        fig.suptitle(f"Correlation of the gradients at two inputs over {draws} initial values")


def _mean_matrix(report: Report, name: str) -> np.ndarray:
    """-> of an arm over its seeds; of a noise what it is in expectation."""
    if name in noise.NOISES:
        s = np.arange(1, CELLS + 1)
        return np.eye(CELLS) if name == "white noise" else np.minimum.outer(s, s) / np.sqrt(np.outer(s, s))
    found = []
    for finding in report.findings:
        values = [point.value for point in finding.points if point.quantity == "covariance"]
        if finding.label == name and values:
            cells = math.isqrt(2 * len(values))  # n (n + 1) / 2 values
            matrix = np.zeros((cells, cells))
            matrix[np.triu_indices(cells)] = values
            found.append(matrix + np.triu(matrix, 1).T)
    return np.mean(found, 0)
