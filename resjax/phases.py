"""Phases of training: what each trains, freezes and attaches, with which targets, and for how long.

A phase is a run of its own that begins with the trunk that the one before it left: its optimizer, heads,
learning rate and order of the data start anew. The last one is what the config describes outside its
list of `phases`, so a run with pretraining ends with the very phase that a run without it consists of.
"""

import dataclasses
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jaxtyping import Array

from resjax import backend, checks, stacking, weights
from resjax.anatomy import Anatomy, Shapes
from resjax.device import Variables
from resjax.errors import did_you_mean
from resjax.models.heads import Head, Net
from resjax.models.trunk import MAIN
from resjax.step import Task, TrainState, init_state

LAST = "main"  # the name of the last phase


@dataclasses.dataclass(frozen=True, kw_only=True)
class Phase:
    """One entry of a config's `phases`; beside these keys, each has `schedule`, `heads` and `model`.

    `schedule` is a whole section of its own, `heads` are those attached in this phase, and `model` has the
    settings of the net that differ, to train a shallower net whose layers go into the deeper one.

    Attributes:
      name: in the log and in messages.
      after: the endpoint behind which training begins: what lies before is frozen, its parameters and its
        statistics, and computed as in evaluation. Empty: training begins with the image.
      until: the endpoint with which the trunk ends; what lies behind is not computed. `main`: to the logits.
      freeze: modules of the trunk in between that keep their parameters and statistics.
      noise: share of the elements of the trained part's input that are set to zero, at random, in
        training (masking noise: Vincent et al. 2010, section 3.3).
    """

    name: str
    after: str = ""
    until: str = MAIN
    freeze: tuple[str, ...] = ()
    noise: float = 0.0

    def __post_init__(self) -> None:
        checks.share(noise=self.noise)
        if not self.name.isidentifier():
            raise ValueError(f"name is '{self.name}'; it must be of letters, digits and '_'")


@dataclasses.dataclass(frozen=True, kw_only=True)
class Origin:
    """Sections `start` and `teacher` of a config: a run of this project.

    Attributes:
      run: its folder; empty: none.
      checkpoint: `last`, `best` or a step.
    """

    run: str = ""
    checkpoint: str = "last"


@dataclasses.dataclass(frozen=True)
class Stage:
    """A phase with the objects that run it; steps count from its own start.

    Attributes:
      task: with all its heads; `task_at` leaves out those that are discarded by a step.
      start: steps of the whole run that are done when it begins.
      steps: of this phase.
      epochs: in it.
      keeps_features: what its net reads is computed once, not at every step.
      multiply_adds: of all its steps, as `cost` counts them.
    """

    name: str
    task: Task
    schedule: optax.Schedule
    start: int
    steps: int
    epochs: float
    normalize_weights: bool
    shapes: Shapes
    keeps_features: bool
    multiply_adds: int

    @property
    def net(self) -> Net:
        return self.task.net

    @property
    def end(self) -> int:
        return self.start + self.steps

    @property
    def heads(self) -> list[Head]:
        return [head for head, _ in self.net.heads]

    @property
    def discards(self) -> dict[int, list[str]]:
        """-> {step: names of the heads that are dropped when so many steps are done}."""
        found: dict[int, list[str]] = {}
        for head in self.heads:
            if head.discard_at:
                found.setdefault(head.discard_at, []).append(head.name)
        return found

    def discarded(self, step: int) -> list[str]:
        """-> names of the heads that are gone when `step` steps are done."""
        return [head.name for head in self.heads if 0 < head.discard_at <= step]

    def task_at(self, step: int) -> Task:
        """-> the task of step number `step`, counted from 0."""
        return self.task.without(self.discarded(step))

    def loss_weights(self, first: int, steps: int) -> dict[str, np.ndarray]:
        """-> {output: weight of its loss at each step}, without the heads that are gone by then."""
        gone = self.discarded(first)  # no net is built here: this runs at every dispatch
        heads = [head for head in self.heads if head.name not in gone]
        settings = {"main": self.net.until == MAIN, "normalize": self.normalize_weights}
        return weights.at_steps(heads, first, steps, self.steps, self.steps / self.epochs, **settings)

    def init_state(self, key: Array, trunk: Variables | None = None) -> TrainState:
        """The state before the first step; `trunk` are variables to go on with, None: the initial ones."""
        if trunk is None:
            trunk = self.init_trunk(key)
        heads = init_heads(self.net, key, self.shapes)
        return init_state(self.task, self.pack(merge(trunk, heads)))

    def init_trunk(self, key: Array) -> Variables:
        return init_trunk(self.net, key, self.shapes)

    def pack(self, tree: Any) -> Any:
        """-> a state or variables as the steps of this phase have them."""
        return stacking.stack(tree, self.net.scanned)

    def unpack(self, tree: Any) -> Any:
        """-> a state or variables as they are between phases and on disk."""
        return stacking.unstack(tree, self.net.scanned)

    def state_like(self, done: int) -> TrainState:
        """-> shapes and types of the state when `done` steps are done."""
        task = self.task_at(max(done - 1, 0))

        def init(key: Array) -> TrainState:
            heads = init_heads(task.net, key, self.shapes)
            return init_state(task, merge(init_trunk(task.net, key, self.shapes), heads))

        return jax.eval_shape(init, jax.random.key(0))


def trained_modules(phase: Phase, anatomy: Anatomy) -> frozenset[str]:
    """-> the modules of the trunk that learn in a phase; raises ValueError where `freeze` names another."""
    known = anatomy.modules_of(list(anatomy.modules))
    for name in phase.freeze:
        if name not in known:
            raise ValueError(
                f"freeze names '{name}', which this model does not have{did_you_mean(name, known)}"
            )
    _, parts = anatomy.span(phase.after, phase.until)
    return frozenset(anatomy.modules_of(parts)) - set(phase.freeze)


def check_taught(phase: Phase, net: Net) -> None:
    stay = [head for head, _ in net.heads if not head.discard_at]
    teaching = [head.endpoint for head in stay if head.weight and not head.stop_gradient]
    if phase.until != MAIN and phase.until not in teaching:
        raise ValueError(
            f"until is '{phase.until}', but no head there teaches, so that it would not be trained; attach"
            f" one of a weight above 0, without stop_gradient and discard_at, or end at '{MAIN}'"
        )


def init_trunk(net: Net, key: Array, shapes: Shapes) -> Variables:
    """Not compiled as a whole: layers are alike, and XLA:CPU takes a second for each one's random numbers."""
    images = jax.ShapeDtypeStruct((2, *shapes.image), jnp.float32)
    with backend.compiles_fast():
        return dict(Net(net.trunk).lazy_init(key, images, train=False))


def init_heads(net: Net, key: Array, shapes: Shapes) -> Variables:
    """Initial values follow from the key and the head's name alone."""
    if not net.heads:
        return {}
    with backend.compiles_fast():
        return dict(net.init(key, None, train=False, endpoints=shapes.zeros()))


def merge(a: Variables, b: Variables) -> Variables:
    """-> collections of two nets whose modules have different names."""
    return {name: {**a.get(name, {}), **b.get(name, {})} for name in sorted({*a, *b})}


def trunk_of(variables: Variables) -> Variables:
    """-> the collections of the trunk alone."""
    return {name: {"trunk": tree["trunk"]} for name, tree in variables.items() if "trunk" in tree}
