"""The learning rate of configs/digits.py, chosen on a held-out slice of train; the test set has no say.

    python -m resjax table experiments/digits_rate.py

287 of the 1,437 training images are held out. Plain and residual nets are tried alike, so that a plain
net is not called broken at a rate that only suits its twin.
"""

from resjax.table import Row, Table

DEPTHS = (8, 20, 32, 44)
RATES = (0.005, 0.02, 0.08)


def get_table() -> Table:
    arms = [(line, skip, rate) for line, skip in (("plain", False), ("residual", True)) for rate in RATES]
    rows = tuple(
        Row(
            label=f"{line} {depth}, rate {rate}",
            config=f"../configs/digits.py:{depth}",
            overrides={"model.skip": skip, "schedule.learning_rate": rate, "data.holdout": 287},
            line=f"{line}, rate {rate}",
            x=depth,
        )
        for depth in DEPTHS
        for line, skip, rate in arms
    )
    return Table(
        name="digits_rate",
        title="Learning rates on digits, by accuracy on a held-out slice of train",
        rows=rows,
        seeds=(0, 1, 2),
        metric="validation/accuracy",
        x_label="layers",
    )
