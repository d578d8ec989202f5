"""From the sections of a config to nets and phases, every key checked."""

import contextlib
import dataclasses
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import flax.linen as nn
import optax

from resjax import cost, optim
from resjax.anatomy import Anatomy, Shapes, dissect_heads
from resjax.config import Config
from resjax.device import is_kept
from resjax.errors import UserError, did_you_mean
from resjax.families import build_trunk, examine
from resjax.loop import Loop
from resjax.losses import Objective, Term
from resjax.models.forms import FORMS
from resjax.models.heads import Head, Net, attach, parameters_of
from resjax.models.trunk import MAIN, Trunk
from resjax.phases import LAST, Phase, Stage, check_taught, trained_modules
from resjax.schema import merged
from resjax.stacking import Chain
from resjax.step import Task

HEAD_KEYS = tuple(field.name for field in dataclasses.fields(Head))
PHASE_KEYS = tuple(field.name for field in dataclasses.fields(Phase))


@contextlib.contextmanager
def section(name: str) -> Iterator[None]:
    """The functions behind a section raise ValueError("KEY is ...; it must ..."); this adds the section."""
    try:
        yield
    except ValueError as error:
        raise UserError(f"config.{name}.{error}") from error


def build_head(target: tuple[int, ...], /, **settings: Any) -> tuple[Head, nn.Module]:
    """-> a head's description, and its module; `target` is the shape of one example's target."""
    own = {key: settings.pop(key) for key in HEAD_KEYS}
    return Head(**own), FORMS[own["form"]](target, **settings)


@dataclasses.dataclass(frozen=True)
class Assembly:
    """What all phases of a run have in common.

    Attributes:
      teacher: {endpoint: shape of one example's activations}, where there is a teacher.
      teacher_cost: multiply-adds of one image's way through it.
      image_shape: (h, w, c) of what a net reads of an image.
      examples: in the training split.
      varied: an image gives other inputs at other times, or comes to the device anew each time.
    """

    config: Config
    loop: Loop
    image_shape: tuple[int, int, int]
    classes: int
    examples: int
    varied: bool
    teacher: Mapping[str, tuple[int, ...]] | None = None
    teacher_cost: int = 0
    _anatomies: dict[Trunk, Anatomy] = dataclasses.field(default_factory=dict)

    def dissect(self, model: Config, name: str = "model") -> tuple[Trunk, Anatomy]:
        """-> the trunk of a section `model`, every shape checked."""
        with section(name):
            trunk = build_trunk(self.classes, **model.to_dict())
            if trunk not in self._anatomies:
                self._anatomies[trunk] = examine(model.name, trunk, self.classes, self.image_shape)
        return trunk, self._anatomies[trunk]

    def net(self, prefix: str, phase: Phase, model: Config, heads: Sequence[Config]) -> tuple[Net, Anatomy]:
        """-> the net of a phase with its heads, and its whole trunk's layers with those of the heads."""
        trunk, anatomy = self.dissect(model, f"{prefix}model")
        span = {"after": phase.after, "until": phase.until, "noise": phase.noise}
        where = prefix.rstrip(".") or "train"
        with section(where):
            names = [*anatomy.modules]
            for key in ("after", "until"):
                if span[key] not in ["", *names]:
                    hint = did_you_mean(span[key], names)
                    raise ValueError(f"{key} is '{span[key]}', which this model does not have{hint}")
            _, trained = anatomy.span(phase.after, phase.until)
            if not trained:
                raise ValueError(f"until is '{phase.until}'; it must come behind after, '{phase.after}'")
        shapes = Shapes(self.image_shape, {name: anatomy.shapes.endpoints[name] for name in trained})
        pairs, rows, net = [], [], attach(trunk, (), **span)
        for number, head in enumerate(heads):
            with section(f"{prefix}heads[{number}]"):
                pairs.append(build_head(self._target(head, phase, anatomy), **head.to_dict()))
                net = attach(trunk, pairs, **span)
                rows += dissect_heads(attach(trunk, pairs[-1:], **span), shapes)
        return net, dataclasses.replace(anatomy, layers=[*anatomy.layers, *rows])

    def _target(self, head: Config, phase: Phase, anatomy: Anatomy) -> tuple[int, ...]:
        """-> the shape of one example's target."""
        if head.target == "labels":
            return anatomy.endpoints[MAIN]
        if head.target == "input":
            return anatomy.endpoints[phase.after] if phase.after else self.image_shape
        if self.teacher is None:
            raise ValueError("target is 'teacher', but there is none; config.teacher.run must be its folder")
        if head.teacher_endpoint not in self.teacher:
            hint = did_you_mean(head.teacher_endpoint, self.teacher)
            raise ValueError(
                f"teacher_endpoint is '{head.teacher_endpoint}', which the teacher does not have{hint}"
            )
        return self.teacher[head.teacher_endpoint]

    def stages(self) -> tuple[Stage, ...]:
        """-> all phases of the config, the last one at the end; raises UserError where one is impossible."""
        self.dissect(self.config.model)  # before the phases, for it is theirs: its mistakes are its own
        found: list[Stage] = []
        for number, given in enumerate(self.config.phases):
            prefix, phase = f"phases[{number}].", build_phase(number, given)
            with section(f"phases[{number}]"):
                if phase.name in [LAST, *(stage.name for stage in found)]:
                    raise ValueError(f"name is '{phase.name}', which another phase has; it must be its own")
            model = merged(self.config.model, given.model)
            found.append(self._stage(prefix, phase, model, given.heads, given.schedule, found))
        last, config = last_phase(self.loop), self.config
        return (*found, self._stage("", last, config.model, config.heads, config.schedule, found))

    def _stage(
        self,
        prefix: str,
        phase: Phase,
        model: Config,
        heads: Sequence[Config],
        schedule: Config,
        former: Sequence[Stage],
    ) -> Stage:
        before, loop = former[-1] if former else None, self.loop
        net, anatomy = self.net(prefix, phase, model, heads)
        with section(f"{prefix}model"):
            net.trunk.layers.check_batch(loop.batch_size, loop.accumulate)
        with section(prefix.rstrip(".") or "train"):
            trained = trained_modules(phase, anatomy)
            check_taught(phase, net)
        with section("train"):
            if loop.remat != "none" and not net.trunk.recomputable():
                raise ValueError(
                    f"remat is '{loop.remat}', but this model has no units to compute anew; use 'none'"
                )
        net = net.clone(scanned=self._scanned(net, phase), remat=loop.remat)
        steps_per_epoch = self.examples / loop.batch_size
        with section(f"{prefix}schedule"):
            rate, steps = optim.make_schedule(steps_per_epoch, **schedule.to_dict())
        _check_discards(prefix, net, steps)
        objective, optimizer = self._objective(net, anatomy), self._optimizer(net, rate)
        varied = self.varied or loop.eval_mirrored
        keep = is_kept(net, anatomy.shapes, self.examples, varied=varied)
        seen = self.examples if keep else steps * loop.batch_size
        frozen = cost.frozen(net, anatomy, _kept_by(before, net) if keep else "")
        learning = cost.trained(net, anatomy, steps, self.teacher_cost)
        return Stage(
            name=phase.name,
            task=Task(
                *(net, objective, optimizer, trained, loop.ema_decay, loop.eval_mirrored),
                parts=loop.accumulate,
                deterministic=loop.deterministic,
            ),
            schedule=rate,
            start=before.end if before else 0,
            steps=steps,
            epochs=steps / steps_per_epoch,
            normalize_weights=loop.normalize_weights,
            shapes=anatomy.shapes,
            keeps_features=keep,
            multiply_adds=loop.batch_size * learning + seen * frozen,
        )

    def _scanned(self, net: Net, phase: Phase) -> tuple[Chain, ...]:
        """Where a part of the trunk is left out or frozen, each of its modules is treated by itself."""
        if phase.after or phase.until != MAIN or phase.freeze:
            return ()
        return self.loop.scans(net.trunk.chains(), [head.endpoint for head, _ in net.heads])

    def _optimizer(self, net: Net, rate: optax.Schedule) -> optax.GradientTransformation:
        rates = {parameters_of(head.name): head.rate for head, _ in net.heads if head.rate != 1}
        with section("optim"):
            return optim.make_optimizer(rate, rates, **self.config.optim.to_dict())

    def _objective(self, net: Net, anatomy: Anatomy) -> Objective:
        pixels = self.classes if len(anatomy.endpoints[MAIN]) > 1 else 0
        terms = {MAIN: Term(self.loop.loss, pixel_classes=pixels)}
        for head, _ in net.heads:
            settings = (head.loss, head.target_name, head.gamma, head.penalty, head.temperature, pixels)
            terms[head.name] = Term(*settings)
        return Objective(terms, self.loop.label_smoothing)


def _kept_by(before: Stage | None, net: Net) -> str:
    """-> the endpoint whose features the phase before has kept, for they are taken further from there."""
    same = before is not None and before.keeps_features and before.net.trunk == net.trunk
    return before.net.after if before is not None and same else ""


def _check_discards(prefix: str, net: Net, steps: int) -> None:
    for number, (head, _) in enumerate(net.heads):
        if head.discard_at >= steps:
            raise UserError(
                f"config.{prefix}heads[{number}].discard_at is {head.discard_at}; it must be below {steps},"
                " the number of steps, or 0 to keep the head"
            )


def last_phase(loop: Loop) -> Phase:
    """-> what the config describes outside its list of phases."""
    return Phase(name=LAST, after=loop.after, freeze=loop.freeze)


def check(config: Config) -> None:
    """Raises UserError for impossible settings, as far as they show without data and tracing: at once."""
    with section("train"):
        loop = Loop(**config.train.to_dict())
    with section("model"):
        build_trunk(2, **config.model.to_dict()).layers.check_batch(loop.batch_size, loop.accumulate)
    with section("optim"):
        optim.make_optimizer(optax.constant_schedule(1.0), **config.optim.to_dict())
    _check_parts("", config)
    for number, given in enumerate(config.phases):
        build_phase(number, given)
        _check_parts(f"phases[{number}].", given)


def build_phase(number: int, given: Config) -> Phase:
    with section(f"phases[{number}]"):
        return Phase(**{key: value for key, value in given.to_dict().items() if key in PHASE_KEYS})


def _check_parts(prefix: str, part: Config) -> None:
    for number, head in enumerate(part.heads):
        with section(f"{prefix}heads[{number}]"):
            Head(**{key: head[key] for key in HEAD_KEYS})
            if head.target == "labels":
                build_head((2,), **head.to_dict())
    with section(f"{prefix}schedule"):
        optim.make_schedule(1e4, **part.schedule.to_dict())
