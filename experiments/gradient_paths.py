"""What skips, heads and pretraining do to the paths of the gradient, over depth; digits, fully connected.

    python -m experiments.gradient_paths                     runs, probes and figures, on two cores
    python -m experiments.gradient_paths --render            figures and the page from the numbers alone

Plain and residual nets of 8, 20 and 32 layers, plain ones with a head at every block and plain ones that were
trained greedily before, three seeds each, by configs/supervision.py. Probed are gradients at the start of
training (of the joint training, where there was pretraining) and at its end, responses at its end, and how
shattered the gradients of scalar nets are (configs/shattered.py). Runs that are there are not made again.
"""

import argparse
import dataclasses
import json
import sys
import textwrap
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from statistics import fmean
from typing import Any

from resjax import backend, probing
from resjax import config as configs
from resjax.__main__ import one_voice
from resjax.config import Config
from resjax.errors import ResjaxError
from resjax.probes import findings, plot
from resjax.probes.findings import Point, Quantity, Report
from resjax.probes.gradients import TOTAL
from resjax.probes.registry import PROBES
from resjax.probes.subject import Subject, at_start, of_run
from resjax.progress import Display
from resjax.record import provenance, write_atomically
from resjax.training import train

NAME = "gradient_paths"
RESULTS = Path(__file__).parent / "results" / NAME
CONFIGS = Path(__file__).parent.parent / "configs"
DEPTHS, SEEDS = (8, 20, 32), 3
ARMS = {  # argument of configs/supervision.py, and whether there are skips
    "plain": ("", False),
    "residual": ("", True),
    "plain, heads": (",heads", False),
    "plain, greedy before": (",greedy", False),
}
SCALAR = ("plain", "residual", "beta0.1", "plain_norm", "residual_norm", "beta0.1_norm", "looks_linear")
TITLE = "The paths of the gradient: skips, heads and pretraining over depth"
READING = """\
Do the figures bear out what textbooks say? Not that gradients vanish. With batch norm, those of plain
nets grow on their way to the image: at the start of training they are {plain[0]:.1f}, {plain[1]:.0f}
and {plain[2]:.0f} times as large at the first block as at the last one, in nets of 8, 20 and 32 layers,
those of residual nets {residual[0]:.1f}, {residual[1]:.0f} and {residual[2]:.0f} times. What skips do
is keep them even. (That plain nets with batch norm have healthy gradients is in He et al. 2015, section
4.1.) Heads add to what is already too much, {heads[2]:.0f} times at 32 layers, and at the start in
directions of their own: the cosine with the main loss's gradient is {apart:.2f} on average over blocks
and the two heads shown, at the end {together:.2f}. Greedy pretraining leaves the opposite slope,
{greedy[2]:.2f}. At the end of training slopes lie between {lowest:.1f} and {highest:.0f}; arms differ
by about their spread over seeds.

That gradients of deep plain nets are shattered is borne out: with batch norm, in 50 layers, they are
white noise from one input to the next (autocorrelation {white:.2f} at lag 1), without norm they are not
({bare:.2f}). Skips alone help little on a grid of numbers ({skips:.2f} with batch norm), and much
between images, at lag 10: {between:.2f} against {between_plain:.2f}. Branches times 0.1 come near brown
noise, and mirrored weights stay straight.

Responses of trained residual nets are the smallest, as in He et al.'s figure 7, though by little: at 32
layers {response[1]:.2f} on average over layers, in plain ones {response[0]:.2f}, with heads
{response[2]:.2f}, pretrained {response[3]:.2f}.
"""
# One step at no rate to speak of: the net as pretraining leaves it.
UNTRAINED = ("name=constant", "unit=steps", "length=1", "learning_rate=1e-9")
MEASURED = (("gradients", "start"), ("gradients", "end"), ("responses", "end"))
COST = "cost.json"
WATCH = ({"name": "gradients", "every": 25},)
RATIO = Quantity(
    name="ratio", title="first block's gradient over the last one's", x_label="layers",
    y_label="ratio of the norms, activations", log=True,
)  # fmt: skip


def main(argv: Sequence[str] | None = None) -> int:
    args = _parser().parse_args(argv)
    backend.configure()
    try:
        with one_voice():
            if not args.render:
                _measure(args.workdir, args.results)
            publish(args.results)
    except ResjaxError as error:
        print(f"resjax: {error}", file=sys.stderr)
        return error.exit_code
    return 0


def _measure(workdir: Path, results: Path) -> None:
    start = time.monotonic()
    with Display() as display:
        for depth in DEPTHS:
            for kind, when in MEASURED:
                _probe(f"{kind}-{when}-{depth}", _nets(depth, when, workdir, display), results, display)
        _probe("shattered", _scalar_nets(), results, display)
    cost = {"minutes": round((time.monotonic() - start) / 60, 2), **provenance()}
    write_atomically(results / COST, json.dumps(cost, indent=1) + "\n")


def _scalar_nets() -> Iterator[Subject]:
    for arm in SCALAR:
        yield from at_start(arm, configs.load(f"{CONFIGS}/shattered.py:{arm}"), SEEDS)


def _probe(name: str, nets: Iterator[Subject], results: Path, display: Display) -> None:
    """A report under a name that begins with its probe's."""
    kind = name.split("-")[0]
    report = probing.measure(kind, nets, probing.settings(kind, []), results, display)
    results.mkdir(parents=True, exist_ok=True)
    write_atomically(results / f"{name}.json", findings.to_json(report))


def _nets(depth: int, when: str, workdir: Path, display: Display) -> Iterator[Subject]:
    """Those without pretraining are at their start as soon as they are built; all others come from runs."""
    for arm in ARMS:
        for seed in range(SEEDS):
            config = _config(arm, depth, seed, when)
            if config.phases or when == "end":
                name = f"{arm.replace(', ', '-').replace(' ', '-')}-{depth}-{when}"
                train(config, workdir / name / f"seed{seed}", display)
                yield of_run(arm, workdir / name / f"seed{seed}")
            else:
                yield from at_start(arm, config, 1)


def _config(arm: str, depth: int, seed: int, when: str) -> Config:
    argument, skip = ARMS[arm]
    flags = [f"--config.model.skip={skip}", f"--config.seed={seed}"]
    if when == "start" and "greedy" in argument:
        flags += [f"--config.schedule.{setting}" for setting in UNTRAINED]
    config = configs.load(f"{CONFIGS}/supervision.py:digits,{depth}{argument}", flags)
    watched = (when, depth, seed) == ("end", DEPTHS[-1], 0)
    return configs.override({**config.to_dict(), "probes": WATCH if watched else ()}, ())


def _parser() -> argparse.ArgumentParser:
    raw = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(
        f"python -m experiments.{NAME}", description=__doc__, formatter_class=raw
    )
    parser.add_argument("--results", type=Path, default=RESULTS, metavar="DIR", help="default: results/ here")
    parser.add_argument("--workdir", type=Path, default=Path("runs") / NAME, metavar="DIR")
    parser.add_argument("--render", action="store_true", help="measure nothing")
    return parser


def publish(results: Path) -> None:
    """From the numbers to figures and the page."""
    names = [f"{kind}-{when}-{depth}" for kind, when in MEASURED for depth in DEPTHS]
    reports = {name: findings.read(results / f"{name}.json") for name in [*names, "shattered"]}
    for name, report in reports.items():
        PROBES[report.probe].draw(report, results / name)
    _overview(reports, results / NAME)
    minutes = json.loads((results / COST).read_text())["minutes"]
    write_atomically(results / f"{NAME}.md", _page(reports, minutes))


def followed(report: Report) -> Report:
    """-> gradient norms of the activations, of what is trained on: all losses, weighted."""
    found = []
    for finding in report.findings:
        lines = {point.line for point in finding.points}
        wanted = ("activations", TOTAL if TOTAL in lines else "main")
        points = (point for point in finding.points if (point.quantity, point.line) == wanted)
        own = tuple(dataclasses.replace(point, line="") for point in points)
        found.append(dataclasses.replace(finding, points=own))
    return dataclasses.replace(report, quantities=report.quantities[:1], findings=tuple(found))


def ratios(reports: dict[str, Report], when: str) -> Report:
    """-> by depth, the gradient norm behind the stem over that behind the last unit."""
    found = []
    for depth in DEPTHS:
        for finding in followed(reports[f"gradients-{when}-{depth}"]).findings:
            first, *_, last, _ = (point.value for point in finding.points)  # behind all are the logits
            point = Point(RATIO.name, "", depth, str(depth), first / last)
            found.append(dataclasses.replace(finding, points=(point,)))
    return Report("gradients", "", "", (RATIO,), {}, tuple(found))


def _overview(reports: dict[str, Report], stem: Path) -> None:
    deepest, scalar = followed(reports[f"gradients-start-{DEPTHS[-1]}"]), reports["shattered"]
    with plot.canvas(1, 3, stem) as (fig, axes):
        plot.panel(axes[0, 0], deepest, deepest.quantities[0])
        axes[0, 0].set_title(f"{DEPTHS[-1]} layers, at the start")
        plot.panel(axes[0, 1], ratios(reports, "start"), RATIO)
        plot.panel(axes[0, 2], scalar, scalar.quantities[0])
        axes[0, 2].set_xscale("log")
        axes[0, 0].legend(frameon=False, fontsize=8)
        axes[0, 2].legend(frameon=False, fontsize=8, loc="upper left", bbox_to_anchor=(1, 1))
        fig.suptitle(f"{TITLE} (mean ± std of {SEEDS} seeds)")


def _numbers(reports: dict[str, Report]) -> dict[str, Any]:
    """-> what the text says, by its names there."""
    slopes, scalar = ratios(reports, "start"), reports["shattered"]
    names = ("plain", "residual", "heads", "greedy")
    found: dict[str, Any] = {
        name: _means(slopes, label, RATIO.name) for name, label in zip(names, slopes.labels, strict=True)
    }
    ends = ratios(reports, "end")
    last = [value for label in ends.labels for value in _means(ends, label, RATIO.name)]
    found |= {"lowest": min(last), "highest": max(last)}
    for name, when in (("apart", "start"), ("together", "end")):
        report = reports[f"gradients-{when}-{DEPTHS[-1]}"]
        lines = report.shown("cosine")
        found[name] = fmean(
            value for line in lines for value in _means(report, "plain, heads", "cosine", line)
        )
    for name, arm in (("white", "plain_norm"), ("bare", "plain"), ("skips", "residual_norm")):
        found[name] = _means(scalar, arm, "autocorrelation")[0]
    for name, arm in (("between", "residual_norm"), ("between_plain", "plain_norm")):
        found[name] = round(_means(scalar, arm, "path")[9], 2) + 0.0  # -0.00 reads badly
    responses = reports[f"responses-end-{DEPTHS[-1]}"]
    return found | {"response": [fmean(_means(responses, label, "std")) for label in responses.labels]}


def _means(report: Report, label: str, quantity: str, line: str = "") -> list[float]:
    return [found.mean for *_, found in report.curve(label, quantity, line)]


def _page(reports: dict[str, Report], minutes: float) -> str:
    reading = READING.format(**_numbers(reports)).split("\n\n")
    paragraphs = [textwrap.fill(" ".join(each.split()), 110) for each in reading]
    parts = [f"# {TITLE}", f"![{TITLE}]({NAME}.png)", *paragraphs, f"Made in {minutes:.1f} minutes ({COST})."]
    parts += ["First block over last, by depth, at the start and at the end of training:"]
    parts += [_block(findings.table(ratios(reports, when))) for when in ("start", "end")]
    for name, report in reports.items():
        parts += [f"## {name}", f"![{name}]({name}.png)", _block(findings.table(report))]
    return "\n\n".join(parts) + "\n"


def _block(text: str) -> str:
    return f"```\n{text}\n```"


if __name__ == "__main__":
    sys.exit(main())
