"""Three cures of depth in three minutes on two cores: skip connections, auxiliary heads, pretraining.

    python -m resjax table experiments/quickstart.py

Fully connected nets of 64 units on scikit-learn's handwritten digits: a part of the grid of
experiments/skip_heads_pretraining.py, with three seeds. Each plain net is its residual twin without the
shortcuts, with the same parameters, initial values, data order and schedule; all rows of one depth cost
the same multiply-adds (configs/supervision.py says how).
"""

from resjax.table import Row, Table

DEPTHS = (8, 32)
ARMS = (("plain", "none"), ("residual", "none"), ("plain", "heads"), ("plain", "greedy"))


def label(skip: str, depth: int, arm: str) -> str:
    return f"{skip} {depth}" + ("" if arm == "none" else f", {arm}")


def get_table() -> Table:
    rows = tuple(
        Row(
            label=label(skip, depth, arm),
            config=f"../configs/supervision.py:digits,{depth}" + ("" if arm == "none" else f",{arm}"),
            overrides={"model.skip": skip == "residual"},
            line=skip if arm == "none" else f"{skip}, {arm}",
            x=depth,
        )
        for depth in DEPTHS
        for skip, arm in ARMS
    )
    return Table(
        name="quickstart",
        title="Plain nets break down with depth; three cures, at equal budgets (digits)",
        rows=rows,
        seeds=(0, 1, 2),
        x_label="layers",
        contrasts=tuple(
            (label(skip, depth, arm), f"plain {depth}") for depth in DEPTHS for skip, arm in ARMS[1:]
        ),
        keep_records=False,
    )
