"""Config files: load, complete with defaults, override, check.

A config is a Python file with `get_config(arg=None)` that returns an ml_collections ConfigDict. Its
sections are the keyword-only arguments of the functions in `SECTIONS`: their signatures are the only
list of keys, types and defaults, so a config names just what differs and still takes an override of
any key. A section with `choices` picks one of several functions by its key `name`.
"""

import dataclasses
import inspect
import json
import re
import typing
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from absl import flags
from beartype import BeartypeConf
from beartype.door import is_bearable
from ml_collections import ConfigDict, config_flags

from resjax import models, optim, pyfile
from resjax.data import augment, sources
from resjax.errors import UserError, did_you_mean
from resjax.loop import Loop
from resjax.models.blocks import Layers
from resjax.models.heads import FORMS, Head

if typing.TYPE_CHECKING:
    Config = Any  # its own annotations give every attribute a union of all types
else:
    Config = ConfigDict
_NUMERIC_TOWER = BeartypeConf(is_pep484_tower=True)  # an int is a fine float


@dataclasses.dataclass(frozen=True)
class Section:
    """The functions whose keyword-only arguments are the keys of one section of a config."""

    common: Callable[..., Any] | None = None
    choices: Mapping[str, Callable[..., Any]] = dataclasses.field(default_factory=dict)

    def keys(self, name: str | None) -> dict[str, tuple[Any, Any]]:
        """-> {key: (type, default)}; `inspect.Parameter.empty` stands for "no default"."""
        found = {}
        for function in (self.common, self.choices.get(name or "")):
            if function is not None:
                hints = typing.get_type_hints(function.__init__ if inspect.isclass(function) else function)
                for parameter in inspect.signature(function).parameters.values():
                    if parameter.kind is inspect.Parameter.KEYWORD_ONLY:
                        found[parameter.name] = (hints[parameter.name], parameter.default)
        return found


SECTIONS = {
    "data": Section(sources.load),
    "input": Section(augment.fit),
    "model": Section(Layers, models.MODELS),
    "optim": Section(optim.make_optimizer, optim.OPTIMIZERS),
    "schedule": Section(optim.make_schedule, optim.SCHEDULES),
    "train": Section(Loop),
}
HEAD = Section(Head, FORMS)  # `heads` is a sequence of sections of this kind


def load(spec: str, overrides: Sequence[str] = ()) -> Config:
    """Reads `path.py[:arg]`, applies overrides such as `--config.model.depth=56`, completes, checks.

    Raises:
      UserError: no such file, a file that fails, or an unknown key, type or choice.
    """
    path, _, arg = spec.partition(":")
    config = pyfile.call(Path(path), "get_config", *([arg] if arg else []))
    if not isinstance(config, ConfigDict):
        raise UserError(f"{path}: get_config() returned {type(config).__name__}, not a ConfigDict")
    return override(config, overrides)


def override(config: Config | Mapping[str, Any], overrides: Sequence[str]) -> Config:
    """-> a completed and checked copy of `config` with `overrides` in ml_collections' syntax."""
    config = _mutable(config)
    names = [flag for flag in overrides if re.fullmatch(r"--config\.\w+\.name(=.*)?", flag)]
    for flag in names:  # first, for they decide which other keys exist
        section, _, value = flag.removeprefix("--config.").partition(".name=")
        if value and isinstance(config.get(section), ConfigDict):
            _rename(section, config[section], value)
    return _complete(_apply(_complete(config), overrides))


def from_json(text: str) -> Config:
    """The inverse of `to_json`, completed with the defaults of keys that are newer than the text."""
    return override(json.loads(text), ())


def to_json(config: Config) -> str:
    return json.dumps(config.to_dict(), indent=2, sort_keys=True, default=list)


def difference(old: Config, new: Config) -> dict[str, tuple[Any, Any]]:
    """-> {dotted key: (old, new)} of every leaf that differs; `None` where a side lacks the key."""
    a, b = dict(_leaves(old)), dict(_leaves(new))
    keys = sorted(a.keys() | b.keys())
    return {key: (a.get(key), b.get(key)) for key in keys if a.get(key) != b.get(key)}


def _mutable(value: Any) -> Any:
    """A deep, unlocked copy; sequences become tuples (a ConfigDict in a tuple would be shared)."""
    if isinstance(value, ConfigDict | Mapping):
        return ConfigDict({key: _mutable(item) for key, item in value.items()}, convert_dict=False)
    if isinstance(value, list | tuple):
        return tuple(_mutable(item) for item in value)
    return value


def _rename(name: str, section: Config, chosen: str) -> None:
    """Sets `section.name`, dropping the keys that only the former choice had."""
    known = SECTIONS.get(name)
    if known is None or not known.choices or chosen not in known.choices:
        return  # `_complete` says what is wrong
    stale = known.keys(section.get("name")).keys() - known.keys(chosen).keys()
    for key in stale & set(section):
        del section[key]
    section["name"] = chosen


def _complete(config: Config) -> Config:
    """Adds every missing key with its default and checks every key and type."""
    unknown = set(config) - SECTIONS.keys() - {"seed", "heads"}
    for key in sorted(unknown):
        raise UserError(f"config.{key} is not a section{did_you_mean(key, [*SECTIONS, 'seed', 'heads'])}")
    complete = ConfigDict({"seed": config.get("seed", 0)})
    _check_type("seed", complete.seed, int)
    for name, section in SECTIONS.items():
        complete[name] = _complete_section(name, section, config.get(name, ConfigDict()))
    heads = config.get("heads", ())
    if not isinstance(heads, tuple):
        raise UserError(f"config.heads is {heads!r}; it must be a tuple of dictionaries")
    complete.heads = tuple(_complete_section(f"heads[{i}]", HEAD, head) for i, head in enumerate(heads))
    complete.lock()
    return complete


def _complete_section(name: str, section: Section, given: Any) -> ConfigDict:
    if not isinstance(given, ConfigDict):
        raise UserError(f"config.{name} is {given!r}; it must be a dictionary of settings")
    key = "form" if section is HEAD else "name"
    chosen: Any = given.get(key)
    known = section.keys(chosen)
    if section.choices:
        chosen = known.get(key, (str, None))[1] if chosen is None else chosen
        if chosen not in section.choices:
            raise UserError(f"config.{name}.{key} is {chosen!r}{did_you_mean(str(chosen), section.choices)}")
        known = {key: (str, chosen)} | section.keys(chosen)
    for unknown in (key for key in given if key not in known):
        raise UserError(f"config.{name}.{unknown} is not a known key{did_you_mean(unknown, known)}")
    full = ConfigDict()
    for key, (hint, default) in known.items():
        value = given.get(key, default)
        if value is inspect.Parameter.empty:
            raise UserError(f"config.{name}.{key} is missing; it must be {_describe(hint)}")
        _check_type(f"{name}.{key}", value, hint)
        full[key] = _as_float(value, hint)
    return full


def _as_float(value: Any, hint: Any) -> Any:
    """Whole numbers become floats where a float is due, so that a later override may have a fraction."""
    if hint is float:
        return float(value)
    if hint == tuple[float, ...]:
        return tuple(float(item) for item in value)
    return value


def _check_type(key: str, value: Any, hint: Any) -> None:
    wrong_bool = isinstance(value, bool) and hint in (int, float)
    if wrong_bool or not is_bearable(value, hint, conf=_NUMERIC_TOWER):
        raise UserError(f"config.{key} is {value!r}; it must be {_describe(hint)}")


def _describe(hint: Any) -> str:
    if typing.get_origin(hint) is typing.Literal:
        return "one of " + ", ".join(repr(choice) for choice in typing.get_args(hint))
    names = {int: "a whole number", float: "a number", bool: "True or False", str: "a text"}
    return names.get(hint, f"of type {hint}")


def _apply(config: Config, overrides: Sequence[str]) -> ConfigDict:
    """Parses the overrides with ml_collections' own flag parser; it knows the type of each key."""
    for flag in overrides:
        _check_path(flag, config)
    values = flags.FlagValues()
    argv = ["resjax", *overrides]
    try:
        config_flags.DEFINE_config_dict("config", _mutable(config), flag_values=values, sys_argv=argv)
        rest = values(argv)[1:]
    except (flags.Error, AttributeError, KeyError, IndexError, TypeError, ValueError) as error:
        reason = str(error).strip().splitlines()[-1]
        raise UserError(f"{' '.join(overrides)}: {reason}") from error
    if rest:
        raise UserError(f"'{rest[0]}' is not an option; overrides look like --config.model.depth=56")
    return _mutable(values["config"].value)


def _check_path(flag: str, config: Any) -> None:
    """Raises with the nearest name when an override names a key that does not exist."""
    path = re.match(r"--(?:no)?config\.([^=]*)", flag)
    if path is None:
        if flag.startswith("-"):
            raise UserError(f"{flag} is not an option; overrides look like --config.model.depth=56")
        return  # a value after a blank: `--config.model.depth 56`
    walked = "config"
    for part in re.findall(r"\w+", path[1]):
        if isinstance(config, tuple):
            if not part.isdigit() or int(part) >= len(config):
                raise UserError(f"{flag}: {walked} has {len(config)} entries, so no [{part}]")
            config = config[int(part)]
        elif isinstance(config, ConfigDict) and part in config:
            config = config[part]
        else:
            known = list(config) if isinstance(config, ConfigDict) else []
            raise UserError(f"{flag}: {walked} has no key '{part}'{did_you_mean(part, known)}")
        walked += f"[{part}]" if part.isdigit() else f".{part}"
    if isinstance(config, ConfigDict):
        raise UserError(f"{flag}: {walked} is a section; override one of its keys: {', '.join(config)}")


def _leaves(value: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    if isinstance(value, ConfigDict):
        for key in value:
            yield from _leaves(value[key], f"{path}.{key}" if path else key)
    elif isinstance(value, tuple) and any(isinstance(item, ConfigDict) for item in value):
        for i, item in enumerate(value):
            yield from _leaves(item, f"{path}[{i}]")
    else:
        yield path, value
