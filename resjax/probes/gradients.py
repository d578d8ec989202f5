"""Norms of the loss gradient by block, of every loss apart, and how the losses agree."""

from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from resjax import checks
from resjax.device import Targets, Variables
from resjax.losses import Term
from resjax.models.heads import Net
from resjax.models.trunk import MAIN, Trunk
from resjax.probes import history, plot
from resjax.probes.bench import Bench, Point, Quantity, Report, Subject

TOTAL = "all, weighted"  # the line of the sum that training follows
PLACE = "block, from the image"
QUANTITIES = (
    Quantity(
        name="activations", title="gradient of the activations", x_label=PLACE,
        y_label="norm, RMS over examples (nats)", log=True,
    ),
    Quantity(
        name="parameters", title="gradient of the parameters", x_label=PLACE,
        y_label="norm (nats)", log=True,
    ),
    Quantity(
        name="cosine", title="main loss's gradient and a head's", x_label=PLACE,
        y_label="cosine of the parameters' gradients",
    ),
)  # fmt: skip


def measure(subject: Subject, bench: Bench, *, examples: int = 128) -> list[Point]:
    """Gradients of each loss, block by block.

    In training mode, batch norm with the statistics of the batch, without augmentation, on `examples` of
    the train split. L is the mean of a loss over the batch, as the objective has it, with neither weight,
    threshold nor penalty; beside the main loss and each head's own there is the weighted sum at this step.

    - `activations`: at the output of each block, the root mean square over the b examples of
      ||dL_i / dx_i||, which is sqrt(b) ||dL / dx||; batch norm lets other examples in.
    - `parameters`: ||dL / dtheta|| of all parameters of the block together.
    - `cosine`: of the main loss's and a head's gradients with respect to a block's parameters, where
      neither is zero.

    He et al. 2015 (1512.03385), section 4.1, find that the gradients of plain nets with batch norm do not
    vanish; Lee et al. 2014 (1409.5185), section 1, expect companions to strengthen those of early layers.
    Of a run whose config has the entry `gradients` in `probes`, its own history is drawn too.
    """
    checks.at_least(1, examples=examples)
    inputs, targets = subject.batch(examples)
    terms = tuple((name, subject.task.objective.terms[name]) for name in subject.net.output_names)
    parts = tuple((part, tuple(subject.anatomy.modules[part])) for part in subject.parts)
    first = max(subject.step - subject.stage.start - 1, 0)
    weights = {name: jnp.float32(value[0]) for name, value in subject.stage.loss_weights(first, 1).items()}
    found = _norms(
        subject.variables, inputs, targets, weights, net=subject.net, terms=terms, parts=parts
    )  # fmt: skip
    past = history.read(subject.workdir, "gradients") if subject.workdir else []
    return points({name: jax.device_get(value) for name, value in found.items()}, subject) + past


def draw(report: Report, stem: Path) -> None:
    """Curves, and where a run has `probes` in its config, how they came about."""
    plot.lines(report, stem)
    history.draw(report, stem)


def points(found: Mapping[str, Mapping[str, Any]], subject: Subject) -> list[Point]:
    """What is zero where it has to be, a head's gradient behind its endpoint, is left out."""
    heads, result = subject.net.output_names, []
    lines = [*heads, TOTAL] if len(heads) > 1 else heads
    lines.sort(key=lambda line: (line != MAIN, line != TOTAL))
    for quantity in ("activations", "parameters", "cosine"):
        for line in lines:
            values = found[quantity].get(line)
            if values is None:
                continue
            for x, (part, value) in enumerate(zip(subject.parts, values, strict=True), 1):
                if value != 0:
                    result.append(Point(quantity, line, x, part, float(value)))
    return result


@partial(jax.jit, static_argnames=("net", "terms", "parts"))
def _norms(
    variables: Variables,
    inputs: Array,
    targets: Targets,
    weights: Mapping[str, Array],
    *,
    net: Net,
    terms: tuple[tuple[str, Term], ...],
    parts: tuple[tuple[str, tuple[str, ...]], ...],
) -> dict[str, dict[str, Float[Array, " parts"]]]:
    """-> {quantity: {line: value of each part}}."""
    rest = {name: tree for name, tree in variables.items() if name != "params"}

    def losses(params: Any, shifts: Mapping[str, Array]) -> Float[Array, " losses"]:
        with nn.intercept_methods(partial(_shift, shifts)):
            outputs: Any = net.apply(
                {"params": params, **rest}, inputs, train=True, mutable=list(rest),
                rngs={"dropout": jax.random.key(0), "noise": jax.random.key(0)},
            )[0]  # fmt: skip
        means = [term.per_example(outputs[name], targets[term.target]).mean() for name, term in terms]
        return jnp.stack(means)

    shifts = {name: jnp.zeros_like(value) for name, value in _endpoints(net, variables, inputs).items()}
    _, pull = jax.vjp(losses, variables["params"], shifts)
    names = [name for name, _ in terms]
    total = jnp.stack([weights[name] for name in names])
    main_params = pull(jnp.eye(len(names))[0])[0]

    def of(cotangent: Float[Array, " losses"]) -> dict[str, Float[Array, " parts"]]:
        params, activations = pull(cotangent)
        inner = [_dot(_own(params, own), _own(main_params, own)) for _, own in parts]
        norms = [_norm(_own(params, own)) for _, own in parts]
        main = [_norm(_own(main_params, own)) for _, own in parts]
        return {
            "activations": jnp.stack(
                [_norm(activations.get(part, ())) * len(inputs) ** 0.5 for part, _ in parts]
            ),
            "parameters": jnp.stack(norms),
            "cosine": jnp.stack(
                [_ratio(a, b * c) for a, b, c in zip(inner, norms, main, strict=True)]
            ),
        }  # fmt: skip

    each = jax.lax.map(of, jnp.concatenate([jnp.eye(len(names)), total[None]]))
    found: dict[str, dict[str, Array]] = {}
    for quantity, values in each.items():
        by_line = dict(zip([*names, TOTAL], values, strict=True))
        if quantity == "cosine":
            by_line = {name: by_line[name] for name in names if name != MAIN and names[0] == MAIN}
        found[quantity] = by_line
    return found


def _shift(shifts: Mapping[str, Array], call: Any, args: Any, kwargs: Any, context: Any) -> Any:
    """Adds to each endpoint, so that a gradient with respect to the addend is one of the endpoint."""
    found = call(*args, **kwargs)
    if context.method_name == "run_part" and isinstance(context.module, Trunk) and args[0] in shifts:
        return found + shifts[args[0]]
    return found


def _endpoints(net: Net, variables: Variables, inputs: Array) -> dict[str, Any]:
    """-> shapes and types of the endpoints for these inputs; the logits are a loss's own business."""
    own = {name: {**tree["trunk"]} for name, tree in variables.items() if "trunk" in tree}
    run = partial(net.trunk.apply, train=False, after=net.after, until=net.until)
    found: Any = jax.eval_shape(run, own, inputs)
    return dict(found)


def _own(params: Any, modules: Sequence[str]) -> list[Array]:
    return jax.tree.leaves([params["trunk"][module] for module in modules if module in params["trunk"]])


def _norm(tree: Any) -> Float[Array, ""]:
    return jnp.sqrt(sum((jnp.square(leaf).sum() for leaf in jax.tree.leaves(tree)), jnp.float32(0)))


def _dot(a: Sequence[Array], b: Sequence[Array]) -> Float[Array, ""]:
    return sum(((x * y).sum() for x, y in zip(a, b, strict=True)), jnp.float32(0))


def _ratio(a: Array, b: Array) -> Float[Array, ""]:
    return jnp.where(b > 0, a / jnp.where(b > 0, b, 1), 0)
