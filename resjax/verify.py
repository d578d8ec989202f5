"""Has a run that is killed and resumed the bits of one that nobody disturbed? `resjax verify-resume`."""

import functools
import itertools
import json
import random
import signal
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from resjax.attempt import LOG, RESULT, Attempt, Kill, attempt
from resjax.checkpoint import Checkpoints
from resjax.errors import Interrupted, UserError
from resjax.progress import Display, Update
from resjax.stop import sigterm_interrupts

KILLED = {signal.SIGKILL: -signal.SIGKILL, signal.SIGTERM: Interrupted.exit_code}  # what a run then ends with


class Verdict(NamedTuple):
    """A line for every kill; the first difference between the two runs, if there is one."""

    kills: list[str]
    difference: str | None


def verify(
    flags: Sequence[str], workdir: Path, kills: int, seed: int, display: Display, several: int = 1
) -> Verdict:
    """Trains what the flags of `resjax train` name, once in peace and once with kills, and compares.

    Args:
      workdir: an empty folder, which receives the runs `undisturbed` and `killed`.
      seed: of the signals, their moments and the processes that are killed.
      several: processes that share the work of each run; one of them is killed, the others must notice.

    Raises:
      UserError: no kills are asked for, the folder is not empty, or the run was over before any kill came.
      RunFailed: a run ended by itself.
    """
    _check(workdir, kills)
    whole, killed = workdir / "undisturbed", workdir / "killed"
    with sigterm_interrupts(), display, display.task("verify-resume", kills + 2) as update:
        tell = functools.partial(_undisturbed, update)
        reference = attempt(flags, whole, tell=tell, several=several)
        if not reference.finished:
            raise reference.failure("the undisturbed run")
        attempts = _attempts(flags, killed, draw(whole, kills, seed, several), update, several)
    if len(attempts) == 1:
        raise UserError(
            f"{_told(attempts[0])}; a longer schedule or a smaller config.train.log_every gives time"
        )
    kills_told = [f"{_told(a)}, resumed from step {b.resumed_from}" for a, b in itertools.pairwise(attempts)]
    missed = [_told(attempts[-1])] if attempts[-1].kill else []
    return Verdict([*kills_told, *missed], difference(whole, killed))


def _check(workdir: Path, kills: int) -> None:
    if kills < 1:
        raise UserError(f"--kills is {kills}; it must be at least 1")
    if workdir.exists() and not (workdir.is_dir() and not any(workdir.iterdir())):
        raise UserError(f"--workdir {workdir} is not an empty folder; give one that is, or none")


def _attempts(
    flags: Sequence[str], workdir: Path, kills: Sequence[Kill], update: Update, several: int
) -> list[Attempt]:
    """-> the starts of a run, the last of which finished it; raises RunFailed where one ends by itself."""
    ended: list[Attempt] = []
    for number, kill in enumerate((*kills, None)):
        note = functools.partial(_note, update, number)
        ended.append(attempt(flags, workdir, kill, note, several))
        if ended[-1].finished:
            break
        stopped = {*ended[-1].others} <= {Interrupted.exit_code}
        if kill is None or ended[-1].code != KILLED[kill.signal] or not stopped:
            raise ended[-1].failure(f"the run, behind {_told(ended[-2])}," if number else "the run")
    return ended


def _undisturbed(update: Update, step: int) -> None:
    update(0, f"undisturbed run, step {step}")


def _note(update: Update, kills: int, step: int) -> None:
    update(kills + 1, f"killed {kills} times, step {step}")


def _told(attempt: Attempt) -> str:
    assert attempt.kill
    to = f" to process {attempt.kill.process}" if attempt.others else ""
    name = attempt.kill.signal.name + to
    if attempt.finished:
        return f"the run was over, at step {attempt.step}, before {name} came"
    return f"{name} at step {attempt.step}, ended {attempt.seconds:.1f} s later"


def draw(reference: Path, kills: int, seed: int, several: int = 1) -> list[Kill]:
    """-> kills for a run like the finished one in `reference`: SIGKILL and SIGTERM in equal parts, shuffled.

    Each has a part of the run to itself, and comes behind a random report there, a random share of the time
    between two reports later. Reports are what can be seen of a run from outside, and they come in the run's
    own order, however fast it is.
    """
    chance, result = random.Random(seed), json.loads((reference / RESULT).read_text())
    sizes = [len(line) for line in (reference / LOG).read_bytes().splitlines(keepends=True)]
    moments = [0, *itertools.accumulate(sizes[:-1])]  # at 0 it compiles, and has saved nothing
    images, speed = result["steps"] * result["config"]["train"]["batch_size"], result["images_per_second"]
    between = images / speed / len(moments) if speed else 0.0
    signals = [signal.SIGTERM if i % 2 else signal.SIGKILL for i in range(kills)]
    chance.shuffle(signals)
    return [
        Kill(
            number,
            moments[int((part + chance.random()) / kills * len(moments))],
            chance.uniform(0, between),
            chance.randrange(several) if several > 1 else 0,
        )
        for part, number in enumerate(signals)
    ]


def difference(whole: Path, killed: Path) -> str | None:
    """-> the first line of the log, or else the first array of the state, that differs between two runs."""
    logs = [[json.loads(line) for line in (run / LOG).read_text().splitlines()] for run in (whole, killed)]
    for number, (a, b) in enumerate(itertools.zip_longest(*logs, fillvalue={}), 1):
        for key in a | b:
            if repr(a.get(key)) != repr(b.get(key)):
                step = a.get("step", b.get("step"))
                return f"line {number} of {LOG}, step {step}: {key} is {a.get(key)}, and {b.get(key)} resumed"
    curves, digests = zip(*map(_curve_and_digest, (whole, killed)), strict=True)
    if curves[0] != curves[1]:
        return f"the curve in {RESULT}"
    return None if digests[0] == digests[1] else _array(whole, killed) or f"state_sha256 in {RESULT}"


def _curve_and_digest(run: Path) -> tuple[list[dict[str, float]], str]:
    result = json.loads((run / RESULT).read_text())
    return result["curve"], result["state_sha256"]


def _array(whole: Path, killed: Path) -> str | None:
    """-> the first array that differs between the last checkpoints of two runs."""
    a, b = map(_last_state, (whole, killed))
    for name in sorted(a.keys() | b.keys()):
        if name not in a or name not in b or a[name].tobytes() != b[name].tobytes():
            return f"the array {name} of the last checkpoint"
    return None


def _last_state(run: Path) -> dict[str, np.ndarray]:
    with Checkpoints(run, read_only=True) as checkpoints:
        return checkpoints.arrays(checkpoints.choose("last"))
