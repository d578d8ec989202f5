"""Config files: load, override, complete, compare, write as JSON.

A config is a Python file with `get_config(arg=None)` that returns an ml_collections ConfigDict. It names
just what differs from the defaults in `schema`, and every known key can be overridden all the same.
"""

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from absl import flags as absl_flags
from ml_collections import ConfigDict, config_flags

from resjax import pyfile, schema
from resjax.errors import UserError, did_you_mean
from resjax.schema import Config

PLACES = {"data.directory", "data.hold"}  # say where data lie, and nothing about a run


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
    config, flags = _mutable(config), _joined(overrides)
    for flag in flags:  # names first, for they decide which other keys exist
        named = re.fullmatch(r"--config\.(\w+)\.name=(.*)", flag)
        if named and isinstance(config.get(named[1], ConfigDict()), ConfigDict):
            schema.rename(named[1], config, named[2])
    complete = schema.complete(config)
    return schema.complete(_apply(complete, flags)) if flags else complete


def with_seed(config: Config, seed: int) -> Config:
    """-> a copy of a complete config with another seed."""
    changed = _mutable(config)
    changed.seed = seed
    return changed.lock()


def from_json(text: str) -> Config:
    """The inverse of `to_json`, completed with the defaults of keys that are newer than the text."""
    values = json.loads(text)
    if not isinstance(values, dict):
        raise ValueError("it is no dictionary of sections")
    return override(values, ())


def to_json(config: Config) -> str:
    return json.dumps(config.to_dict(), indent=2, sort_keys=True, default=_plain)


def portable(config: Config) -> dict[str, Any]:
    """-> the config as plain JSON values, without the place of the data on this machine."""
    values = json.loads(to_json(config))
    values["data"]["directory"] = ""
    return values


def _plain(value: Any) -> Any:
    return value.to_dict() if isinstance(value, ConfigDict) else list(value)


def difference(old: Config, new: Config) -> dict[str, tuple[Any, Any]]:
    """-> {dotted key: (old, new)} of every leaf that differs, but for where data lie on a machine.

    `None` stands for a key that a side lacks.
    """
    a, b = dict(_leaves(old)), dict(_leaves(new))
    keys = sorted((a.keys() | b.keys()) - PLACES)
    return {key: (a.get(key), b.get(key)) for key in keys if a.get(key) != b.get(key)}


def recipe_difference(old: Config, new: Config) -> list[str]:
    """-> what moved between two configs, one short text for each key; a list, as of heads, is one.

    Where a section's `name` moved, keys that the new one does not have are left out.
    """
    found, lists = [], ("heads", "phases", "probes")
    for name in lists:
        a, b = old.get(name, ()), new.get(name, ())
        if to_json(ConfigDict({name: a})) != to_json(ConfigDict({name: b})):
            found.append(f"{name}: {_names(a)} → {_names(b)}")
    for key, (a, b) in difference(old, new).items():
        if not key.startswith(lists) and b is not None:
            found.append(f"{key}: {_short(b)}" if a is None else f"{key}: {_short(a)} → {_short(b)}")
    return found


def _names(entries: tuple[Config, ...]) -> str:
    """-> "21 (at_block1 to at_block21)"."""
    if not entries:
        return "none"
    names = list(dict.fromkeys((entries[0].name, entries[-1].name)))
    return f"{len(entries)} ({' to '.join(names)})"


def _short(value: Any) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def _mutable(value: Any) -> Any:
    """A deep, unlocked copy; sequences become tuples (a ConfigDict in a tuple would be shared)."""
    if isinstance(value, ConfigDict | Mapping):
        return ConfigDict({key: _mutable(item) for key, item in value.items()}, convert_dict=False)
    if isinstance(value, list | tuple):
        return tuple(_mutable(item) for item in value)
    return value


def _joined(overrides: Sequence[str]) -> list[str]:
    """-> the overrides with `--config.key value` written as `--config.key=value`."""
    joined: list[str] = []
    for part in overrides:
        is_flag = part.startswith("-") and not re.match(r"-[\d.]", part)
        if joined and not is_flag and joined[-1].startswith("--config.") and "=" not in joined[-1]:
            joined[-1] += f"={part}"
        else:
            joined.append(part)
    return joined


def _apply(config: Config, overrides: Sequence[str]) -> ConfigDict:
    """Parses the overrides with ml_collections' own flag parser; it knows the type of each key."""
    for flag in overrides:
        present = _check_path(flag, config)
        positive = flag.replace("--no", "--", 1)
        if not isinstance(present, bool) and (flag != positive or "=" not in flag):
            raise UserError(f"{flag}: its value is missing; did you mean {positive}={present}?")
        values, argv = absl_flags.FlagValues(), ["resjax", flag]
        name = re.findall(r"\w+", flag)[1]  # of the section: the parser would write all of a config as YAML
        part = _mutable({name: config[name]})
        try:
            config_flags.DEFINE_config_dict("config", part, flag_values=values, sys_argv=argv)
            values(argv)
        except (absl_flags.Error, AttributeError, KeyError, IndexError, TypeError, ValueError) as error:
            raise UserError(f"{flag}: it must be {schema.describe(type(present))}") from error
        parsed: Any = values["config"].value
        config = _mutable({**config, **parsed})
    return config


def _check_path(flag: str, config: Any) -> Any:
    """-> the present value of the key; raises with the nearest name where there is no such key."""
    path = re.match(r"--(?:no)?config\.([^=]*)", flag)
    if path is None:
        raise UserError(f"'{flag}' is not an option; overrides look like --config.model.depth=56")
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
    return config


def _leaves(value: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    if isinstance(value, ConfigDict):
        for key in value:
            yield from _leaves(value[key], f"{path}.{key}" if path else key)
    elif isinstance(value, tuple) and any(isinstance(item, ConfigDict) for item in value):
        for i, item in enumerate(value):
            yield from _leaves(item, f"{path}[{i}]")
    else:
        yield path, value
