"""Six residual units, six Euler steps of one block, and its equation, on MNIST: Chen et al. 2018, table 1.

    resjax prepare tfds:mnist && python -m pip install -e '.[ode]'
    python -m resjax table experiments/neural_ode.py [--budget 0.01]

configs/mnist_ode.py has the recipe. The middle row is ours: an ODE-Net's parameters in a ResNet's six steps.
"""

from resjax.table import Published, Row, Table

SOURCE = "Chen et al. 2018 (1806.07366), table 1"
ROWS = {  # label: argument of the config, % error
    "ResNet, 6 units": ("units", 0.41),
    "one block, 6 Euler steps": ("euler", None),
    "ODE-Net": ("dopri5", 0.42),
}


def get_table() -> Table:
    rows = tuple(
        Row(
            label=label,
            config=f"../configs/mnist_ode.py:{solver}",
            published=None if error is None else Published(value=error, source=SOURCE),
        )
        for label, (solver, error) in ROWS.items()
    )
    return Table(
        name="neural_ode",
        title="Residual units, Euler steps, and the equation, MNIST",
        rows=rows,
        seeds=(0, 1, 2),
        report="error",
        tolerance=0.1,
        contrasts=(("one block, 6 Euler steps", "ResNet, 6 units"), ("ODE-Net", "one block, 6 Euler steps")),
        note=(
            "The authors' example reports the best epoch on test; whether table 1 does is not said, nor how"
            " many runs it has; here it is the last step's. Its rows RK-Net, 0.47, and one-layer MLP of LeCun"
            " et al. 1998, 1.60, are not run here. Multiply-adds of a block that is applied many times are"
            " those of once."
        ),
    )
