"""The keys of a config: sections, types, defaults, and the check that nothing else is there.

The keys of a section are the keyword-only arguments of the functions behind it, and their signatures
the only list of types and defaults. A section with `choices` picks one of several functions by its key
`name` (heads: `form`).
"""

import dataclasses
import functools
import inspect
import typing
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from beartype import BeartypeConf
from beartype.door import is_bearable
from ml_collections import ConfigDict

from resjax import optim
from resjax.data import augment, sources
from resjax.errors import UserError, did_you_mean
from resjax.families import FAMILIES
from resjax.loop import Loop, Watch
from resjax.models.blocks import Layers
from resjax.models.forms import FORMS
from resjax.models.heads import Head
from resjax.phases import Origin, Phase

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
            found |= {} if function is None else _keywords(function)
        return found


@functools.cache
def _keywords(function: Callable[..., Any]) -> dict[str, tuple[Any, Any]]:
    hints = typing.get_type_hints(function.__init__ if inspect.isclass(function) else function)
    parameters = inspect.signature(function).parameters.values()
    only = [each for each in parameters if each.kind is inspect.Parameter.KEYWORD_ONLY]
    return {each.name: (hints[each.name], each.default) for each in only}


SECTIONS = {
    "data": Section(sources.load),
    "input": Section(augment.fit),
    "model": Section(Layers, FAMILIES),
    "optim": Section(optim.make_optimizer, optim.OPTIMIZERS),
    "schedule": Section(optim.make_schedule, optim.SCHEDULES),
    "train": Section(Loop),
    "start": Section(Origin),
    "teacher": Section(Origin),
}
HEAD = Section(Head, FORMS)  # `heads` is a sequence of sections of this kind
PHASE = Section(Phase)  # `phases` too; each has a `schedule` and `heads` of its own, and parts of a `model`
WATCH = Section(Watch)  # and so is `probes`
OTHERS = ("seed", "heads", "phases", "probes")


def complete(config: Config) -> Config:
    """Adds every missing key with its default and checks every key and type."""
    unknown = set(config) - SECTIONS.keys() - set(OTHERS)
    for key in sorted(unknown):
        raise UserError(f"config.{key} is not a section{did_you_mean(key, [*SECTIONS, *OTHERS])}")
    full = ConfigDict({"seed": config.get("seed", 0)})
    seed: Any = full.seed
    _check_type("seed", seed, int)
    if not 0 <= seed < 2**32:
        raise UserError(f"config.seed is {seed}; it must be from 0 to {2**32 - 1}")
    for name, section in SECTIONS.items():
        full[name] = _complete_section(name, section, config.get(name, ConfigDict()))
    full.heads = _complete_heads("heads", config.get("heads", ()))
    probes = _sequence("probes", config.get("probes", ()))
    full.probes = tuple(_complete_section(f"probes[{i}]", WATCH, each) for i, each in enumerate(probes))
    phases = _sequence("phases", config.get("phases", ()))
    full.phases = tuple(_complete_phase(f"phases[{i}]", each, full.model) for i, each in enumerate(phases))
    full.lock()
    return full


def _sequence(name: str, value: Any) -> tuple[Any, ...]:
    if not isinstance(value, tuple):
        raise UserError(
            f"config.{name} is of type {type(value).__name__}; it must be a tuple of dictionaries"
        )
    return value


def _complete_heads(name: str, heads: Any) -> tuple[ConfigDict, ...]:
    return tuple(
        _complete_section(f"{name}[{i}]", HEAD, head) for i, head in enumerate(_sequence(name, heads))
    )


def _complete_phase(name: str, given: Any, model: Config) -> ConfigDict:
    if not isinstance(given, ConfigDict):
        raise UserError(f"config.{name} is {given!r}; it must be a dictionary of settings")
    parts = ("schedule", "heads", "model")
    own = ConfigDict({key: given[key] for key in given if key not in parts})
    full = _complete_section(name, PHASE, own, also=parts)
    full.schedule = _complete_section(
        f"{name}.schedule", SECTIONS["schedule"], given.get("schedule", ConfigDict())
    )
    full.heads = _complete_heads(f"{name}.heads", given.get("heads", ()))
    full.model = given.get("model", ConfigDict())
    if not isinstance(full.model, ConfigDict) or "name" in full.model:
        raise UserError(
            f"config.{name}.model is {given.to_dict()['model']!r}; it must be a dictionary of settings of"
            f" '{model.name}' that differ in this phase"
        )
    _complete_section(f"{name}.model", SECTIONS["model"], merged(model, full.model))
    return full


def merged(model: Config, changes: Config) -> ConfigDict:
    """-> the section `model` of a phase."""
    return ConfigDict({**model, **changes})


def _complete_section(name: str, section: Section, given: Any, *, also: Sequence[str] = ()) -> ConfigDict:
    """`also` names keys beside the section's own, for the hint on an unknown one."""
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
        raise UserError(f"config.{name}.{unknown} is not a known key{did_you_mean(unknown, [*known, *also])}")
    full = ConfigDict()
    for key, (hint, default) in known.items():
        value = given[key] if key in given else default  # noqa: SIM401  get() looks for similar keys, slowly
        if value is inspect.Parameter.empty:
            raise UserError(f"config.{name}.{key} is missing; it must be {describe(hint)}")
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


def fits(value: Any, hint: Any) -> bool:
    """-> whether a value is of the type; a whole number is a fine float, and a truth value is no number."""
    wrong_bool = isinstance(value, bool) and hint in (int, float)
    if wrong_bool or not is_bearable(value, hint, conf=_NUMERIC_TOWER):
        return False
    items = value if isinstance(value, tuple) else ()  # beartype looks at one item, chosen at random
    return all(is_bearable(item, typing.get_args(hint)[0], conf=_NUMERIC_TOWER) for item in items)


def _check_type(key: str, value: Any, hint: Any) -> None:
    if not fits(value, hint):
        raise UserError(f"config.{key} is {value!r}; it must be {describe(hint)}")


def describe(hint: Any) -> str:
    if typing.get_origin(hint) is typing.Literal:
        return "one of " + ", ".join(repr(choice) for choice in typing.get_args(hint))
    names = {int: "a whole number", float: "a number", bool: "True or False", str: "a text"}
    names |= {tuple[float, ...]: "a tuple of numbers", tuple[int, ...]: "a tuple of whole numbers"}
    names |= {tuple[str, ...]: "a tuple of texts", tuple: "a tuple"}
    return names.get(hint, f"of type {hint}")


def rename(name: str, config: Config, chosen: str) -> None:
    """Sets `config.NAME.name`, dropping the keys that only the former choice had."""
    known = SECTIONS.get(name)
    if known is None or chosen not in known.choices:
        return  # `complete` says what is wrong
    section = config[name] = config.get(name, ConfigDict())
    _, default = known.keys(None).get("name", (str, None))
    stale = known.keys(section.get("name", default)).keys() - known.keys(chosen).keys()
    for key in stale & set(section):
        del section[key]
    section["name"] = chosen
