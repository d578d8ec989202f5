"""Whether a run fits, and how fast it can be at best, before it is launched: `resjax plan --config FILE`.

The programs of training and evaluation are compiled for devices that need not be there; nothing is run and no
data are read. Times are no measurements: they are what the slowest of computing, memory and interconnect
takes at its peak rate (the roofline of Williams et al. 2009), which real steps stay behind. Bytes are XLA's
count: too few where units run in a loop, whose body it counts once; too many where arrays stay on the chip.
"""

import dataclasses
import datetime
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from typing import Any

from resjax import backend, record
from resjax import mesh as meshes
from resjax.config import Config
from resjax.errors import UserError
from resjax.exchange import Exchange
from resjax.mesh import Layout
from resjax.rehearsal import Need, rehearse
from resjax.schema import merged
from resjax.topology import Chip, Target

REMATS = ("norms", "units")


@dataclasses.dataclass(frozen=True)
class Trial:
    """A training step that was compiled in search of one that fits: the key that was changed, and bytes."""

    key: str
    value: int | str
    peak: int
    fits: bool


@dataclasses.dataclass(frozen=True)
class Plan:
    """Attributes:
    whole: the data set lies on each device; else examples come as they are needed.
    trials: what was tried, where training does not fit.
    """

    model: str
    target: Target
    mesh: dict[str, int]
    whole: bool
    needs: tuple[Need, ...]
    trials: tuple[Trial, ...]

    @property
    def fits(self) -> bool:
        return all(_fits(need, self.target.chip) for need in self.needs)

    @property
    def verdict(self) -> str:
        """-> "fits", or what to do."""
        if self.fits:
            return "fits"
        if _fits(self.needs[0], self.target.chip):
            return "evaluation does not fit: reduce config.train.eval_batch_size"
        ways = {
            "batch_size": "reduce the batch to {}",
            "remat": "turn on config.train.remat={}",
            "accumulate": "compute it in parts, config.train.accumulate={}",
        }
        advice = [ways[trial.key].format(trial.value) for trial in self.trials if trial.fits]
        return "does not fit: " + (" or ".join(reversed(advice)) or "nothing that was tried does")

    @classmethod
    def from_dict(cls, found: dict[str, Any]) -> "Plan":
        """-> the plan of a record, which `to_dict` made, for `forecast.show`; its target has no devices."""
        target, needs = dict(found["target"]), [dict(need) for need in found["needs"]]
        name = target.pop("name")
        for need in needs:
            del need["bounds"]
            need["exchanges"] = tuple(Exchange(**each) for each in need["exchanges"])
        return cls(
            model=found["model"],
            target=Target(name, "unknown", (), Chip(**target), False),
            mesh=found["mesh"],
            whole=found["whole"],
            needs=tuple(Need(**need) for need in needs),
            trials=tuple(Trial(**trial) for trial in found["trials"]),
        )

    def to_dict(self) -> dict[str, Any]:
        found = {field.name: getattr(self, field.name) for field in dataclasses.fields(self)}
        found["target"] = {"name": self.target.name, **dataclasses.asdict(self.target.chip)}
        needs = [dataclasses.asdict(need) | {"bounds": bounds(need, self.target.chip)} for need in self.needs]
        found |= {"needs": needs, "trials": [dataclasses.asdict(trial) for trial in self.trials]}
        with backend.compiling_for(self.target.platform):
            origin = {"compiler": self.target.compiler, **record.provenance()}
        return {**found, "verdict": self.verdict, **origin, "date": datetime.date.today().isoformat()}


def bounds(need: Need, chip: Chip) -> dict[str, float]:
    """-> {what limits: seconds of a step at its peak rate}, as far as the chip's figures are known; of a
    program that was refused, nothing.
    """
    if need.refused:
        return {}
    sent = sum(each.sent for each in need.exchanges)
    found = {
        "compute": (max(need.flops, need.counted_flops or 0.0), chip.flops),
        "memory": (need.accessed or 0.0, chip.bandwidth),
        "interconnect": (sent, chip.interconnect),
    }
    return {name: amount / rate for name, (amount, rate) in found.items() if amount and rate}


def _fits(need: Need, chip: Chip) -> bool:
    return not need.refused and (not chip.memory or need.peak <= chip.memory)


def plan(
    config: Config, target: Target, layout: Layout | None, tell: Callable[[str], None] = lambda _: None
) -> Plan:
    """Compiles; raises UserError for a config, or a layout, that cannot be, as training does.

    Args:
      tell: is given a line before each compilation.
    """
    with backend.compiling_for(target.platform):
        rehearsal = rehearse(config, target, layout)
        tell(f"compiling for {target.name}: training")
        train = rehearsal.train()
        tell("evaluation")
        needs = (train, rehearsal.eval())
        search = () if _fits(train, target.chip) else _search(config, target, layout, tell)
        model, mesh = config.model.to_dict(), meshes.axes(rehearsal.job.mesh)
        name = f"{model['name']} {model.get('depth', '')}".strip()
        return Plan(name, target, mesh, not rehearsal.job.streams, needs, tuple(search))


def _search(
    config: Config, target: Target, layout: Layout | None, tell: Callable[[str], None]
) -> Iterator[Trial]:
    """Rematerialisation at this batch, the cheaper one first; then half of the batch, until it fits; then
    this batch in parts of that size, and smaller ones.
    """
    attempt = partial(_until_one_fits, config, target, layout, tell)
    yield from attempt(_remats(config))
    halves = list(attempt(_halves(config)))
    yield from halves
    if halves and halves[-1].fits:
        yield from attempt(_parts(config, int(halves[-1].value)))


def _until_one_fits(
    config: Config,
    target: Target,
    layout: Layout | None,
    tell: Callable[[str], None],
    changes: Iterable[tuple[str, int | str]],
) -> Iterator[Trial]:
    for key, value in changes:
        changed = config.copy_and_resolve_references()
        changed.train = merged(config.train, {key: value})
        try:
            rehearsal = rehearse(changed, target, layout)
        except UserError:  # a model without units, or a batch that the devices cannot share out
            continue
        tell(f"training, {key}={value}")
        need = rehearsal.train()
        yield Trial(key, value, need.peak, _fits(need, target.chip))
        if _fits(need, target.chip):
            break


def _remats(config: Config) -> list[tuple[str, str]]:
    done = REMATS.index(config.train.remat) + 1 if config.train.remat in REMATS else 0
    return [("remat", policy) for policy in REMATS[done:]]


def _halves(config: Config) -> Iterator[tuple[str, int]]:
    batch = config.train.batch_size // 2
    while batch:
        yield "batch_size", batch
        batch //= 2


def _parts(config: Config, fitting: int) -> Iterator[tuple[str, int]]:
    """`fitting` is a batch that fits, in as many parts as the config has now."""
    batch, parts = config.train.batch_size, config.train.accumulate
    for count in range(parts + 1, batch + 1):
        if batch % count == 0 and batch // count <= fitting // parts:
            yield "accumulate", count
