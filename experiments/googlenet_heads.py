"""GoogLeNet for 32 pixels on CIFAR-10, with its two auxiliary heads and without.

    python -m resjax table experiments/googlenet_heads.py

Szegedy et al. 2014 (1409.4842) compare no net with and without heads; Szegedy et al. 2015 (1512.00567)
find, on ImageNet, that they help late in training and a little, and take them for regularisers. Nothing is
published for this form of the net, whose recipe configs/googlenet.py says: it was not tuned.
"""

from resjax.table import Row, Table


def get_table() -> Table:
    rows = (
        Row(label="no heads", config="../configs/googlenet.py:cifar,alone"),
        Row(label="two heads", config="../configs/googlenet.py:cifar"),
    )
    return Table(
        name="googlenet_heads",
        title="GoogLeNet at 32 pixels on CIFAR-10, with and without auxiliary heads",
        rows=rows,
        seeds=(0, 1, 2, 3, 4),
        report="error",
        contrasts=((rows[1].label, rows[0].label),),
        note="Steps are equal, so the net with heads costs more multiply-adds; the trunks begin with the same"
        " values and see the same data. The last step is reported. No paper prints a number for this net.",
    )
