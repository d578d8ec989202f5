"""Residual units as Euler steps of an ordinary differential equation, and the equation itself.

Chen et al. 2018 (1806.07366), section 3, and the code of its authors' example: a stem, two units that halve
the plane, then either units with weights of their own, or one block that is applied again and again

    h(t + 1/n) = h(t) + f(h(t), t) / n,      or      dh/dt = f(h, t),  t from 0 to 1

in n Euler steps, or by an adaptive solver, which takes as many steps as its tolerance needs.
"""

from collections.abc import Callable
from functools import partial
from typing import Any, Literal

import flax.linen as nn
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from resjax import checks
from resjax.models.blocks import BoundLayers, Layers
from resjax.models.shortcuts import IdentityShortcut, Mixing, ProjectionShortcut
from resjax.models.trunk import MAIN, Part, Trunk
from resjax.models.units import PreactivationUnit

Solver = Literal["units", "euler", "dopri5"]
Adjoint = Literal["steps", "backsolve"]
State = Float[Array, "b h w c"]
Slope = Callable[[Any, State], State]  # from time and state to the state's derivative
Field = Callable[[Any, Any, State], Any]  # the same, from parameters, time and state
MOST_STEPS = 1000  # of an adaptive solver, where the equation has become too stiff


class Dynamics(nn.Module):
    """norm - relu - convolution - norm - relu - convolution - norm, t being one more channel of both."""

    layers: BoundLayers

    @nn.compact
    def __call__(self, time: Float[Array, ""], x: State) -> State:
        features, conv = x.shape[-1], self.layers.conv
        for number in (1, 2):
            x = self.layers.activate(f"norm{number}", x)
            clock = jnp.broadcast_to(jnp.asarray(time, x.dtype), (*x.shape[:-1], 1))
            timed = jnp.concatenate([clock, x], -1)
            x = conv(features, 3)(use_bias=True, name=f"conv{number}")(timed)
        return self.layers.normalize("norm3")(x)


class Flow(nn.Module):
    """From h(0) to h(1).

    Attributes:
      steps: of Euler's method; without `skip` each gives f alone.
      tolerance: relative and absolute, of the adaptive solver.
      adjoint: where its gradients come from.
    """

    solver: str
    steps: int
    tolerance: float
    skip: bool
    adjoint: str
    layers: BoundLayers

    @property
    def repeats(self) -> int:
        """-> how often f is computed, where that is known beforehand; else 1."""
        return self.steps if self.solver == "euler" else 1

    @nn.compact
    def __call__(self, x: State) -> State:
        dynamics = Dynamics(self.layers, name="dynamics")
        if self.is_initializing():
            return dynamics(jnp.zeros(()), x)
        variables = dynamics.variables
        field: Any = dynamics.clone(parent=None, name=None).apply
        if self.solver == "euler":
            return euler(partial(field, variables), x, self.steps, skip=self.skip)
        return adaptive(field, variables, x, self.tolerance, self.adjoint)


def euler(slope: Slope, x: State, steps: int, *, skip: bool = True) -> State:
    """-> x(1) by `steps` steps of equal length; without `skip` a step gives the slope alone."""

    def advance(x: State, number: Array) -> tuple[State, None]:
        moved = slope(number / steps, x)
        return (x + moved / steps if skip else moved), None

    return jax.lax.scan(advance, x, jnp.arange(steps, dtype=x.dtype))[0]


def adaptive(field: Field, variables: Any, x: State, tolerance: float, adjoint: str = "steps") -> State:
    """-> x(1) by Dormand and Prince's method of order 5.

    The steps are the whole batch's, whose root mean square error is kept within the tolerance.

    Args:
      variables: what `field` reads first; gradients reach nothing else, but x.
      adjoint: gradients are those of the `steps` that were taken, with few of them kept (diffrax's recursive
        checkpoints): RK-Net in Chen et al. 2018, table 1. By `backsolve` the adjoint equation is solved from
        t = 1 back to 0, with the state, so that none is kept: their ODE-Net, section 2. That gradient is
        not exactly the one of what was computed.
    """
    import diffrax

    def of_time(time: Any, state: State, variables: Any) -> State:
        return field(variables, time, state)

    kinds = {"steps": diffrax.RecursiveCheckpointAdjoint, "backsolve": diffrax.BacksolveAdjoint}
    with jax.numpy_dtype_promotion("standard"), jax.numpy_rank_promotion("allow"):  # the solver mixes them
        found = diffrax.diffeqsolve(
            diffrax.ODETerm(of_time),
            diffrax.Dopri5(),
            t0=0.0,
            t1=1.0,
            dt0=None,
            y0=x,
            args=variables,
            stepsize_controller=diffrax.PIDController(rtol=tolerance, atol=tolerance),
            adjoint=kinds[adjoint](),
            max_steps=MOST_STEPS,
            throw=False,  # the last state is not finite then, and the run says that it diverged
        )
    assert found.ys is not None
    last = found.ys[0].astype(x.dtype)  # the solver's times are float32 at least, and so are its states
    return jnp.where(found.result == diffrax.RESULTS.successful, last, jnp.nan)


class ODENet(Trunk):
    """Stem, two units of stride 2, a flow or `steps` units, global average pool, classifier.

    Attributes:
      solver: `units` with weights of their own, or how the flow is computed.
    """

    width: int
    solver: str
    steps: int
    tolerance: float
    skip: bool
    adjoint: str
    mixing: Mixing

    def parts(self, layers: BoundLayers) -> list[tuple[str, Part]]:
        found: list[tuple[str, Part]] = [("stem", partial(self._stem, layers))]
        names = self.recomputable()
        for number, name in enumerate(names, 1):
            stride, survival = 2 if number <= 2 else 1, self.mixing.survival_of(number, len(names))
            found.append((name, partial(self._unit, layers, name, stride, survival)))
        flow = [] if self._units() else [("flow", partial(self._flow, layers))]
        return [*found, *flow, self._last(layers)]

    def chains(self) -> list[tuple[str, ...]]:
        return [] if self.mixing.random else [tuple(self._units())]

    def recomputable(self) -> list[str]:
        return ["halving1", "halving2", *self._units()]

    def _units(self) -> list[str]:
        return [f"block{number}" for number in range(1, self.steps + 1)] if self.solver == "units" else []

    def _stem(self, layers: BoundLayers, x: Float[Array, "b h w c"]) -> State:
        conv = layers.conv(self.width, 3)
        return conv(padding="VALID", use_bias=True, name="stem_conv")(x.astype(layers.dtype))

    def _unit(self, layers: BoundLayers, name: str, stride: int, survival: float, x: State) -> State:
        branch = (("conv1", layers.conv(self.width, 3, stride)), ("conv2", layers.conv(self.width, 3)))
        shortcut: nn.Module | None = IdentityShortcut(parent=None)
        if stride > 1:
            shortcut = ProjectionShortcut(self.width, layers, stride, normed=False, parent=None)
        shortcut = shortcut if self.skip else None
        return PreactivationUnit(branch, layers, shortcut, stride > 1, None, survival, name=name)(x)

    def _flow(self, layers: BoundLayers, x: State) -> State:
        settings = (self.solver, self.steps, self.tolerance, self.skip, self.adjoint)
        return Flow(*settings, layers, name="flow")(x)

    def _last(self, layers: BoundLayers) -> tuple[str, Part]:
        def classify(x: State) -> Float[Array, "b k"]:
            x = layers.activate("final_norm", x)
            return layers.classifier(self.classes)(name="classifier")(x.mean((1, 2)))

        return MAIN, classify


def ode_net(
    classes: int,
    layers: Layers,
    /,
    *,
    width: int = 64,
    solver: Solver = "units",
    steps: int = 6,
    tolerance: float = 1e-3,
    skip: bool = True,
    adjoint: Adjoint = "steps",
    survival: float = 1.0,
) -> ODENet:
    """With 6 `units` the ResNet of Chen et al. 2018, table 1; with `dopri5` their RK-Net, or ODE-Net.

    Args:
      steps: units, or steps of Euler's method.
      tolerance: of `dopri5`.
      adjoint: gradients of `dopri5`: of its `steps` (RK-Net), or by `backsolve` from the adjoint equation
        (ODE-Net).
      survival: of `units`, the halving ones among them, as in `cifar_resnet`.

    Raises:
      ValueError: batch norm in a block that is applied again and again, an equation without `skip`, an
        adjoint of what is no equation, random depth of a block that is there once or without shortcuts, a
        solver that is not installed, or numbers that cannot be.
    """
    checks.at_least(1, width=width, steps=steps)
    checks.positive(tolerance=tolerance)
    if solver != "units" and layers.norm == "batch":
        raise ValueError(
            f"solver is '{solver}', which applies one block again and again, but config.model.norm is"
            " 'batch', whose statistics are of one application; set norm to 'group', 'layer' or 'none'"
        )
    if solver == "dopri5":
        _check_equation(skip)
    elif adjoint != "steps":
        raise ValueError(
            f"adjoint is '{adjoint}', but solver is '{solver}', which is no equation; set adjoint to 'steps',"
            " or solver to 'dopri5'"
        )
    if solver != "units" and survival < 1:
        raise ValueError(
            f"survival is {survival}, but solver is '{solver}', whose one block is each step's; leave"
            " survival out or set solver to 'units'"
        )
    mixing = Mixing(survival=survival).checked(skip)
    return ODENet(classes, layers, width, solver, steps, tolerance, skip, adjoint, mixing)


def _check_equation(skip: bool) -> None:
    if not skip:
        raise ValueError("skip is False, but solver is 'dopri5'; an equation has no plain twin: use 'euler'")
    try:
        import diffrax  # noqa: F401
    except ImportError as error:
        raise ValueError(
            f"solver is 'dopri5', which needs diffrax ({error}); python -m pip install 'resjax[ode]'"
        ) from error
