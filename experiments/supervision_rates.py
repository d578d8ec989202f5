"""The settings of configs/supervision.py, chosen on a held-out slice of train; the test set has no say.

    python -m resjax table experiments/supervision_rates.py                fully connected, digits
    python -m resjax table experiments/supervision_rates.py:mnist_conv     convolutional, MNIST
    python -m resjax table experiments/supervision_rates.py:cifar10        convolutional, CIFAR-10

The weight of heads and the learning rates of pretraining, for plain and residual nets of 44 layers, of 56 on
CIFAR-10. Held out are 287 of digits' 1,437 training images, 5,000 of MNIST's 60,000 and of CIFAR-10's 50,000.
One value serves all depths and arms.
"""

from resjax.table import Row, Table

TRIED = {"heads": (1, 3, 10), "greedy": (0.05, 0.2, 0.8), "denoising": (0.05, 0.2, 0.8)}
CONVOLUTIONAL = {"heads": (1, 3, 10), "greedy": (0.0125, 0.05, 0.2), "denoising": (0.0006, 0.0025, 0.01)}
CIFAR = {"heads": (0.1, 0.3, 1), "greedy": (0.0156, 0.0625, 0.25), "denoising": (0.0031, 0.0125, 0.05)}
TASKS = {"digits": (44, 287, TRIED), "mnist_conv": (44, 5000, CONVOLUTIONAL), "cifar10": (56, 5000, CIFAR)}
ARGUMENTS = tuple(TASKS)


def get_table(task: str = "digits") -> Table:
    if task not in TASKS:
        raise ValueError(f"there is no task '{task}'; tasks are {', '.join(TASKS)}")
    depth, holdout, tried = TASKS[task]
    rows = tuple(
        Row(
            label=f"{line} {depth}, {arm} {value}",
            config=f"../configs/supervision.py:{task},{depth},{arm}={value}",
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
