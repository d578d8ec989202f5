"""Of the benchmarks whose sides take no turns: a record, and the page that is written from it alone."""

import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from resjax.record import write_atomically

Record = Mapping[str, Any]
RENDER = "--render"


def publish(
    path: Path, measure: Callable[[], Record], markdown: Callable[[Record], str], arguments: Sequence[str]
) -> None:
    """Measures, unless `--render` is given, and writes the page beside the record."""
    if RENDER not in arguments:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_atomically(path, json.dumps(measure(), indent=2) + "\n")
    text = markdown(json.loads(path.read_text()))
    write_atomically(path.with_suffix(".md"), text)
    print(text)
