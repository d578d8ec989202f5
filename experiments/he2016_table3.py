"""Original and pre-activation units, 164 and 1001 layers: He et al. 2016 (1603.05027), table 3.

    python -m resjax table experiments/he2016_table3.py               CIFAR-10
    python -m resjax table experiments/he2016_table3.py:cifar100      CIFAR-100

The recipe of configs/cifar10_resnet.py with the paper's warm-up, 400 steps at 0.01, on bottlenecks that
project where they grow. The table's 110 layers are in experiments/he2016_table2.py; with shortcuts over one
layer, which are not built here, they have 9.90 and 8.91 %.
"""

from resjax.table import Published, Row, Table

NET = {"model.block": "bottleneck", "model.shortcut": "B"}
ORDERS = {"original": "original", "pre-activation": "preactivation"}
ERRORS = {
    "cifar10": {164: (5.93, 5.46), 1001: (7.61, 4.92)},
    "cifar100": {164: (25.16, 24.33), 1001: (27.82, 22.71)},
}
ARGUMENTS = tuple(ERRORS)
SOURCE = "He et al. 2016 (1603.05027), table 3"


def label(depth: int, name: str) -> str:
    return f"ResNet-{depth}, {name}"


def row(data: str, depth: int, name: str, error: float) -> Row:
    return Row(
        label=label(depth, name),
        config=f"../configs/cifar10_resnet.py:{depth}",
        overrides={**NET, "model.order": ORDERS[name], "data.name": f"tfds:{data}"},
        line=name,
        x=depth,
        published=Published(value=error, statistic="median", runs=5, source=SOURCE),
    )


def get_table(data: str = "cifar10") -> Table:
    if data not in ERRORS:
        raise ValueError(f"there is no table of '{data}'; there are {', '.join(ERRORS)}")
    return Table(
        name="he2016_table3" + ("" if data == "cifar10" else f"_{data}"),
        title=f"Original and pre-activation units, {data} (He et al. 2016, table 3)",
        rows=tuple(
            row(data, depth, name, error)
            for depth, errors in ERRORS[data].items()
            for name, error in zip(ORDERS, errors, strict=True)
        ),
        seeds=(0, 1, 2, 3, 4),
        report="error",
        x_label="layers",
        contrasts=tuple((label(depth, "pre-activation"), label(depth, "original")) for depth in ERRORS[data]),
        note=NOTE,
    )


NOTE = (
    "The paper's numbers are medians of five runs; of five with 1001 layers of pre-activation units its"
    " table 4 prints 4.89 ± 0.14 on CIFAR-10 and 22.68 ± 0.22 on CIFAR-100. In batches of 64 these have"
    " 4.62; here, as in the paper's table, batches have 128 images. All of the train set is used, and the"
    " last step reported."
)
