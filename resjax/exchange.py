"""What the devices exchange in a compiled program, read from the text that XLA gives of it (HLO)."""

import dataclasses
import math
import re
from collections.abc import Iterator

SIZES = {"pred": 1, "bf16": 2, "f16": 2, "f32": 4, "f64": 8, "c64": 8} | {
    f"{sign}{bits}": max(bits // 8, 1) for sign in "su" for bits in (4, 8, 16, 32, 64)
}
KINDS = "all-reduce|all-gather|all-to-all|collective-permute|reduce-scatter"
COMPUTATION = re.compile(r"(?:ENTRY )?%?([\w.-]+) .*\{$")
COLLECTIVE = re.compile(rf" = (.*?) ({KINDS})(-start)?\(")
CALLED = re.compile(r"(?:calls|to_apply|body|condition|true_computation|false_computation)=%?([\w.-]+)")
BRANCHES = re.compile(r"branch_computations=\{([^}]*)\}")
TRIPS = re.compile(r'known_trip_count":\{"n":"(\d+)"')


@dataclasses.dataclass(frozen=True)
class Exchange:
    """All collectives of one kind, in one step.

    Attributes:
      count: how often; those of a loop over identical units as often as it turns.
      bytes: of their results, on each device; of a reduce-scatter, of what it is given.
      sent: bytes that a device must send at least, however the algorithm goes.
    """

    kind: str
    count: int
    bytes: int
    sent: float


def exchanges(text: str) -> list[Exchange]:
    """-> by kind, of the HLO text of a program; a loop whose length is not known counts as one turn."""
    bodies = _computations(text)
    found: dict[str, Exchange] = {}
    for name, times in _turns(bodies).items():
        for kind, size, group in _collectives(bodies[name]):
            old = found.get(kind, Exchange(kind, 0, 0, 0.0))
            sent = old.sent + times * size * _share(kind, group)
            found[kind] = Exchange(kind, old.count + times, old.bytes + times * size, sent)
    return sorted(found.values(), key=lambda each: -each.sent)


def _computations(text: str) -> dict[str, list[str]]:
    """-> {name: its lines}; the one that is called first comes last, as XLA prints them."""
    found: dict[str, list[str]] = {}
    lines: list[str] = []
    for line in text.splitlines():
        start = COMPUTATION.match(line)
        if start:
            lines = found[start[1]] = []
        else:
            lines.append(line)
    return found


def _turns(bodies: dict[str, list[str]]) -> dict[str, int]:
    """-> how often each computation runs; callers are printed behind what they call."""
    found = dict.fromkeys(bodies, 0)
    found[list(bodies)[-1]] = 1
    for name in reversed(bodies):
        for line in bodies[name]:
            trips = TRIPS.search(line)
            several = BRANCHES.search(line)
            names = [*CALLED.findall(line), *(re.findall(r"[\w.-]+", several[1]) if several else ())]
            for called in names:
                if called in found:
                    found[called] += found[name] * (int(trips[1]) if trips else 1)
    return found


def _collectives(lines: list[str]) -> Iterator[tuple[str, int, int]]:
    """-> kind, bytes, devices of a group."""
    for line in lines:
        match = COLLECTIVE.search(line)
        if match:
            size, kind, group = _bytes(match[1]), match[2], _group(line)
            if match[3] and kind == "all-gather":  # one that is started gives what it was given too
                size = size * group // (group + 1)
            elif match[3] and kind == "collective-permute":
                size //= 2
            yield kind, size * (group if kind == "reduce-scatter" else 1), group


def _bytes(shapes: str) -> int:
    found = re.findall(r"\b([a-z]+\d*)\[([\d,]*)\]", shapes)
    sizes = (math.prod(int(side) for side in sides.split(",") if side) for _, sides in found)
    return sum(SIZES.get(kind, 0) * size for (kind, _), size in zip(found, sizes, strict=True))


def _group(line: str) -> int:
    """-> how many devices take part, of the three ways in which XLA writes it."""
    axes = re.search(r"replica_groups=mesh\[([^\]]*)\] \{([^}]*)\}", line)
    if axes:
        sizes = dict(re.findall(r"'(\w+)'=(\d+)", axes[1]))
        return math.prod(int(sizes[name]) for name in re.findall(r"'(\w+)'", axes[2]))
    grid = re.search(r"replica_groups=\[\d+,(\d+)\]<=", line)
    if grid:
        return int(grid[1])
    listed = re.search(r"replica_groups=\{\{([\d,]+)\}", line)
    return listed[1].count(",") + 1 if listed else 2  # a permutation: pairs


def _share(kind: str, group: int) -> float:
    """-> of an array's bytes, those that a device must send at least (Chan et al. 2007, table 1)."""
    if kind == "collective-permute":
        return 1.0
    return (2 if kind == "all-reduce" else 1) * (group - 1) / group
