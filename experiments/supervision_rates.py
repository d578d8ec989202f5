"""The settings of configs/supervision.py, chosen on a held-out slice of train; the test set has no say.

    python -m resjax table experiments/supervision_rates.py                fully connected, digits
    python -m resjax table experiments/supervision_rates.py:mnist_conv     convolutional, MNIST

The weight of heads and the learning rates of pretraining, for plain and residual nets of 44 layers. Held out
are 287 of digits' 1,437 training images, and 5,000 of MNIST's 60,000. One value serves all depths and arms.
"""

from resjax.table import Row, Table

TRIED = {"heads": (1, 3, 10), "greedy": (0.05, 0.2, 0.8), "denoising": (0.05, 0.2, 0.8)}
CONVOLUTIONAL = {"heads": (1, 3, 10), "greedy": (0.0125, 0.05, 0.2), "denoising": (0.0006, 0.0025, 0.01)}
TASKS = {"digits": (287, TRIED), "mnist_conv": (5000, CONVOLUTIONAL)}


def get_table(task: str = "digits") -> Table:
    if task not in TASKS:
        raise ValueError(f"there is no task '{task}'; tasks are {', '.join(TASKS)}")
    holdout, tried = TASKS[task]
    rows = tuple(
        Row(
            label=f"{line} 44, {arm} {value}",
            config=f"../configs/supervision.py:{task},44,{arm}={value}",
            overrides={"model.skip": skip, "data.holdout": holdout},
            line=line,
            x=value,
            panel=arm,
        )
        for arm, values in tried.items()
        for value in values
        for line, skip in (("plain", False), ("residual", True))
    )
    return Table(
        name="supervision_rates" + ("" if task == "digits" else f"_{task}"),
        title=f"Weight of heads, rate of pretraining: accuracy on a held-out slice of train, {task}",
        rows=rows,
        seeds=(0, 1),
        metric="validation/accuracy",
        x_label="weight of heads, or learning rate of pretraining",
        x_log=True,
    )
