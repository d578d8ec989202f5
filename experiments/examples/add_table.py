"""A table: rows, each a config and what differs from it, times seeds. Here: what does momentum bring?

    resjax table experiments/examples/add_table.py          # any table is run so, and this one also by
    python experiments/examples/add_table.py [FOLDER]

Both run the cells that have no record yet, and print mean, standard deviation and the difference of the two
rows, paired by seed, with its 95 % interval. FOLDER (runs/add_table) receives the runs, and in results/ the
records and the table as .md, .csv, .tex and .png. A table that is to stay is a file in experiments/.
"""

import sys
from pathlib import Path

import resjax


def get_table() -> resjax.Table:
    rows = tuple(
        resjax.Row(
            label=f"momentum {momentum:g}",
            config="../../configs/digits.py:6",  # as seen from this file
            overrides={"optim.momentum": momentum, "schedule.length": 3},
            x=momentum,
        )
        for momentum in (0.0, 0.9)
    )
    return resjax.Table(
        name="momentum",
        title="A residual net of 6 layers with and without momentum, three epochs of digits",
        rows=rows,
        seeds=(0, 1),
        x_label="momentum",
        contrasts=(("momentum 0.9", "momentum 0"),),
        keep_records=False,  # True: beside this file, to be committed
    )


def main(folder: Path) -> None:
    print(resjax.run_table(__file__, folder / "results", workdir=folder))


if __name__ == "__main__":
    main(Path(*sys.argv[1:] or ["runs/add_table"]))
