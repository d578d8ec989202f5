"""Singular values of the Jacobians of a net's blocks, and of the whole net."""

from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from resjax import checks
from resjax.device import Variables
from resjax.errors import UserError
from resjax.models.ode import ODENet
from resjax.models.trunk import Trunk
from resjax.probes import lanczos, plot, statistics
from resjax.probes.bench import Bench, Point, Quantity, Report, Subject

ZERO = 1e-5  # of the largest: what is below it cannot be told from float32's rounding
PLACE, VALUE = "block, from the image", "singular value (no unit)"
QUANTITIES = (
    Quantity(name="largest", title="largest, of each block", x_label=PLACE, y_label=VALUE, log=True),
    Quantity(name="rms", title="root mean square, of each block", x_label=PLACE, y_label=VALUE, log=True),
    Quantity(name="smallest", title="smallest found, of each block", x_label=PLACE, y_label=VALUE, log=True),
    Quantity(
        name="net", title="whole net, from input to logits", x_label="rank of the singular value",
        y_label="singular value (logits per input)", log=True,
    ),
)  # fmt: skip


def measure(
    subject: Subject, bench: Bench, *, examples: int = 8, steps: int = 16, draws: int = 16
) -> list[Point]:
    """Singular values of input-output Jacobians, of each block and end to end.

    For one example, J (m, n) is the derivative of a block's output, m numbers, with respect to its input, n
    numbers: from the endpoint before to its own; end to end, from what the net reads to the logits. J is
    never built: v -> J v and u -> J^T u come from one reverse-mode derivative and its transpose.

    - `largest`, `smallest`: of k = min(`steps`, m, n) values by Golub-Kahan-Lanczos bidiagonalisation with
      full reorthogonalisation, means over `examples`. With k = min(m, n) the smallest is the smallest
      there is, and with fewer an upper bound.
    - `rms`: the root mean square of all min(m, n) values and of the examples, sqrt(E ||J||_F^2 / min(m, n)),
      the trace estimated by Hutchinson's method with `draws` vectors.
    - `net`: the k largest values by Lanczos, end to end, by rank; all of them where the net has no more
      than `steps` logits. Means over the examples.

    A value below 1e-5 of its J's largest one is rounding, counts as 0, and is not shown. So the smallest
    value is missing where ReLUs close a direction in every example.

    As evaluation runs the net, on examples of the train split, not augmented; batch norm is the affine
    function of its fixed statistics: the running ones, and at step 0, where those are no estimates yet,
    those of 512 examples of train.

    All values near 1 is dynamical isometry: Saxe et al. 2013 (1312.6120), section 3; of nonlinear nets
    Pennington et al. 2017 (1711.04735), sections 2.2 and 2.3.
    """
    checks.at_least(1, examples=examples, steps=steps, draws=draws)
    _check(subject)
    seen, _ = subject.batch(max(examples, statistics.EXAMPLES))
    variables, inputs = statistics.fixed(subject, seen), seen[:examples]
    net, k = subject.net, {"steps": steps, "draws": draws}
    found = []
    for x, (part, read, own, span) in enumerate(_blocks(subject, variables, inputs), 1):
        bench.poll()
        bidiagonal, squares = spectra(own, read, trunk=net.trunk, **span, **k)
        mean, values = float(squares.mean()) ** 0.5, _values(bidiagonal)
        numbers = {"largest": values[:, 0].mean(), "rms": mean, "smallest": values[:, -1].mean()}
        found += [Point(name, "", x, part, float(value)) for name, value in numbers.items() if value]
    bench.poll()
    whole, _ = spectra(variables, inputs, trunk=net.trunk, after=net.after, until=net.until, **k)
    ranked = enumerate(_values(whole).mean(0), 1)
    return found + [Point("net", "", x, f"rank {x}", float(value)) for x, value in ranked if value]


def draw(report: Report, stem: Path) -> None:
    with plot.canvas(2, 2, stem) as (fig, axes):
        for axis, quantity in zip(axes.flat, report.quantities, strict=True):
            plot.panel(axis, report, quantity)
        plot.legend(fig, axes, report)
        fig.suptitle(report.title)


def _check(subject: Subject) -> None:
    trunk, model = subject.net.trunk, subject.config.model
    if trunk.long_skips():
        part, read = next(iter(trunk.long_skips().items()))
        raise UserError(
            f"config.model.name is '{model.name}', whose part '{part}' reads '{read}' beside the part"
            " before it; Jacobians are of parts that read one, as where config.model.skip is False"
        )
    if isinstance(trunk, ODENet) and trunk.solver == "dopri5":
        raise UserError(
            f"config.model.name is '{model.name}' and config.model.solver 'dopri5', whose steps depend"
            " on what they read, so that J v is not at hand; set solver to 'euler'"
        )


def _values(bidiagonal: Float[Array, "b 2 k"]) -> np.ndarray:
    """-> (b, k) singular values, without what is rounding."""
    found = lanczos.singular_values(bidiagonal)
    return np.where(found < ZERO * found[:, :1], 0, found)


def _blocks(
    subject: Subject, variables: Variables, inputs: Array
) -> Iterator[tuple[str, Array, Variables, dict[str, Any]]]:
    """-> each part: its name, what it reads, its variables, and which part of the trunk to run.

    Parts of a chain differ in the values of their arrays alone: all of them are run as the first one, under
    its name, so that it is compiled once.
    """
    net, before = subject.net, subject.net.after
    run = partial(_endpoints, trunk=net.trunk, after=net.after, until=net.until)
    endpoints = {net.after: inputs, **run(variables, inputs)}
    modules = subject.anatomy.modules
    names = list(modules)
    heads = {name: chain[0] for chain in net.trunk.chains() for name in chain}
    for part in subject.parts:
        head = heads.get(part, part)
        own = {kind: _named(tree, modules[part], part, head) for kind, tree in variables.items()}
        after = names[names.index(head) - 1] if names.index(head) else ""
        yield part, endpoints[before], own, {"after": after, "until": head}
        before = part


def _named(tree: Any, modules: list[str], part: str, head: str) -> Any:
    """-> what belongs to a part, the unit of its own name under that of the chain's head."""
    return {head if name == part else name: tree[name] for name in modules if name in tree}


@partial(jax.jit, static_argnames=("trunk", "after", "until"))
def _endpoints(
    variables: Variables, inputs: Array, *, trunk: Trunk, after: str, until: str
) -> dict[str, Array]:
    found: Any = trunk.apply(variables, inputs, train=False, after=after, until=until)
    return found


@partial(jax.jit, static_argnames=("trunk", "after", "until", "steps", "draws"))
def spectra(
    variables: Variables,
    inputs: Float[Array, "b ..."],
    *,
    trunk: Trunk,
    after: str,
    until: str,
    steps: int,
    draws: int,
) -> tuple[Float[Array, "b 2 k"], Float[Array, " b"]]:
    """-> each example's Jacobian as a bidiagonal matrix, and estimates of its mean squared singular value."""

    def run(x: Array) -> Array:
        given = x.reshape(1, *inputs.shape[1:]).astype(inputs.dtype)
        found: Any = trunk.apply(variables, given, train=False, after=after, until=until)
        return found[until].reshape(-1).astype(jnp.float32)

    key = jax.random.key(0, impl="rbg")  # the default one takes seconds to compile on the CPU
    with jax.default_matmul_precision("highest"):  # or accelerators round what is to be orthogonal
        return jax.lax.map(
            lambda x: spectrum(run, x, steps, draws, key),
            inputs.reshape(len(inputs), -1).astype(jnp.float32),
        )


def spectrum(
    function: Callable[[Array], Array], at: Float[Array, " n"], steps: int, draws: int, key: Array
) -> tuple[Float[Array, "2 k"], Float[Array, ""]]:
    """-> a function's Jacobian at a point as a bidiagonal matrix, and an estimate of the mean square.

    The product with J is the transpose of the one with J^T: convolutions here know no forward mode.
    """
    y, pull = jax.vjp(function, at)
    push = jax.linear_transpose(lambda u: pull(u)[0], y)
    forward, backward = (lambda v: push(v)[0]), (lambda u: pull(u)[0])
    rows, columns = len(y), len(at)
    bidiagonal = lanczos.bidiagonalize(forward, backward, rows, columns, steps, key)
    return bidiagonal, lanczos.mean_square(forward, backward, rows, columns, draws, key)
