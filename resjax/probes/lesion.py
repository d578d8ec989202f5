"""Units deleted and reordered in a trained net, and the gradient along paths of each length."""

import itertools
import math
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int
from scipy import stats

from resjax import checks
from resjax.device import Variables
from resjax.errors import UserError
from resjax.losses import Term
from resjax.models.trunk import MAIN, Trunk
from resjax.probes import plot, surgery
from resjax.probes.bench import Bench, Point, Quantity, Report, Subject

ERROR = "test error (share of images)"
MEDIAN, LOW, HIGH = "median", "10 % of draws below", "90 % of draws below"
QUANTITIES = (
    Quantity(
        name="deleted", title="one unit deleted", x_label="deleted block, from the image; 0: none",
        y_label=ERROR,
    ),
    Quantity(
        name="deletions", title="units deleted at random", x_label="number of deleted units", y_label=ERROR
    ),
    Quantity(
        name="permutations", title="units reordered at random",
        x_label="Kendall rank correlation with their order", y_label=ERROR,
    ),
    Quantity(
        name="path", title="gradient of the image along one path", x_label="branches on the path",
        y_label="norm, RMS over examples (nats)", log=True,
    ),
    Quantity(
        name="paths", title="times the number of such paths", x_label="branches on the path",
        y_label="norm x number of paths (nats)", log=True,
    ),
)  # fmt: skip
BANDED = ("deletions", "permutations")


def measure(
    subject: Subject, bench: Bench, *, examples: int = 250, draws: int = 10, counts: int = 12
) -> list[Point]:
    """Lesions of a trained net: Veit et al. 2016 (1605.06431), sections 4.1 to 4.3.

    Of u units, in evaluation, with the values that evaluation uses and the running statistics as they are.
    The error is the share of `examples` of the test split whose largest logit is not their label's.

    - `deleted`: the error without the unit at x; x = 0: the net's own. What is left of a unit is its
      shortcut, and what comes behind the addition. A unit of a plain net gives its input through; one that
      changes the shape stays.
    - `deletions`: the error without x units, drawn `draws` times for each of up to `counts` numbers x: the
      median, and where 10 and 90 % of the draws are below.
    - `permutations`: the error after random pairs of units have swapped their arrays, as many pairs as the
      numbers above. Pairs are of one stretch of units that differ in their arrays' values alone. x is the
      mean over the draws of Kendall's tau-b of the order.
    - `path`: of a residual net, ||dL_i/dx_i|| with respect to the image x_i, as the gradient's root mean
      square over `examples` of the test split, along paths through exactly x of the branches and the
      shortcuts of all other units, for up to `counts` lengths x; the mean over `draws` choices of branches.
      L_i is the main loss.
    - `paths`: that times the number of such paths, u over x: what all paths of the length could amount to.
    """
    checks.at_least(1, examples=examples, draws=draws, counts=counts)
    whole = surgery.units(subject.net.trunk) and subject.net.until == MAIN
    patient = Patient(subject, bench, *subject.images(examples, "test")) if whole else None
    if patient is None or not patient.removable:
        raise UserError(
            f"{subject.label}: lesions are of a whole net of units, such as residual_mlp or cifar_resnet"
        )
    numbers = spread(len(patient.removable), counts)
    work = [
        *(partial(_deleted, patient, name) for name in ("", *patient.removable)),
        *(partial(_deletions, patient, number, draws) for number in numbers),
        *(partial(_permutations, patient, number, draws) for number in numbers if patient.pairs),
        *(partial(_paths, patient, number, draws) for number in spread(len(patient.branches), counts)),
    ]
    found: list[Point] = []
    with bench.display.task(f"{subject.label}, seed {subject.seed}", len(work)) as update:
        for done, piece in enumerate(work, 1):
            found += piece()
            update(done, "")
    return found


def spread(last: int, counts: int) -> list[int]:
    """-> whole numbers from 0 to `last`, evenly spaced, `counts` at most and always both ends."""
    return sorted({round(number) for number in np.linspace(0, last, max(2, counts))}) if last else []


class Patient:
    """A net whose units can be deleted and reordered, with images to try it on.

    Attributes:
      removable: units that can be deleted.
      branches: units that have a shortcut.
      pairs: units, by number, whose arrays may be swapped.
    """

    def __init__(self, subject: Subject, bench: Bench, inputs: Array, labels: Array):
        self.trunk, self.poll = subject.net.trunk, bench.poll
        self.units = surgery.units(self.trunk)
        self.number = {name: number for number, name in enumerate(self.units)}
        residual, same_shape = surgery.kinds(self.trunk, inputs.shape[1:])
        self.branches = [name for name in self.units if name in residual]
        self.removable = [name for name in self.units if name in residual or name in same_shape]
        self.pairs = [
            (self.number[a], self.number[b])
            for chain in self.trunk.chains()
            for a, b in itertools.combinations(chain, 2)
        ]
        self.places = {name: place for place, name in enumerate(subject.anatomy.modules, 1)}
        self._data = subject.evaluated_trunk, inputs, labels
        self._term = subject.task.objective.terms[MAIN]

    def error(self, gone: Sequence[str] = (), order: Sequence[int] | None = None) -> float:
        self.poll()
        kept = jnp.asarray([name not in gone for name in self.units])
        places = jnp.asarray(range(len(self.units)) if order is None else order, jnp.int32)
        return float(_error(*self._data, kept, places, trunk=self.trunk))

    def gradient(self, through: Sequence[str]) -> float:
        self.poll()
        choice = jnp.asarray([name in through for name in self.units])
        return float(_gradient(*self._data, choice, trunk=self.trunk, term=self._term))


def _deleted(patient: Patient, name: str) -> list[Point]:
    place = patient.places[name] if name else 0
    return [Point("deleted", "", place, name or "none", patient.error([name]))]


def _deletions(patient: Patient, number: int, draws: int) -> list[Point]:
    chosen = choices(patient.removable, number, draws)
    errors = [patient.error(gone) for gone in chosen]
    return _quantiles("deletions", number, f"{number} deleted", errors)


def _permutations(patient: Patient, number: int, draws: int) -> list[Point]:
    drawn = orders(patient.pairs, len(patient.units), number, draws)
    compare: Any = stats.kendalltau  # SciPy types its result as a plain tuple
    alike = [compare(range(len(order)), order).statistic for order in drawn]
    errors = [patient.error(order=order) for order in drawn]
    return _quantiles("permutations", float(np.mean(alike)), f"{number} pairs swapped", errors)


def _paths(patient: Patient, length: int, draws: int) -> list[Point]:
    norms = [patient.gradient(through) for through in choices(patient.branches, length, draws)]
    mean, name = float(np.mean(norms)), f"{length} branches"
    number = math.comb(len(patient.branches), length)
    return [Point("path", "", length, name, mean), Point("paths", "", length, name, mean * number)]


def _quantiles(quantity: str, x: float, name: str, values: Sequence[float]) -> list[Point]:
    shares = {MEDIAN: 0.5, LOW: 0.1, HIGH: 0.9}
    return [
        Point(quantity, line, x, name, float(np.quantile(values, share))) for line, share in shares.items()
    ]


def choices(names: Sequence[str], number: int, draws: int) -> list[list[str]]:
    """-> random sets of so many names; just one where there is no choice."""
    rng = np.random.default_rng([len(names), number])
    count = 1 if number in (0, len(names)) else draws
    return [[names[int(i)] for i in rng.permutation(len(names))[:number]] for _ in range(count)]


def orders(pairs: Sequence[tuple[int, int]], length: int, number: int, draws: int) -> list[list[int]]:
    """-> random orders of 0 to length - 1, after so many swaps of pairs that are drawn anew each time."""
    rng = np.random.default_rng([length, number])
    found = []
    for _ in range(draws if number else 1):
        order = list(range(length))
        for a, b in rng.choice(np.asarray(pairs), number):
            order[a], order[b] = order[b], order[a]
        found.append(order)
    return found


@partial(jax.jit, static_argnames=("trunk",))
def _error(
    variables: Variables,
    inputs: Float[Array, "b h w c"],
    labels: Int[Array, " b"],
    kept: Bool[Array, " u"],
    order: Int[Array, " u"],
    *,
    trunk: Trunk,
) -> Float[Array, ""]:
    variables = surgery.permute(variables, order, surgery.units(trunk), trunk.chains())
    found = surgery.logits(trunk, variables, inputs, kept=kept)
    return (found.argmax(1) != labels).mean(dtype=jnp.float32)


@partial(jax.jit, static_argnames=("trunk", "term"))
def _gradient(
    variables: Variables,
    inputs: Float[Array, "b h w c"],
    labels: Int[Array, " b"],
    through: Bool[Array, " u"],
    *,
    trunk: Trunk,
    term: Term,
) -> Float[Array, ""]:
    """-> the root mean square over examples; one's loss has a gradient of its own image alone."""

    def total(x: Array) -> Float[Array, ""]:
        return term.per_example(surgery.logits(trunk, variables, x, through=through), labels).sum()

    return jnp.sqrt(jnp.square(jax.grad(total)(inputs)).sum() / len(inputs))


def draw(report: Report, stem: Path) -> None:
    """STEM: a panel for each quantity; of random choices the median, and a band from 10 to 90 % of them."""
    shown = [quantity for quantity in report.quantities if report.lines(quantity.name)]
    rows = 2 if len(shown) > 3 else 1
    with plot.canvas(rows, 3, stem) as (fig, axes):
        for axis, quantity in zip(axes.flat, shown, strict=False):
            banded = quantity.name in BANDED
            (_banded if banded else plot.panel)(axis, report, quantity)
        for axis in axes.flat[len(shown) :]:
            axis.set_axis_off()
        plot.legend(fig, axes, report)
        fig.suptitle(report.title)


def _banded(axis: Any, report: Report, quantity: Quantity) -> None:
    for number, label in enumerate(report.labels):
        curves = [report.curve(label, quantity.name, line) for line in (MEDIAN, LOW, HIGH)]
        x = [at for at, *_ in curves[0]]
        middle, low, high = ([found.mean for *_, found in curve] for curve in curves)
        colour = plot.COLOURS[number % len(plot.COLOURS)]
        axis.plot(x, middle, color=colour, linewidth=1.8, marker="o", markersize=3, label=label)
        axis.fill_between(x, low, high, color=colour, alpha=0.15, linewidth=0)
    plot.dress(axis, quantity)
    axis.set_title(f"{quantity.title}\n(median, and 10 to 90 % of draws)", fontsize="medium")
    if quantity.name == "permutations":
        axis.invert_xaxis()  # from the net's own order on
