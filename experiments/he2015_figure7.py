"""Standard deviations of layer responses on CIFAR-10: He et al. 2015 (1512.03385), figure 7.

    python -m experiments.he2015_figure7                     of the runs of experiments/he2015_table6.py
    python -m experiments.he2015_figure7 --budget 0.01       of its shortened runs
    python -m experiments.he2015_figure7 --render            figure and page from the numbers alone

Nothing is trained here: those of the five nets are shown that the table has run in --workdir, with as many
seeds as are there. The paper has no numbers in print; what it reads off its figure is that residual nets
respond less than their plain twins, and deeper residual nets less in each layer.
"""

import argparse
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

from resjax import backend, probing, table
from resjax.__main__ import one_voice
from resjax.budget import FULL
from resjax.errors import ResjaxError, UserError
from resjax.probes import findings, plot
from resjax.probes.findings import Report
from resjax.probes.subject import Subject, of_run
from resjax.progress import Display
from resjax.record import write_atomically
from resjax.table import Work

NAME = "he2015_figure7"
HERE = Path(__file__).parent
TABLE = HERE / "he2015_table6.py"
NETS = ("plain-20", "plain-56", "ResNet-20", "ResNet-56", "ResNet-110")
TITLE = "Responses of layers, CIFAR-10 (He et al. 2015, figure 7)"
NOTE = (
    "Over the examples, pixels and channels of each layer's output, behind its norm and before ReLU and"
    " addition; 512 training images, running statistics, the last checkpoint. Made by"
    " `python -m experiments.he2015_figure7{budget}` of the runs of experiments/he2015_table6.py."
)


def main(argv: Sequence[str] | None = None) -> int:
    args = _parser().parse_args(argv)
    backend.configure()
    try:
        folder = args.results if args.budget == FULL else args.results / f"budget-{args.budget:g}"
        with one_voice():
            if not args.render:
                _measure(args, folder)
            publish(folder, args.budget)
    except ResjaxError as error:
        print(f"resjax: {error}", file=sys.stderr)
        return error.exit_code
    return 0


def _measure(args: argparse.Namespace, folder: Path) -> None:
    report = probing.measure("responses", _nets(args), {"examples": 512}, folder, Display())
    folder.mkdir(parents=True, exist_ok=True)
    write_atomically(folder / f"{NAME}.json", findings.to_json(report))


def _nets(args: argparse.Namespace) -> Iterator[Subject]:
    """Raises UserError where the table has run none of the nets."""
    loaded = table.load(str(TABLE))
    found = 0
    for net in NETS:
        work = Work(loaded, table.choose(loaded, TABLE, net), args.budget, args.results, args.workdir)
        for folder in map(work.folder, work.cells):
            if (folder / "result.json").exists():
                found += 1
                yield of_run(net, folder)
    if not found:
        raise UserError(
            f"there is no finished run in {args.workdir / loaded.name}; make some by"
            " resjax table experiments/he2015_table6.py"
        )


def publish(folder: Path, budget: float) -> None:
    """From the numbers to the figure and the page."""
    report = findings.read(folder / f"{NAME}.json")
    shortened = "" if budget == FULL else f"\nshortened runs: {100 * budget:g} % of the schedule"
    with plot.canvas(1, len(report.quantities), folder / NAME) as (fig, axes):
        for axis, quantity in zip(axes.flat, report.quantities, strict=True):
            plot.panel(axis, report, quantity)
        plot.legend(fig, axes, report)
        fig.suptitle(TITLE + shortened)
    write_atomically(folder / f"{NAME}.md", page(report, budget))


def page(report: Report, budget: float) -> str:
    own = "" if budget == FULL else f" --budget {budget:g}"
    parts = [f"# {TITLE}", f"![{TITLE}]({NAME}.png)", NOTE.format(budget=own)]
    if own:
        parts.insert(1, f"**Shortened runs: {100 * budget:g} % of the schedule.**")
    missing = [net for net in NETS if net not in report.labels]
    parts += [f"Not measured yet: {', '.join(missing)}."] if missing else []
    return "\n\n".join([*parts, f"```\n{findings.table(report)}\n```"]) + "\n"


def _parser() -> argparse.ArgumentParser:
    raw = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(
        f"python -m experiments.{NAME}", description=__doc__, formatter_class=raw
    )
    parser.add_argument("--budget", type=float, default=FULL, metavar="SHARE", help="of the runs' schedule")
    parser.add_argument("--workdir", type=Path, default=Path("runs"), metavar="DIR", help="default: runs")
    parser.add_argument("--results", type=Path, default=HERE / "results" / NAME, metavar="DIR")
    parser.add_argument("--render", action="store_true", help="measure nothing")
    return parser


if __name__ == "__main__":
    sys.exit(main())
