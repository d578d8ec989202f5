"""From a record to a table in Markdown and a figure: texts are the benchmark's, all numbers the record's."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from experiments.benchmarks import rounds
from experiments.benchmarks.benchmark import Benchmark
from experiments.benchmarks.rounds import Round
from experiments.benchmarks.summary import Spread, milliseconds, speed
from resjax.errors import ResjaxError, UserError
from resjax.record import write_atomically

OURS, OTHERS = "#0072B2", "#999999"  # the first is Wong's blue, as in resjax/figure.py


def read(path: Path) -> dict[str, Any]:
    """Raises UserError where there is no record, or a damaged one."""
    try:
        record = json.loads(path.read_text())
        [Round(**each) for each in record["rounds"]]
    except FileNotFoundError as error:
        raise UserError(f"there is no record {path} to render; run without --render to make it") from error
    except (ValueError, KeyError, TypeError) as error:
        raise UserError(f"{path} is damaged ({error}); restore it, or run without --render") from error
    return record


def publish(benchmark: Benchmark, path: Path) -> str:
    """Renders a record beside itself; -> the Markdown."""
    record = read(path)
    text = markdown(benchmark, record)
    write_atomically(path.with_suffix(".md"), text)
    figure(benchmark, record, path.with_suffix(".png"))
    return text


def markdown(benchmark: Benchmark, record: dict[str, Any]) -> str:
    good, sides = _good(record), _labels(benchmark, record)
    baseline = _baseline(benchmark, record)
    header = ["side", "ms a step", "images/s", f"speed, {sides[baseline]} = 1"]
    header += ["first step, s", "rounds"]
    if _counted(record):
        header.append(f"multiply-adds, {sides[baseline]} = 1")
    if benchmark.ours in _ran(record):
        header.insert(4, f"{sides[benchmark.ours]}'s speed, side = 1")
    body = [_row(benchmark, record, good, baseline, name) for name in _ran(record)]
    lines = [f"| {' | '.join(header)} |", "|---|" + "---:|" * (len(header) - 1)]
    lines += [f"| {' | '.join(row)} |" for row in body]
    failed = [f"{sides[name]} did not run: {facts['cannot']}."
              for name, facts in record["sides"].items() if "cannot" in facts]  # fmt: skip
    note = benchmark.note.format(**record["settings"])
    image = f"![{benchmark.title}]({benchmark.name}.png)"
    parts = [f"# {benchmark.title}", image, "\n".join(lines), *failed, note, _origin(record)]
    return "\n\n".join(parts) + "\n"


def _row(
    benchmark: Benchmark, record: dict[str, Any], good: Sequence[Round], baseline: str, name: str
) -> list[str]:
    step = milliseconds(good, name, record["settings"]["steps"])
    row = [_labels(benchmark, record)[name], f"{step:.0f}", f"{1000 * benchmark.images / step:,.0f}"]
    row.append(told(speed(good, name, baseline)))
    if benchmark.ours in _ran(record):
        row.append(told(speed(good, benchmark.ours, name)))
    row += [f"{record['sides'][name]['first_step_seconds']:.1f}", str(len(good))]
    counts = _counted(record)
    return [*row, f"{counts[name] / counts[baseline]:.3f}"] if counts else row


def _counted(record: dict[str, Any]) -> dict[str, int]:
    """-> multiply-adds by side, where they differ."""
    counts = {name: record["sides"][name].get("multiply_adds", 0) for name in _ran(record)}
    return counts if all(counts.values()) and len(set(counts.values())) > 1 else {}


def told(found: Spread) -> str:
    """-> "0.68 (0.64 to 0.72)"; a side against itself is 1 in every round."""
    if found.low == found.high == 1:
        return "1"
    return f"{found.median:.2f} ({found.low:.2f} to {found.high:.2f})"


def _good(record: dict[str, Any]) -> list[Round]:
    good = rounds.steady([Round(**each) for each in record["rounds"]])
    if not good:
        raise ResjaxError(
            f"the machine was never steady in {len(record['rounds'])} rounds, so there is nothing to"
            " record or render; run again when nothing else runs on it"
        )
    return good


def _labels(benchmark: Benchmark, record: dict[str, Any]) -> dict[str, str]:
    known = {side.name: side.label for side in benchmark.sides(Path(), 1)}
    return {name: known.get(name, str(name)) for name in record["sides"]}


def _baseline(benchmark: Benchmark, record: dict[str, Any]) -> str:
    """-> the benchmark's, or where it did not run, the first side that did."""
    ran = _ran(record)
    return benchmark.baseline if benchmark.baseline in ran else ran[0]


def _ran(record: dict[str, Any]) -> list[str]:
    return [name for name, facts in record["sides"].items() if "cannot" not in facts]


def _origin(record: dict[str, Any]) -> str:
    device, count, good = record["device"], len(record["rounds"]), len(_good(record))
    names = [each for each in ("jax", "flax", "torch", "numpy", "python") if each in record["versions"]]
    versions = ", ".join(f"{name} {record['versions'][name]}" for name in names)
    return (
        f"{record['date']}, on {device['kind']} ({device['platform']}, {record['cpu_count']} cores);"
        f" {versions}; commit {record['commit']}. {count} rounds, {count - good} of them discarded;"
        f" load before the run: {record['load_before']}."
    )


def figure(benchmark: Benchmark, record: dict[str, Any], path: Path) -> None:
    """Bars of the speed relative to the baseline; whiskers reach to the slowest and the fastest round."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot as plt

    good, labels, baseline = _good(record), _labels(benchmark, record), _baseline(benchmark, record)
    names = _ran(record)[::-1]  # the first bar is the lowest
    fig, axis = plt.subplots(figsize=(8, 1.2 + 0.5 * len(names)), layout="constrained")
    for place, name in enumerate(names):
        found = speed(good, name, baseline)
        whisker = [[found.median - found.low], [found.high - found.median]]
        colour = OURS if name == benchmark.ours else OTHERS
        axis.barh(place, found.median, height=0.6, color=colour, xerr=whisker, capsize=3)
        axis.annotate(
            told(found), (found.high, place), (6, 0), textcoords="offset points", va="center",
            bbox={"color": "white", "pad": 1},
        )  # fmt: skip
    axis.axvline(1, color="black", linewidth=0.8, linestyle=":", zorder=0)
    axis.set_yticks(range(len(names)), [labels[name] for name in names])
    axis.set(title=benchmark.title, xlabel=f"images per second, {labels[baseline]} = 1", xlim=(0, None))
    axis.margins(x=0.25)
    axis.spines[["top", "right"]].set_visible(False)
    fig.savefig(path, dpi=150, metadata={"Software": None})
    plt.close(fig)
