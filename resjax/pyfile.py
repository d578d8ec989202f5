"""Configs and tables are Python files with one function to call; whatever goes wrong in them is told."""

import importlib.util
from collections.abc import Callable
from pathlib import Path
from typing import Any

from resjax.errors import UserError


def call(path: Path, function: str, *args: str) -> Any:
    """-> what `function` of the file returns.

    Raises:
      UserError: the file is absent or not Python, lacks the function, or raises anything.
    """
    return _run(path, lambda module: getattr(module, function)(*args), *args)


def read(path: Path, name: str, default: Any) -> Any:
    """-> the value of a name in the file, or `default`; raises UserError where the file fails."""
    return _run(path, lambda module: getattr(module, name, default))


def _run(path: Path, use: Callable[[Any], Any], *args: str) -> Any:
    if not path.is_file():
        raise UserError(f"there is no file {path}; a Python file is needed here")
    spec = importlib.util.spec_from_file_location(f"resjax_file_{path.stem}", path)
    if spec is None or spec.loader is None:
        raise UserError(f"{path} is not a Python file; its name must end in .py")
    module = importlib.util.module_from_spec(spec)
    try:
        spec.loader.exec_module(module)
        return use(module)
    except UserError:
        raise
    except (Exception, SystemExit) as error:
        given = f" with the argument '{args[0]}'" if args else ""
        reason = str(error).replace("\n", " ")
        raise UserError(f"{path}{given}: {type(error).__name__}: {reason}") from error
