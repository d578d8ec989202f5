"""How long it takes to reach an accuracy: CIFAR-10 to 90 % on two CPU cores, to 94 % on one accelerator.

    resjax prepare tfds:cifar10
    python -m resjax table experiments/time_to_accuracy.py --row "90 %, two CPU cores"

Each row runs where its label says, on a machine on which nothing else runs. Time is that of a whole run but
for compiling: reading the indices, augmenting, training, logging, one evaluation of the test set, checkpoints.
The settings were chosen on 5,000 held-out images of train; see configs/cifar10_speed.py.
"""

from resjax.table import Row, Table


def get_table() -> Table:
    rows = (
        Row(label="90 %, two CPU cores", config="../configs/cifar10_speed.py:90"),
        Row(label="94 %, one accelerator", config="../configs/cifar10_speed.py:94"),
    )
    return Table(
        name="time_to_accuracy",
        title="Time to an accuracy on CIFAR-10",
        rows=rows,
        seeds=(0, 1, 2, 3, 4),
        timed=True,
        note="A row's accuracy is its mean over seeds; compiling was done once by each run, its cache empty or not.",
    )
