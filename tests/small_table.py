"""A table of two nets and two seeds, seconds a run, for the tests of tables and of what runs them."""

from pathlib import Path

CONFIG = """
from ml_collections import ConfigDict

def get_config(depth="4"):
    config = ConfigDict()
    config.data = dict(name="digits")
    config.model = dict(name="residual_mlp", depth=int(depth), width=8)
    config.schedule = dict(name="constant", unit="steps", length=STEPS, learning_rate=0.1)
    config.train = dict(batch_size=100, log_every=5, checkpoint_every=1000, eval_every=20)
    return config
"""
TABLE = """
from resjax.table import Row, Table

def get_table():
    rows = tuple(
        Row(label=f"{line} 4", config="config.py:4", overrides={"model.skip": skip}, line=line, x=4)
        for line, skip in (("plain", False), ("residual", True))
    )
    return Table(name="small", title="A small table", rows=rows, seeds=(0, 1), x_label="layers",
                 contrasts=(("residual 4", "plain 4"),))
"""


def write(folder: Path, steps: int = 12) -> Path:
    (folder / "config.py").write_text(CONFIG.replace("STEPS", str(steps)))
    (folder / "table.py").write_text(TABLE)
    return folder / "table.py"


def records(folder: Path) -> list[Path]:
    return sorted((folder / "results" / "small").glob("*.json"))
