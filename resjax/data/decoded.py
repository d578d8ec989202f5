"""Splits of prepared data sets, decoded once: reading tens of thousands of small pictures takes many seconds.

Kept in the user's cache as plain arrays, under a name that follows from the files they were read from, so
that a set that is prepared anew is read anew. Deleting them costs time only. A set that is too large for
memory is written there picture by picture, and read from there by index.
"""

import contextlib
import dataclasses
import hashlib
import os
import shutil
import sys
import tempfile
import time
import warnings
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import filelock
import numpy as np

from resjax import backend
from resjax.data.split import Rows, Split
from resjax.errors import UserError

GIB = 2**30
TELL_EVERY = 10.0  # seconds
Examples = Iterable[tuple[np.ndarray, int]]


@dataclasses.dataclass(frozen=True)
class Part:
    """A split that is too large for memory: its name, shape (n, h, w, c), and what decodes it in order."""

    name: str
    shape: tuple[int, int, int, int]
    decode: Callable[[], Examples]

    @property
    def nbytes(self) -> int:
        return int(np.prod(self.shape, dtype=np.int64))


def kept(source: Path, settings: tuple[Any, ...], decode: Callable[[], Split]) -> Split:
    """-> what `decode` gives, from the cache if it has been decoded before.

    Args:
      source: folder of the prepared set.
      settings: what the result depends on besides the files.
    """
    folder = _folder(source, settings)
    with contextlib.suppress(OSError, ValueError, EOFError):  # absent or damaged: it is made anew
        return Split(np.load(folder / "images.npy"), np.load(folder / "labels.npy"))
    split = decode()
    with contextlib.suppress(OSError):  # a cache that cannot be written saves no time, that is all
        _write(folder, split)
    return split


def mapped(source: Path, title: str, parts: Sequence[Part]) -> list[Split]:
    """-> splits whose images stay in files; what was not decoded before is decoded now, which is told.

    Args:
      source: folder of the prepared set.
      title: what the set is called.

    Raises:
      UserError: there is not enough room for the files, or they cannot be written.
    """
    folders = {part.name: _folder(source, (part.name, part.shape[1:])) for part in parts}
    root = backend.caches() / "images"
    try:
        root.mkdir(parents=True, exist_ok=True)
        with filelock.FileLock(root / f"{_folder(source, ()).name}.lock"):  # others wait, and find it done
            missing = [part for part in parts if not _is_sound(folders[part.name], part.shape)]
            _check_room(root, title, sum(part.nbytes for part in missing))
            for part in missing:
                _decode(folders[part.name], f"{title}, {part.name}", part)
        return [_read(folders[part.name], part.shape) for part in parts]
    except OSError as error:
        raise UserError(
            f"{title} is too large for memory and cannot be kept in {root} ({error}); name another place with"
            " XDG_CACHE_HOME, or choose a smaller config.data.image_size"
        ) from error


def _folder(source: Path, settings: tuple[Any, ...]) -> Path:
    files = [(path.name, path.stat().st_size, path.stat().st_mtime_ns) for path in sorted(source.iterdir())]
    found = hashlib.sha256(repr((str(source.resolve()), files, settings)).encode()).hexdigest()[:16]
    return backend.caches() / "images" / found


def _read(folder: Path, shape: tuple[int, ...]) -> Split:
    """-> the split in a folder; its images stay in their file."""
    images, labels = np.load(folder / "images.npy", mmap_mode="r"), np.load(folder / "labels.npy")
    if (images.shape, images.dtype, len(labels)) != (shape, np.uint8, shape[0]):
        raise ValueError(f"its images are {images.dtype} of shape {images.shape}, not uint8 of {shape}")
    return Split(Rows(images, np.arange(shape[0])), labels)


def _is_sound(folder: Path, shape: tuple[int, ...]) -> bool:
    try:
        _read(folder, shape)
    except FileNotFoundError:
        return False
    except (OSError, ValueError, EOFError) as error:
        warnings.warn(f"{folder} is damaged ({error}); its images are decoded anew", stacklevel=3)
        return False
    return True


def _check_room(root: Path, title: str, size: int) -> None:
    free = shutil.disk_usage(root).free
    if size > free:
        raise UserError(
            f"{title} takes {size / GIB:,.1f} GiB when decoded, but {root} has {free / GIB:,.1f} GiB left;"
            " make room, name another place with XDG_CACHE_HOME, or choose a smaller config.data.image_size"
        )


def _decode(folder: Path, title: str, part: Part) -> None:
    """The folder appears whole; what a process that was killed left half done is removed by the next one."""
    temporary, labels = folder.with_name(f".{folder.name}"), np.empty(part.shape[0], np.int64)
    shutil.rmtree(temporary, ignore_errors=True)
    temporary.mkdir()
    _tell(f"{title}: decoding {part.shape[0]:,} images, once, to {folder} ({part.nbytes / GIB:,.1f} GiB)")
    try:
        with (temporary / "images.npy").open("wb") as file:
            header = {"descr": "|u1", "fortran_order": False, "shape": part.shape}
            np.lib.format.write_array_header_1_0(file, header)
            for number, (image, label) in enumerate(_telling(part, title)):
                file.write(image.tobytes())
                labels[number] = label
        np.save(temporary / "labels.npy", labels)
        shutil.rmtree(folder, ignore_errors=True)
        os.replace(temporary, folder)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def _telling(part: Part, title: str) -> Iterator[tuple[np.ndarray, int]]:
    told = time.monotonic()
    for done, example in enumerate(part.decode(), 1):
        yield example
        if time.monotonic() - told > TELL_EVERY:
            told = time.monotonic()
            _tell(f"{title}: {done:,} of {part.shape[0]:,} images decoded")


def _tell(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


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
