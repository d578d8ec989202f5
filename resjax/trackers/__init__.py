"""Trackers that a run's numbers can be sent to: each in a module of its own, with a class `Tracker`."""

import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal, Protocol

PROJECT = "resjax"  # where runs go that belong to no table, unless the tracker's own settings say otherwise
State = Literal["finished", "failed", "preempted"]


@dataclasses.dataclass(frozen=True)
class About:
    """What a tracker is told of a run as it starts.

    Attributes:
      group: the table that the run belongs to; "": none.
      config: by dotted keys, as JSON values.
      origin: the same of versions, device and commit; those of a run that goes on may be others.
    """

    name: str
    group: str
    workdir: Path
    config: Mapping[str, Any]
    origin: Mapping[str, Any]


class Tracker(Protocol):
    """One run there, begun or gone on with as this is made; all of it may raise whatever the library raises.

    Attributes:
      id: by which the tracker knows the run.
      place: where it can be seen, in words.
    """

    id: str
    place: str

    def __init__(self, about: About, known: str | None):
        """`known` is the `id` of a run that goes on; None: a new one."""
        ...

    def write(self, step: int, values: Mapping[str, float]) -> None: ...

    def finish(self, state: State, step: int, summary: Mapping[str, float]) -> None:
        """`step` is the last one; `summary` holds what the run amounts to, nothing where it is not done."""
        ...
