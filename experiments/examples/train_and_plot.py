"""Trains a plain net and its residual twin on handwritten digits, and draws how both learn.

    python experiments/examples/train_and_plot.py [FOLDER]

Both have 32 layers, the same number of parameters, initial values and order of images; only one has skip
connections. FOLDER (runs/train_and_plot) receives a run for each and curves.png, in which the plain net
falls behind on its training images already. Started again, it draws the same without training.
"""

import json
import sys
from pathlib import Path

from matplotlib.figure import Figure

import resjax

CONFIG = f"{Path(__file__).parents[2] / 'configs' / 'digits.py'}:32"
# Ten epochs, an evaluation behind each of them, and the loss reported there alone.
SHORT = "--config.schedule.length=10", "--config.train.eval_every=1", "--config.train.log_every=1000"


def curve(run: Path, metric: str) -> tuple[list[int], list[float]]:
    """-> the steps at which a run has logged a metric, and its values."""
    rows = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    found = [row for row in rows if metric in row]
    return [row["step"] for row in found], [row[metric] for row in found]


def main(folder: Path) -> None:
    figure = Figure(figsize=(9, 3.5), layout="constrained")
    axes = dict(zip(("train/loss", "test/accuracy"), figure.subplots(1, 2), strict=True))
    for name, skip in (("plain", False), ("residual", True)):
        config = resjax.load_config(CONFIG, *SHORT, f"--config.model.skip={skip}")
        result = resjax.train(config, folder / name)
        print(f"{name}: test accuracy {result['metrics']['test/accuracy']:.1%}")
        for metric, plot in axes.items():
            plot.plot(*curve(folder / name, metric), label=name)
            plot.set(xlabel="step", ylabel=metric)
            plot.legend()
    figure.savefig(folder / "curves.png")
    print(folder / "curves.png")


if __name__ == "__main__":
    main(Path(*sys.argv[1:] or ["runs/train_and_plot"]))
