"""How long it takes to reach an accuracy on CIFAR-10: 90 % on two CPU cores; `:card`, 94 % on an accelerator.

    resjax prepare tfds:cifar10
    python -m resjax table experiments/time_to_accuracy.py

Time is that of a whole run but for compiling: augmentation, training, logging, checkpoints, evaluation of the
test set. Nothing else should run meanwhile. configs/cifar10_speed.py says how its settings were chosen.
"""

from resjax.table import Row, Table

ROWS = {
    "cpu": Row(label="90 %, two CPU cores", config="../configs/cifar10_speed.py:90"),
    "card": Row(label="94 %, one accelerator", config="../configs/cifar10_speed.py:94"),
}
ARGUMENTS = tuple(ROWS)


def get_table(machine: str = "cpu") -> Table:
    if machine not in ROWS:
        raise ValueError(f"there is no table of '{machine}'; there are {', '.join(ROWS)}")
    return Table(
        name="time_to_accuracy" + ("" if machine == "cpu" else f"_{machine}"),
        title="Time to an accuracy on CIFAR-10",
        rows=(ROWS[machine],),
        seeds=(0, 1, 2, 3, 4),
        timed=True,
        note="The accuracy is meant to be reached by the mean over seeds, at the last step, on the test set.",
    )
