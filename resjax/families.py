"""Families of nets by name: those of `models`, and a person's own, each a function of a file.

`config.model.name` may be `FILE.py:FUNCTION`, the path as it is seen from where the command is run. The
function is like those of `models.MODELS`: from the number of classes and the layers, and by keyword what
become keys of `config.model`, to a `Trunk`.
"""

import contextlib
import dataclasses
import functools
import inspect
import os
import traceback
import typing
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from types import ModuleType
from typing import Any

from resjax import pyfile
from resjax.anatomy import Anatomy, dissect
from resjax.errors import UserError, did_you_mean
from resjax.models import MODELS
from resjax.models.blocks import Layers
from resjax.models.trunk import MAIN, Trunk

LAYER_KEYS = tuple(field.name for field in dataclasses.fields(Layers))
EXAMPLE = "def net(classes, layers, /, *, width: int = 64)"


class _Families(Mapping[str, Callable[..., Trunk]]):
    """`models.MODELS`, and whatever a file has; the latter are found and not listed."""

    def __getitem__(self, name: str) -> Callable[..., Trunk]:
        """Raises UserError where a file lacks such a function, or fails."""
        return _own(name) if is_own(name) else MODELS[name]

    def __iter__(self) -> Iterator[str]:
        return iter(MODELS)

    def __len__(self) -> int:
        return len(MODELS)


FAMILIES = _Families()


def build_trunk(classes: int, /, *, name: str, **settings: Any) -> Trunk:
    """-> the trunk of a section `model`.

    Raises:
      ValueError: an impossible setting.
      UserError: a person's own function fails, or returns another thing.
    """
    layers = Layers(**{key: settings.pop(key) for key in LAYER_KEYS})
    function = FAMILIES[name]
    with _told(name, (*LAYER_KEYS, *settings)):
        trunk = function(classes, layers, **settings)
        if not isinstance(trunk, Trunk):
            raise UserError(
                f"config.model.name is '{name}', which returned {type(trunk).__name__}; it must return a"
                " resjax.Trunk"
            )
        hash(trunk)  # programs are kept by it
    return trunk


def examine(name: str, trunk: Trunk, classes: int, image: tuple[int, int, int]) -> Anatomy:
    """-> what a trunk of the family `name` consists of, on one image of shape (h, w, c).

    Raises:
      ValueError: its layers cannot be built so, nothing is left of the image, or its last part does not give
        a number for each class.
      UserError: a person's own fails.
    """
    with _told(name, LAYER_KEYS):
        found = dissect(trunk, image)
    empty = [part for part, shape in found.endpoints.items() if 0 in shape]
    if empty:  # means over no pixels are NaN
        raise ValueError(
            f"name is '{name}', of whose images of {image[0]} x {image[1]} pixels nothing is left at"
            f" '{empty[0]}'; choose a stem or a net for small images, or larger images"
        )
    shape = found.endpoints[MAIN]
    if shape[-1:] != (classes,):
        raise ValueError(
            f"name is '{name}', whose part '{MAIN}' makes an array of shape {shape} of an image; its last"
            f" axis must have {classes}, the logits of the classes"
        )
    return found


def is_own(name: object) -> bool:
    """-> whether `config.model.name` is a function of a file."""
    return isinstance(name, str) and (":" in name or name.endswith(".py"))


def _own(name: str) -> Callable[..., Trunk]:
    path, _, function = name.partition(":")
    try:
        file = Path(path)
        changed = file.stat().st_mtime_ns if file.is_file() else 0
        return _function(_module(file, file.resolve(), changed), path, function)
    except UserError as error:
        raise UserError(f"config.model.name is '{name}': {error}") from error


# A file that is run again has other classes, and their nets are not equal to those from before.
@functools.lru_cache(maxsize=32)
def _module(file: Path, _place: Path, _changed: int) -> ModuleType:
    return pyfile.load(file)


def _function(module: ModuleType, path: str, name: str) -> Callable[..., Trunk]:
    functions = {key: value for key, value in vars(module).items() if inspect.isfunction(value)}
    if not name:
        raise UserError(f"a function of the file must be named as well, as in {path}:net")
    if name not in functions:
        raise UserError(f"{path} has no function '{name}'{did_you_mean(name, functions)}")
    _check_signature(functions[name], name)
    return functions[name]


def _check_signature(function: Callable[..., Any], name: str) -> None:
    try:
        hints = typing.get_type_hints(function)
    except Exception as error:  # of a text that is no type
        raise UserError(f"the types of {name} cannot be read ({pyfile.reason(error)})") from error
    kinds = inspect.Parameter
    parameters = inspect.signature(function).parameters.values()
    settings = [each.name for each in parameters if each.kind is kinds.KEYWORD_ONLY]
    given = [each for each in parameters if each.kind in (kinds.POSITIONAL_ONLY, kinds.POSITIONAL_OR_KEYWORD)]
    if len(given) != 2 or len(settings) + 2 < len(parameters) or not hints.keys() >= set(settings):
        raise UserError(
            f"{name} must take the number of classes and the layers, and all else by keyword and with a"
            f" type, as in {EXAMPLE}"
        )
    for taken in sorted({"name", *LAYER_KEYS} & set(settings)):
        raise UserError(f"{name} has an argument '{taken}', a key that every net has; give it another name")


@contextlib.contextmanager
def _told(name: str, keys: typing.Container[str]) -> Iterator[None]:
    """Whatever goes wrong in a person's own net is told, with the line of its file.

    A ValueError that begins with one of `keys`, as that of a family of `models` does, is left as it is.
    """
    try:
        yield
    except UserError:
        raise
    except Exception as error:
        if not is_own(name) or (isinstance(error, ValueError) and str(error).partition(" is ")[0] in keys):
            raise
        file = os.path.abspath(name.partition(":")[0])
        lines = [call.lineno for call in traceback.extract_tb(error.__traceback__) if call.filename == file]
        where = f" in line {lines[-1]}" if lines else ""
        why = pyfile.reason(error)
        raise UserError(f"config.model.name is '{name}', which fails{where}: {why}") from error
