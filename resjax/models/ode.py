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
from resjax.models.shortcuts import IdentityShortcut, ProjectionShortcut
from resjax.models.trunk import MAIN, Part, Trunk
from resjax.models.units import PreactivationUnit

Solver = Literal["units", "euler", "dopri5"]
State = Float[Array, "b h w c"]
Slope = Callable[[Any, State], State]  # from time and state to the state's derivative
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
    """

    solver: str
    steps: int
    tolerance: float
    skip: bool
    layers: BoundLayers

    @nn.compact
    def __call__(self, x: State) -> State:
        dynamics = Dynamics(self.layers, name="dynamics")
        if self.is_initializing():
            return dynamics(jnp.zeros(()), x)
        variables, alone = dynamics.variables, dynamics.clone(parent=None, name=None)

        def slope(time: Any, state: State) -> State:
            found: Any = alone.apply(variables, time, state)
            return found

        if self.solver == "euler":
            return euler(slope, x, self.steps, skip=self.skip)
        return adaptive(slope, x, self.tolerance)


def euler(slope: Slope, x: State, steps: int, *, skip: bool = True) -> State:
    """-> x(1) by `steps` steps of equal length; without `skip` a step gives the slope alone."""

    def advance(x: State, number: Array) -> tuple[State, None]:
        moved = slope(number / steps, x)
        return (x + moved / steps if skip else moved), None

    return jax.lax.scan(advance, x, jnp.arange(steps, dtype=x.dtype))[0]


def adaptive(slope: Slope, x: State, tolerance: float) -> State:
    """-> x(1) by Dormand and Prince's method of order 5.

    The steps are the whole batch's, whose root mean square error is kept within the tolerance. Gradients are
    those of the steps that were taken, with few of them kept (diffrax's recursive checkpoints). The paper
    solves the adjoint equation backwards instead, whose gradient is not that of what was computed.
    """
    import diffrax

    def of_time(time: Any, state: State, _: None) -> State:
        return slope(time, state)

    with jax.numpy_dtype_promotion("standard"), jax.numpy_rank_promotion("allow"):  # the solver mixes them
        found = diffrax.diffeqsolve(
            diffrax.ODETerm(of_time),
            diffrax.Dopri5(),
            t0=0.0,
            t1=1.0,
            dt0=None,
            y0=x,
            stepsize_controller=diffrax.PIDController(rtol=tolerance, atol=tolerance),
            max_steps=MOST_STEPS,
            throw=False,  # the last state is not finite then, and the run says that it diverged
        )
    assert found.ys is not None
    return jnp.where(found.result == diffrax.RESULTS.successful, found.ys[0], jnp.nan)


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

    def parts(self, layers: BoundLayers) -> list[tuple[str, Part]]:
        halving = [(name, partial(self._unit, layers, name, 2)) for name in ("halving1", "halving2")]
        steps = [(name, partial(self._unit, layers, name, 1)) for name in self._units()]
        flow = [] if steps else [("flow", partial(self._flow, layers))]
        return [("stem", partial(self._stem, layers)), *halving, *steps, *flow, self._last(layers)]

    def chains(self) -> list[tuple[str, ...]]:
        return [tuple(self._units())]

    def recomputable(self) -> list[str]:
        return ["halving1", "halving2", *self._units()]

    def _units(self) -> list[str]:
        return [f"block{number}" for number in range(1, self.steps + 1)] if self.solver == "units" else []

    def _stem(self, layers: BoundLayers, x: Float[Array, "b h w c"]) -> State:
        conv = layers.conv(self.width, 3)
        return conv(padding="VALID", use_bias=True, name="stem_conv")(x.astype(layers.dtype))

    def _unit(self, layers: BoundLayers, name: str, stride: int, x: State) -> State:
        branch = (("conv1", layers.conv(self.width, 3, stride)), ("conv2", layers.conv(self.width, 3)))
        shortcut: nn.Module | None = IdentityShortcut(parent=None)
        if stride > 1:
            shortcut = ProjectionShortcut(self.width, layers, stride, normed=False, parent=None)
        return PreactivationUnit(branch, layers, shortcut if self.skip else None, stride > 1, name=name)(x)

    def _flow(self, layers: BoundLayers, x: State) -> State:
        return Flow(self.solver, self.steps, self.tolerance, self.skip, layers, name="flow")(x)

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
) -> ODENet:
    """With 6 `units` the ResNet of Chen et al. 2018, table 1; with `dopri5` their ODE-Net.

    Args:
      steps: units, or steps of Euler's method.
      tolerance: of `dopri5`.

    Raises:
      ValueError: batch norm in a block that is applied again and again, an equation without `skip`, a solver
        that is not installed, or numbers that cannot be.
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
    return ODENet(classes, layers, width, solver, steps, tolerance, skip)


def _check_equation(skip: bool) -> None:
    if not skip:
        raise ValueError("skip is False, but solver is 'dopri5'; an equation has no plain twin: use 'euler'")
    try:
        import diffrax  # noqa: F401
    except ImportError as error:
        raise ValueError(
            f"solver is 'dopri5', which needs diffrax ({error}); python -m pip install 'resjax[ode]'"
        ) from error
