"""Depth breaks plain nets and skip connections mend them, in three minutes on two cores.

    python -m resjax table experiments/quickstart.py

Fully connected nets of 64 units on scikit-learn's handwritten digits; each plain net is its residual
twin without the shortcuts, with the same parameters, initial values, data order and schedule.
"""

from resjax.table import Row, Table

DEPTHS = (8, 20, 32, 44)


def get_table() -> Table:
    arms = (("plain", False), ("residual", True))
    rows = tuple(
        Row(
            label=f"{line} {depth}",
            config=f"../configs/digits.py:{depth}",
            overrides={"model.skip": skip},
            line=line,
            x=depth,
        )
        for depth in DEPTHS
        for line, skip in arms
    )
    return Table(
        name="quickstart",
        title="Plain nets break down with depth; skip connections cure it (digits)",
        rows=rows,
        seeds=(0, 1, 2),
        x_label="layers",
        contrasts=tuple((f"residual {depth}", f"plain {depth}") for depth in DEPTHS),
        keep_records=False,
    )
