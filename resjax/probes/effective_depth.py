"""What each block's output tells of the class, and how alike the outputs of blocks are."""

from functools import partial
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from resjax import checks
from resjax import config as configs
from resjax.config import Config
from resjax.device import Variables
from resjax.errors import UserError
from resjax.models.trunk import MAIN, Trunk
from resjax.probes import kept, plot
from resjax.probes.bench import Bench, Point, Quantity, Report, Subject
from resjax.probes.subject import load
from resjax.training import train

PLACE = "block, from the image"
QUANTITIES = (
    Quantity(
        name="accuracy", title="linear readout of each block's output", x_label=PLACE,
        y_label="test accuracy (share of images)",
    ),
    Quantity(
        name="cka", title="linear CKA of two blocks' outputs", x_label=PLACE,
        y_label="linear CKA (1: the same up to rotation and scale)",
    ),
)  # fmt: skip


def measure(
    subject: Subject, bench: Bench, *, epochs: int = 20, learning_rate: float = 0.1, examples: int = 500
) -> list[Point]:
    """Accuracy of a linear classifier behind every block, and CKA between blocks, of a trained net.

    - `accuracy`: share of the test split. Each block's output, averaged over the image plane where there is
      one and standardised feature by feature (1610.01644 does neither), feeds a linear classifier of its
      own: the head `normed_linear`. They learn from the train split, not augmented, with cross-entropy, by
      Adam, `epochs` long on a cosine from `learning_rate`, while the whole trunk is frozen and computed as
      in evaluation. The last place, `main`, is the net's own classifier. Alain and Bengio 2016
      (1610.01644), section 3.
    - `cka`: linear centred kernel alignment of the outputs X of the block `line` and Y of the block at x,
      both (n, features), for the same n = `examples` of the test split. With K = X X' and L = Y Y', both
      (n, n), it is HSIC(K, L) / sqrt(HSIC(K, K) HSIC(L, L)): Kornblith et al. 2019 (1905.00414), section 3.
      HSIC is the unbiased estimate of Nguyen et al. 2021 (2010.15327), eq. 3; the plain one rises towards
      1 where there are more features than examples, as in image planes. It may fall a little below 0.

    Values are those that evaluation uses, the moving average where there is one.
    """
    checks.at_least(1, epochs=epochs)
    checks.positive(learning_rate=learning_rate)
    checks.at_least(4, examples=examples)
    if subject.task.objective.terms[MAIN].pixel_classes:
        raise UserError(
            f"config.model.name is '{subject.config.model.name}', which labels each pixel; effective depth is"
            " read off nets that label an image, such as 'cifar_resnet'"
        )
    if subject.workdir is None or subject.stage is not subject.job.last:
        raise UserError(
            f"{subject.label}: effective depth is of a net behind its pretraining; give a run's folder, and"
            " a checkpoint of its last phase"
        )
    config = readout(subject, subject.workdir, epochs, learning_rate)
    folder = bench.folder / kept.key(subject, configs.to_json(config))
    trained = train(config, folder, bench.display, load)
    bench.poll()
    accuracies = trained["metrics"]
    names = list(subject.anatomy.modules)
    keys = ["test/accuracy" if name == MAIN else f"test/{_head(name)}/accuracy" for name in names]
    found = [
        Point("accuracy", "", x, name, accuracies[key])
        for x, (name, key) in enumerate(zip(names, keys, strict=True), 1)
    ]
    inputs, _ = subject.images(examples, "test")
    matrix = jax.device_get(_cka(subject.evaluated_trunk, inputs, trunk=subject.net.trunk))
    for row, line in enumerate(names):
        found += [Point("cka", line, x, name, float(matrix[row, x - 1])) for x, name in enumerate(names, 1)]
    return found


def readout(subject: Subject, workdir: Path, epochs: int, learning_rate: float) -> Config:
    """-> the config that trains a linear classifier at every block of a run, and nothing else."""
    values = subject.config.to_dict()
    blocks = [name for name in subject.anatomy.modules if name != MAIN]
    own = ("batch_size", "eval_batch_size", "steps_per_dispatch")
    loop = {key: values["train"][key] for key in own}
    modules = tuple(subject.anatomy.modules_of([*subject.anatomy.modules]))
    changed: dict[str, Any] = {
        "heads": tuple(
            {
                "name": _head(name),
                "endpoint": name,
                "form": "normed_linear",
                "weight": 1.0,
                "stop_gradient": True,
            }
            for name in blocks
        ),
        "train": loop | {"freeze": modules, "eval_every": float(epochs)},
        "start": {"run": str(workdir), "checkpoint": str(subject.step)},
        "schedule": {"name": "cosine", "length": epochs, "learning_rate": learning_rate},
        "optim": {"name": "adam"},
    }
    same = {key: values[key] for key in ("seed", "data", "input", "model")}
    same["input"] |= {"pad": 0, "flip": False}
    return configs.override(same | changed, ())


def _head(block: str) -> str:
    return f"at_{block}"


@partial(jax.jit, static_argnames=("trunk",))
def _cka(variables: Variables, inputs: Float[Array, "n h w c"], *, trunk: Trunk) -> Float[Array, "m m"]:
    endpoints: Any = trunk.apply(variables, inputs, train=False)
    return cka(jnp.stack([gram(value) for value in endpoints.values()]))


def gram(x: Float[Array, "n ..."]) -> Float[Array, "n n"]:
    """-> inner products of examples, of features that are centred first, which CKA does not see."""
    flat = x.reshape(len(x), -1).astype(jnp.float32)
    flat = flat - flat.mean(0, keepdims=True)
    flat = flat / jnp.maximum(jnp.abs(flat).max(), jnp.finfo(jnp.float32).tiny)  # so that none overflows
    return jnp.matmul(flat, flat.T, precision="highest")


def cka(grams: Float[Array, "m n n"]) -> Float[Array, "m m"]:
    """-> linear CKA of m representations by the unbiased HSIC; NaN for one that is the same everywhere.

    The unbiased HSIC (Nguyen et al. 2021, eq. 3; Song et al. 2012) of K and L is the inner product of their
    U-centred forms over n (n - 3) (Szekely and Rizzo 2014, 1310.2926, section 3), so CKA is their cosine.
    """
    centred = u_centred(grams).reshape(len(grams), -1)
    unit = centred / jnp.sqrt(jnp.square(centred).sum(1, keepdims=True))
    return jnp.matmul(unit, unit.T, precision="highest")


def u_centred(grams: Float[Array, "m n n"]) -> Float[Array, "m n n"]:
    """-> with zeros on the diagonal, and every row and column summing to 0."""
    n = grams.shape[-1]
    others = ~jnp.eye(n, dtype=bool)[None]
    open_ = jnp.where(others, grams, 0)
    rows = open_.sum(2, keepdims=True) / (n - 2)
    total = open_.sum((1, 2), keepdims=True) / ((n - 1) * (n - 2))
    return jnp.where(others, open_ - rows - rows.swapaxes(1, 2) + total, 0)


def draw(report: Report, stem: Path) -> None:
    """STEM: accuracy by block. STEM-cka: a heat map for each arm, means over seeds."""
    with plot.canvas(1, 1, stem, figsize=(6.4, 4.0)) as (fig, axes):
        plot.panel(axes[0, 0], report, report.quantities[0])
        plot.legend(fig, axes, report)
    labels = report.labels
    size = {"figsize": (3.9 * len(labels) + 1.2, 4.1)}
    with plot.canvas(1, len(labels), stem.with_name(f"{stem.name}-cka"), **size) as (fig, axes):
        shown = [_heat(axis, report, label) for axis, label in zip(axes.flat, labels, strict=True)]
        fig.colorbar(shown[-1], ax=axes, label="linear CKA", shrink=0.8)
        fig.suptitle(report.quantities[1].title)


def _heat(axis: Any, report: Report, label: str) -> Any:
    """The first block is below and on the left; what is not finite is left blank."""
    curves = [report.curve(label, "cka", line) for line in report.lines("cka")]
    count = max(int(x) for curve in curves for x, *_ in curve)
    values = np.full((count, count), np.nan)
    for row, curve in enumerate(curves[:count]):
        for x, _, found in curve:
            values[row, int(x) - 1] = found.mean
    seeds, edges = report.seeds(label), (0.5, count + 0.5, 0.5, count + 0.5)
    of = "one seed" if seeds == 1 else f"mean of {seeds} seeds"
    axis.set(title=f"{label} ({of})", xlabel=PLACE, ylabel=PLACE)
    return axis.imshow(values, origin="lower", extent=edges, vmin=0, vmax=1, cmap="cividis")
