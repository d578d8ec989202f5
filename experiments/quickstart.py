"""Three cures of depth in three minutes on two cores: skip connections, auxiliary heads, pretraining.

    python -m resjax table experiments/quickstart.py

Fully connected nets of 64 units on scikit-learn's handwritten digits: a part of the grid of
experiments/skip_heads_pretraining.py, with three seeds. Each plain net is its residual twin without the
shortcuts, with the same parameters, initial values, data order and schedule; all rows of one depth cost
the same multiply-adds (configs/supervision.py says how).
"""

from resjax.table import Row, Table

ROWS = (
    ("plain", 8, "none"),
    ("residual", 8, "none"),
    ("plain", 32, "none"),
    ("residual", 32, "none"),
    ("plain", 32, "heads"),
    ("plain", 32, "greedy"),
)


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
        for skip, depth, arm in ROWS
    )
    return Table(
        name="quickstart",
        title="Plain nets break down with depth; three cures, at equal budgets (digits)",
        rows=rows,
        seeds=(0, 1, 2),
        x_label="layers",
        contrasts=(
            ("residual 8", "plain 8"),
            ("residual 32", "plain 32"),
            ("plain 32, heads", "plain 32"),
            ("plain 32, greedy", "plain 32"),
        ),
        keep_records=False,
    )
