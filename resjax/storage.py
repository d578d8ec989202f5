"""The folders of checkpoints, as files; what is in them `checkpoint` knows."""

from pathlib import Path

FOLDER = "checkpoints"
DAMAGED = "damaged_checkpoints"


def saved(workdir: Path) -> str:
    """-> what of a run is saved, and what to do, in words; a checkpoint gets its name when it is whole."""
    steps = [int(path.name) for path in (workdir / FOLDER).glob("*") if path.name.isdecimal()]
    if not steps:
        return f"nothing is saved yet in {workdir}; start all processes again"
    return f"step {max(steps)} is saved in {workdir}; start all processes again, they go on from there"


def reason(error: Exception) -> str:
    """-> an error of the storage in a few words: its own texts go on for pages."""
    text = str(error).strip() or type(error).__name__
    return "No space left on device" if "No space left" in text else text.splitlines()[0][:200]
