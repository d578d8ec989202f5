"""What a probe has at hand while it measures, and what a probe is."""

import dataclasses
from collections.abc import Callable, Sequence
from pathlib import Path

from resjax.probes import plot
from resjax.probes.findings import Point, Quantity, Report
from resjax.probes.subject import Subject
from resjax.progress import Display


def _never() -> None:
    pass


@dataclasses.dataclass(frozen=True)
class Bench:
    """What a measurement may use.

    Attributes:
      folder: of its own, for what a stopped measurement of this subject goes on from.
      display: shows progress.
      poll: to be called between pieces of work; raises where the command is to stop.
    """

    folder: Path
    display: Display = dataclasses.field(default_factory=lambda: Display(quiet=True))
    poll: Callable[[], None] = _never


@dataclasses.dataclass(frozen=True, kw_only=True)
class Probe:
    """One kind of measurement.

    Attributes:
      measure: (subject, bench, *, settings) -> points; its docstring defines them, its keyword-only
        arguments are the settings, and it raises ValueError("KEY is ...; it must ...") or UserError.
      quantities: the panels of its figure, in their order.
      draw: (report, stem) -> None, writes STEM.png and STEM.pdf, and others whose names begin with STEM.
      trained: it asks for a run; a net at the start of training tells nothing.
    """

    title: str
    measure: Callable[..., Sequence[Point]]
    quantities: tuple[Quantity, ...]
    draw: Callable[[Report, Path], None] = plot.lines
    trained: bool = False


__all__ = ["Bench", "Point", "Probe", "Quantity", "Report", "Subject"]
