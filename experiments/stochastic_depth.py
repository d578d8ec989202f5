"""ResNet-110 with stochastic and with constant depth: Huang et al. 2016 (1603.09382).

    python -m resjax table experiments/stochastic_depth.py               CIFAR-10
    python -m resjax table experiments/stochastic_depth.py:cifar100      CIFAR-100

configs/stochastic_depth.py has the recipe, which is another than He et al.'s: 500 epochs of 45,000 images.
"""

from resjax.table import Published, Row, Table

SOURCE = "Huang et al. 2016 (1603.09382)"
CONSTANT, STOCHASTIC = "ResNet-110, constant depth", "ResNet-110, stochastic depth"
PUBLISHED = {
    "cifar10": (
        Published(value=6.41, statistic="one run", source=SOURCE),
        Published(value=5.25, statistic="one run", source=SOURCE),
    ),
    "cifar100": (
        Published(value=27.22, statistic="one run", source=SOURCE, verified=False),
        Published(value=24.58, statistic="one run", source=SOURCE),
    ),
}
ARGUMENTS = tuple(PUBLISHED)


def get_table(data: str = "cifar10") -> Table:
    if data not in PUBLISHED:
        raise ValueError(f"there is no table of '{data}'; there are {', '.join(PUBLISHED)}")
    arms = zip((CONSTANT, STOCHASTIC), (1.0, 0.5), PUBLISHED[data], strict=True)
    return Table(
        name="stochastic_depth" + ("" if data == "cifar10" else f"_{data}"),
        title=f"Stochastic depth, {data} (Huang et al. 2016)",
        rows=tuple(
            Row(
                label=label,
                config="../configs/stochastic_depth.py:110",
                overrides={"model.survival": survival, "data.name": f"tfds:{data}"},
                published=published,
            )
            for label, survival, published in arms
        ),
        seeds=(0, 1, 2, 3, 4),
        report="error",
        contrasts=((STOCHASTIC, CONSTANT),),
        note=NOTE,
    )


NOTE = (
    "5,000 images of train are held out; the paper chose the epoch by them, while here the last step is"
    " reported. Its constant depth is not He et al.'s ResNet-110, which has 164 epochs of all 50,000 images."
    " Shortcuts that halve the plane take every second pixel, where the paper averages. Its authors say of"
    " their code to expect 0.2 points more or less; a run of it by others had 5.81 and 5.15 on CIFAR-10."
    " Multiply-adds are those of a net whose branches are all there."
)
