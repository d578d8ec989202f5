"""The settings of configs/supervision.py, chosen on a held-out slice of train; the test set has no say.

    python -m resjax table experiments/supervision_rates.py

The weight of heads and the learning rates of pretraining, for plain and residual nets of 44 layers on digits,
of whose 1,437 training images 287 are held out. One value serves all depths, tasks and arms.
"""

from resjax.table import Row, Table

TRIED = {"heads": (1, 3, 10), "greedy": (0.05, 0.2, 0.8), "denoising": (0.05, 0.2, 0.8)}


def get_table() -> Table:
    rows = tuple(
        Row(
            label=f"{line} 44, {arm} {value}",
            config=f"../configs/supervision.py:digits,44,{arm}={value}",
            overrides={"model.skip": skip, "data.holdout": 287},
            line=line,
            x=value,
            panel=arm,
        )
        for arm, values in TRIED.items()
        for value in values
        for line, skip in (("plain", False), ("residual", True))
    )
    return Table(
        name="supervision_rates",
        title="Weight of heads, rate of pretraining: accuracy on a held-out slice of train, digits",
        rows=rows,
        seeds=(0, 1),
        metric="validation/accuracy",
        x_label="weight of heads, or learning rate of pretraining",
        x_log=True,
    )
