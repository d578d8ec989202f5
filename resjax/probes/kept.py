"""What a stopped measurement goes on from: rows of numbers, of one net and one setting."""

import hashlib
import io
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from resjax import config as configs
from resjax.digests import digest
from resjax.probes.subject import Subject

Rows = dict[str, np.ndarray]  # (rows, width) by name; as many rows of each as are done


def key(subject: Subject, settings: Any) -> str:
    """-> of a net's config and values, bit for bit, and of settings; nothing else is gone on from."""
    own = [configs.portable(subject.config), subject.step, digest(subject.averaged), settings]
    return hashlib.sha256(json.dumps(own, sort_keys=True).encode()).hexdigest()[:16]


def place(subject: Subject, folder: Path, settings: Any) -> Path:
    return folder / f"{key(subject, settings)}.npz"


def read(file: Path, names: Sequence[str], width: int) -> Rows:
    """-> the rows that are done, as they were written."""
    if not file.exists():
        return {name: np.zeros((0, width), np.float32) for name in names}
    with np.load(file) as rows:
        return {name: rows[name] for name in names}


def write(file: Path, rows: Rows) -> None:
    """The file is the old one or the new one, never half of one."""
    content, temporary = io.BytesIO(), file.with_suffix(".tmp")
    np.savez(content, **rows)  # pyright: ignore[reportArgumentType] (its stub takes a name for a flag)
    file.parent.mkdir(parents=True, exist_ok=True)
    temporary.write_bytes(content.getvalue())
    temporary.replace(file)
