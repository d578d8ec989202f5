"""Real images on two CPU cores: ResNet-20 and its plain twin on CIFAR-10, a ResNet-8 on MNIST.

    resjax prepare tfds:cifar10 && resjax prepare tfds:mnist
    python -m resjax table experiments/first_runs.py

A shortened run: three epochs instead of the paper's 164, with one cycle of the learning rate in place of
its two drops. No setting was tuned. He et al. 2015 print 8.75 % error for ResNet-20 at full length.
"""

from resjax.table import Row, Table

SHORT = {"schedule.name": "one_cycle", "schedule.unit": "epochs", "schedule.length": 3}


def get_table() -> Table:
    cifar = "../configs/cifar10_resnet.py:20"
    rows = (
        Row(label="ResNet-20, CIFAR-10, 3 epochs", config=cifar, overrides=SHORT),
        Row(label="plain-20, CIFAR-10, 3 epochs", config=cifar, overrides=SHORT | {"model.skip": False}),
        Row(label="ResNet-8, MNIST, 3 epochs", config="../configs/mnist_resnet.py:8"),
    )
    return Table(
        name="first_runs",
        title="Three epochs on real images, two CPU cores",
        rows=rows,
        seeds=(0, 1, 2),
        contrasts=((rows[0].label, rows[1].label),),
        note="Shortened runs: they say nothing about the nets at full length.",
    )
