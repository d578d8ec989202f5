"""Splits of prepared data sets, decoded once: reading tens of thousands of small pictures takes many seconds.

Kept in the user's cache as plain arrays, under a name that follows from the files they were read from, so
that a set that is prepared anew is read anew. Deleting them costs time only.
"""

import contextlib
import hashlib
import os
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from resjax import backend
from resjax.data.split import Split


def kept(source: Path, settings: tuple[Any, ...], decode: Callable[[], Split]) -> Split:
    """-> what `decode` gives, from the cache if it has been decoded before.

    Args:
      source: folder of the prepared set.
      settings: what the result depends on besides the files.
    """
    folder = backend.caches() / "images" / _fingerprint(source, settings)
    with contextlib.suppress(OSError, ValueError, EOFError):  # absent or damaged: it is made anew
        return Split(np.load(folder / "images.npy"), np.load(folder / "labels.npy"))
    split = decode()
    with contextlib.suppress(OSError):  # a cache that cannot be written saves no time, that is all
        _write(folder, split)
    return split


def _fingerprint(source: Path, settings: tuple[Any, ...]) -> str:
    files = [(path.name, path.stat().st_size, path.stat().st_mtime_ns) for path in sorted(source.iterdir())]
    return hashlib.sha256(repr((str(source.resolve()), files, settings)).encode()).hexdigest()[:16]


def _write(folder: Path, split: Split) -> None:
    """The folder appears whole, whoever else writes it; a damaged one is replaced."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    temporary = Path(tempfile.mkdtemp(dir=folder.parent, prefix="."))
    try:
        np.save(temporary / "images.npy", split.images)
        np.save(temporary / "labels.npy", split.labels)
        shutil.rmtree(folder, ignore_errors=True)
        os.replace(temporary, folder)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
