"""Residual units, Euler steps of one block, its equation, plain twins, on MNIST: Chen et al. 2018, table 1.

    resjax prepare tfds:mnist && python -m pip install -e '.[ode]'
    python -m resjax table experiments/neural_ode.py [--budget 0.01]

configs/mnist_ode.py has the recipe. The Euler rows are ours: an ODE-Net's parameters in a ResNet's six steps.
"""

from typing import Any

from resjax.table import Published, Row, Table

SOURCE = "Chen et al. 2018 (1806.07366), table 1"
PLAIN = {"model.skip": False}
ROWS: dict[str, tuple[str, dict[str, Any], float | None]] = {  # label: solver, changes, published % of error
    "ResNet, 6 units": ("units", {}, 0.41),
    "6 units, no skips": ("units", PLAIN, None),
    "one block, 6 Euler steps": ("euler", {}, None),
    "6 Euler steps, no skips": ("euler", PLAIN, None),
    "RK-Net": ("dopri5", {}, 0.47),
    "ODE-Net": ("dopri5", {"model.adjoint": "backsolve"}, 0.42),
}
CONTRASTS = (
    ("ResNet, 6 units", "6 units, no skips"),
    ("one block, 6 Euler steps", "6 Euler steps, no skips"),
    ("one block, 6 Euler steps", "ResNet, 6 units"),
    ("RK-Net", "one block, 6 Euler steps"),
    ("ODE-Net", "RK-Net"),
)


def get_table() -> Table:
    rows = tuple(
        Row(
            label=label,
            config=f"../configs/mnist_ode.py:{solver}",
            overrides=changes,
            published=None if error is None else Published(value=error, source=SOURCE),
        )
        for label, (solver, changes, error) in ROWS.items()
    )
    return Table(
        name="neural_ode",
        title="Residual units, Euler steps, and the equation, MNIST",
        rows=rows,
        seeds=(0, 1, 2),
        report="error",
        tolerance=0.1,
        contrasts=CONTRASTS,
        note=(
            "The authors' example reports the best epoch on test; whether table 1 does is not said, nor of"
            " how many runs it is; here it is the last step's. Its one-layer MLP of LeCun et al. 1998, 1.60,"
            " is not run. RK-Net and ODE-Net differ in their gradients: of the steps that were taken, or by"
            " the adjoint equation. Their steps are chosen for the whole batch, so that an image's logits"
            " depend slightly on the others; their multiply-adds are those of one evaluation."
        ),
    )
