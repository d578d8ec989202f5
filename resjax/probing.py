"""The command `resjax probe`: nets in, numbers and a figure out."""

import contextlib
import inspect
import re
import shlex
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

from resjax import config as configs
from resjax.errors import Interrupted, UserError, did_you_mean
from resjax.probes import findings, subject
from resjax.probes.bench import Bench, Probe
from resjax.probes.findings import Finding, Report
from resjax.probes.registry import PROBES
from resjax.probes.subject import Subject
from resjax.progress import Display
from resjax.schema import Section, describe, fits
from resjax.stop import StopRequest


def choose(name: str) -> Probe:
    if name not in PROBES:
        raise UserError(f"'{name}' is not a probe{did_you_mean(name, PROBES)}")
    return PROBES[name]


def settings(name: str, given: Sequence[str]) -> dict[str, Any]:
    """-> a probe's settings from flags such as `--probe.examples=256`; UserError names the flag."""
    known, found = Section(choose(name).measure).keys(None), {}
    for flag in given:
        matched = re.fullmatch(r"--probe\.(\w+)=(.*)", flag)
        if matched is None:
            raise UserError(f"'{flag}' is not a probe's setting; they look like --probe.examples=256")
        key, text = matched.groups()
        if key not in known:
            raise UserError(f"{flag}: the probe {name} has no '{key}'{did_you_mean(key, known)}")
        found[key] = _parse(flag, text, known[key][0])
    return {key: found.get(key, default) for key, (_, default) in known.items()}


def _parse(flag: str, text: str, hint: Any) -> Any:
    for read in (int, float, str):
        with contextlib.suppress(ValueError):
            if fits(value := read(text), hint):
                return value
    raise UserError(f"{flag}: it must be {describe(hint)}")


def subjects(
    given: Sequence[str], overrides: Sequence[str], checkpoint: str, seeds: int
) -> Iterator[Subject]:
    """-> the nets that are meant by `[LABEL=]FILE[:ARG] [overrides]` or `[LABEL=]RUN`.

    Raises:
      UserError: there is no such config or run, or no seed.
    """
    if seeds < 1:
        raise UserError(f"--seeds is {seeds}; it must be at least 1")
    for text in given:
        label, spec, own = _target(text)
        if Path(spec.partition(":")[0]).suffix == ".py":
            yield from subject.at_start(label, configs.load(spec, [*own, *overrides]), seeds)
        else:
            for flag in (*own, *overrides):
                raise UserError(f"{spec} is a run, whose config is its own; leave out {flag}")
            yield subject.of_run(label, Path(spec), checkpoint)


def _target(text: str) -> tuple[str, str, list[str]]:
    """-> label, config or run, overrides."""
    matched = re.fullmatch(r"((?:(?!--)[^=/])+)=(.+)", text)
    label, rest = matched.groups() if matched and not Path(text).exists() else (text, text)
    parts = shlex.split(rest)
    if not parts:
        raise UserError(f"'{text}' names no config and no run; give LABEL=configs/digits.py:8")
    return label, parts[0], parts[1:]


def probe(name: str, nets: Iterable[Subject], given: dict[str, Any], out: Path, display: Display) -> Report:
    """Measures, and writes OUT/NAME.json, .csv, .png and .pdf.

    Raises:
      UserError: a setting, or a net that the probe cannot be of.
      Interrupted: SIGTERM or Ctrl-C; a probe that takes long goes on where it was.
    """
    report = measure(name, nets, given, out, display)
    findings.save(report, out / name)
    choose(name).draw(report, out / name)
    return report


def measure(name: str, nets: Iterable[Subject], given: dict[str, Any], out: Path, display: Display) -> Report:
    """As `probe`, but `out` receives nothing but what a stopped measurement goes on from."""
    chosen, found = choose(name), []
    with display, StopRequest() as stop:
        for number, net in enumerate(nets):
            if chosen.trained and net.workdir is None:
                raise UserError(f"the probe {name} asks for a trained net; give a run's folder, not a config")
            bench = Bench(out / f".{name}" / str(number), display, _poll(stop, out))
            display.say(f"{name} of {net.label}, seed {net.seed}, step {net.step}")
            try:
                points = chosen.measure(net, bench, **given)
            except ValueError as error:
                raise UserError(f"--probe.{error}") from error
            config = configs.portable(net.config)
            found.append(Finding(net.label, net.seed, net.step, config, tuple(points)))
    definition = inspect.getdoc(chosen.measure) or ""
    return Report(name, chosen.title, definition, chosen.quantities, given, tuple(found))


def _poll(stop: StopRequest, out: Path) -> Callable[[], None]:
    def poll() -> None:
        if stop.signal:
            raise Interrupted(f"{stop.signal}: what is done is kept in {out}; the same command goes on")

    return poll
