"""Configs, tables and nets of one's own are Python files; whatever goes wrong in them is told."""

import contextlib
import importlib.util
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

from resjax.errors import UserError


def call(path: Path, function: str, *args: str) -> Any:
    """-> what `function` of the file returns.

    Raises:
      UserError: the file is absent or not Python, lacks the function, or raises anything.
    """
    with _told(path, *args):
        return getattr(_run(path), function)(*args)


def read(path: Path, name: str, default: Any) -> Any:
    """-> the value of a name in the file, or `default`; raises UserError where the file fails."""
    with _told(path):
        return getattr(_run(path), name, default)


def load(path: Path) -> ModuleType:
    """-> the file as a module; raises UserError where it is absent or fails."""
    with _told(path):
        return _run(path)


def _run(path: Path) -> ModuleType:
    if not path.is_file():
        raise UserError(f"there is no file {path}; a Python file is needed here")
    name = re.sub(r"\W", "_", f"resjax_file_{path.resolve()}")
    spec = importlib.util.spec_from_file_location(name, path)
    if spec is None or spec.loader is None:
        raise UserError(f"{path} is not a Python file; its name must end in .py")
    module = sys.modules[name] = importlib.util.module_from_spec(spec)  # dataclasses look theirs up there
    spec.loader.exec_module(module)
    return module


@contextlib.contextmanager
def _told(path: Path, *args: str) -> Iterator[None]:
    try:
        yield
    except UserError:
        raise
    except (Exception, SystemExit) as error:
        given = f" with the argument '{args[0]}'" if args else ""
        raise UserError(f"{path}{given}: {reason(error)}") from error


def reason(error: BaseException) -> str:
    """-> what an exception is and says, in one line."""
    return f"{type(error).__name__}: {' '.join(str(error).split())}"
