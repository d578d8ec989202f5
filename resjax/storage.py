"""The folders of checkpoints, as files; what is in them `checkpoint` knows."""

import shutil
import time
from collections.abc import Callable
from pathlib import Path

SEEN_WITHIN = 20.0  # seconds, until a file that one process has written is seen by all
FOLDER = "checkpoints"
DAMAGED = "damaged_checkpoints"


def saved(workdir: Path) -> str:
    """-> what of a run is saved, and what to do, in words; a checkpoint gets its name when it is whole."""
    steps = [int(path.name) for path in (workdir / FOLDER).glob("*") if path.name.isdecimal()]
    if not steps:
        return f"nothing is saved yet in {workdir}; start all processes again"
    return f"step {max(steps)} is saved in {workdir}; start all processes again, they go on from there"


def is_seen(look: Callable[[], bool]) -> bool:
    """-> whether `look` finds what another process has written, which a network file system may tell late."""
    until = time.monotonic() + SEEN_WITHIN
    while not look():
        if time.monotonic() > until:
            return False
        time.sleep(0.05)
    return True


def move(folder: Path, target: Path) -> None:
    """What is at `target` goes."""
    target.parent.mkdir(exist_ok=True)
    shutil.rmtree(target, ignore_errors=True)
    folder.rename(target)


def reason(error: Exception) -> str:
    """-> an error of the storage in a few words: its own texts go on for pages."""
    text = str(error).strip() or type(error).__name__
    return "No space left on device" if "No space left" in text else text.splitlines()[0][:200]
