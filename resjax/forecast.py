"""What `resjax plan` prints."""

import json

from rich.console import Console
from rich.table import Table

from resjax.preflight import Plan, bounds
from resjax.rehearsal import Need

STREAMED = (
    "Images come to each device as they are needed: config.data.hold says so, or they are more than are held"
    " there, or their number is not known here."
)
RATES = ("compute", "memory", "interconnect")
LOOPS = "≥: XLA counts the body of a loop over identical units, or over the parts of a batch, once."
NOTE = (
    "Times are amounts over the chip's peak rates, not measurements. A step takes longer than compute and"
    " interconnect; XLA's bytes include what stays in on-chip memory, so that memory may take less."
)


def show(plan: Plan, *, as_json: bool) -> None:
    if as_json:
        print(json.dumps(plan.to_dict(), indent=2))
        return
    console = Console(soft_wrap=True, width=10_000)  # as wide as needed, whatever the terminal
    axes = ",".join(f"{axis}={count}" for axis, count in plan.mesh.items())
    table = Table("per device and step", title=f"{plan.model} on {plan.target.name}, mesh {axes}")
    for need in plan.needs:
        table.add_column(need.program, justify="right")
    for cells in zip(*(_lines(need, plan) for need in plan.needs), strict=True):
        table.add_row(cells[0][0], *(value for _, value in cells))
    console.print(table)
    for line in _remarks(plan):
        console.print(line, highlight=False)


def _lines(need: Need, plan: Plan) -> list[tuple[str, str]]:
    chip, seconds = plan.target.chip, bounds(need, plan.target.chip)
    least, sign = max(seconds.values(), default=0.0), "≥ " if need.loops else ""
    limit = max(seconds, key=lambda name: seconds[name], default="unknown")
    limit += " or memory" if sign and limit == "compute" else ""  # whose bytes are more than was counted
    kinds = [f"{each.count} {each.kind}, {each.bytes / 1e6:.1f} MB" for each in need.exchanges]
    return [
        ("examples, of all devices", f"{need.examples:,}"),
        ("arguments", _mib(need.arguments)),
        ("temporaries", _mib(need.temporaries)),
        ("beside it, for the other program", _mib(need.beside)),
        ("peak", _mib(need.peak)),
        ("memory of the device", _mib(chip.memory or None)),
        ("FLOPs of the net, 10⁹", f"{need.flops / 1e9:,.3f}"),
        ("FLOPs counted by XLA, 10⁹", _counted(need.counted_flops, 1e9, sign)),
        ("bytes to and from memory, 10⁹", _counted(need.accessed, 1e9, sign)),
        ("collectives", "; ".join(kinds) or "none"),
        *(
            (f"ms of {name} at its peak", _ms(seconds.get(name), sign * (name != "compute")))
            for name in RATES
        ),
        ("limited by", limit),
        ("ms of a step, at least", _ms(least or None)),
        (
            "images/s of all devices, by that",
            f"{'≤ ' * need.loops}{need.examples / least:,.0f}" if least else "unknown",
        ),
        ("traced and compiled in, s", f"{need.compile_seconds:.1f}"),
    ]


def _remarks(plan: Plan) -> list[str]:
    tried = [
        f"checked: config.train.{trial.key}={trial.value} needs {_mib(trial.peak)},"
        f" {'fits' if trial.fits else 'does not fit'}"
        for trial in plan.trials
    ]
    notes = [] if plan.whole else [STREAMED]
    notes += [LOOPS] if any(need.loops for need in plan.needs) else []
    return [plan.verdict, *tried, *notes, NOTE]


def _mib(count: int | None) -> str:
    return "unknown" if count is None else f"{count / 2**20:,.1f} MiB"


def _counted(count: float | None, unit: float, sign: str) -> str:
    return "unknown" if count is None else f"{sign}{count / unit:,.3f}"


def _ms(seconds: float | None, sign: str = "") -> str:
    return "-" if seconds is None else f"{sign}{1000 * seconds:.2f}"
