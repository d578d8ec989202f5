"""Recurrent nets of tanh units with skips of delay 1 (none), 5, 9 and 21 through time, beside LSTM and GRU.

    resjax prepare tfds:mnist
    python -m resjax table experiments/skips_through_time.py             an image's rows: 28 steps
    python -m resjax table experiments/skips_through_time.py:pixels      its pixels: 784 steps

configs/mnist_recurrent.py has the recipe. Zhang et al. 2016 (1602.08210) read pixels; their numbers stand
beside ours as unverified, for they are from memory.
"""

from resjax.table import Published, Row, Table

SOURCE = "Zhang et al. 2016 (1602.08210)"
DELAYS = {1: 34.9, 5: 46.9, 9: 74.9, 21: 87.8}  # % of test, by pixels
ARGUMENTS = ("rows", "pixels")


def get_table(reads: str = "rows") -> Table:
    if reads not in ARGUMENTS:
        raise ValueError(f"there is no table of '{reads}'; there are {', '.join(ARGUMENTS)}")
    config = f"../configs/mnist_recurrent.py:{reads}"
    skips = tuple(
        Row(
            label=f"tanh, delay {delay}" if delay > 1 else "tanh",
            config=config,
            overrides={"model.delay": delay},
            published=_published(value) if reads == "pixels" else None,
        )
        for delay, value in DELAYS.items()
    )
    gated = tuple(
        Row(label=cell.upper(), config=config, overrides={"model.cell": cell}) for cell in ("lstm", "gru")
    )
    return Table(
        name="skips_through_time" + ("" if reads == "rows" else f"_{reads}"),
        title=f"Skips through time, MNIST by {reads}",
        rows=(*skips, *gated),
        seeds=(0, 1, 2),
        contrasts=tuple((f"tanh, delay {delay}", "tanh") for delay in DELAYS if delay > 1),
        note=NOTE if reads == "pixels" else "",
    )


NOTE = (
    "Zhang et al.'s numbers are from memory, as is a fifth, 85.4 at delay 13; their width, rate and number of"
    " epochs are not known here."
)


def _published(value: float) -> Published:
    return Published(value=value, source=SOURCE, verified=False)
