"""A folder that is there whole or not at all, and the names of an export's files."""

import contextlib
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

from resjax.errors import UserError

PARAMETERS, STATE_DICT, PROGRAM = "parameters.safetensors", "pytorch.safetensors", "program.jax_export"
FACTS, CARD = "export.json", "README.md"


def check(path: Path) -> None:
    """Raises UserError where there is something at the path already."""
    if path.exists() and (not path.is_dir() or any(path.iterdir())):
        raise UserError(f"--out {path} is there already; choose another folder, or remove it")


@contextlib.contextmanager
def made(path: Path) -> Iterator[Path]:
    """-> a folder beside `path` to fill, which becomes `path` when the block ends well.

    Raises:
      UserError: there is something at `path`, or it cannot be written.
    """
    check(path)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        temporary.mkdir(parents=True)
    except OSError as error:
        raise UserError(
            f"--out {path} cannot be written ({error.strerror}); choose another folder"
        ) from error
    try:
        yield temporary
        if path.exists():  # and is empty
            path.rmdir()
        temporary.rename(path)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
