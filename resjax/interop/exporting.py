"""A run's net for use elsewhere: a folder with its arrays, its inference as a program, and a model card.

parameters.safetensors   parameters and statistics of the net without heads, by this project's names
pytorch.safetensors      the same as a state dict, where a class of PyTorch's computes what the net does
program.jax_export       inference, normalisation included; see `program`
export.json              what `resjax predict` needs to know
README.md                the model card
"""

import contextlib
import dataclasses
import hashlib
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from resjax import config as configs
from resjax.data import sources
from resjax.errors import UserError
from resjax.interop import card, files, folder, layout, matching, program
from resjax.interop.files import Arrays
from resjax.interop.folder import CARD, FACTS, PARAMETERS, PROGRAM, STATE_DICT
from resjax.interop.names import CIFAR, OWN, Naming, pytorch
from resjax.interop.taking import flat
from resjax.models.resnet import ResNet
from resjax.models.trunk import MAIN
from resjax.probes import subject
from resjax.probes.subject import Subject
from resjax.record import provenance, write_atomically

SPLITS = ("train", "validation", "test")


@dataclasses.dataclass(frozen=True)
class Exported:
    """What was written.

    Attributes:
      naming: of the state dict, or None.
      reason: why there is none.
    """

    out: Path
    naming: Naming | None
    reason: str

    def __str__(self) -> str:
        lines = {PARAMETERS: "parameters and statistics"}
        lines |= {STATE_DICT: f"the same, named as in {self.naming.title}"} if self.naming else {}
        lines |= {PROGRAM: f"inference on {', '.join(program.PLATFORMS)}", CARD: "the model card"}
        told = [f"{self.out / name}: {text}" for name, text in lines.items()]
        return "\n".join(told if self.naming else [*told, f"no {STATE_DICT}, for {self.reason}"])


def export(workdir: Path | str, out: Path | str, checkpoint: str = "last") -> Exported:
    """Exports a run's net at a checkpoint, as evaluation has it, into the new folder `out`.

        print(resjax.export("runs/digits", "exported/digits"))

    Args:
      checkpoint: `last`, `best` or a step.

    Raises:
      UserError: there is no such run or checkpoint, its net has not been put together yet, or something is
        at `out`; nothing is written then.
    """
    workdir, out = Path(workdir), Path(out)
    folder.check(out)
    run = subject.of_run("", workdir, checkpoint)
    run.check_complete()
    arrays = {path: np.asarray(leaf, np.float32) for path, leaf in flat(run.averaged).items()}
    naming, reason = _naming(run)
    compiled = program.make(
        run.net.trunk,
        run.evaluated_trunk,
        run.job.pipeline,
        run.job.dataset.image_shape,
        mirrored=run.task.eval_mirrored,
    )
    facts = _facts(run, workdir, compiled, naming)
    with folder.made(out) as place:
        files.write(place / PARAMETERS, matching.given(OWN, arrays))
        if naming is not None:
            files.write(place / STATE_DICT, _state_dict(run, arrays, naming))
        (place / PROGRAM).write_bytes(compiled)
        write_atomically(place / FACTS, json.dumps(facts, indent=2) + "\n")
        write_atomically(place / CARD, card.text(facts, reason))
    return Exported(out, naming, reason)


def _naming(run: Subject) -> tuple[Naming | None, str]:
    try:
        return pytorch(run.net.trunk), ""
    except ValueError as error:
        return None, str(error)


def _state_dict(run: Subject, arrays: Arrays, naming: Naming) -> Arrays:
    """-> {name: tensor}; zeros of option A lie on both sides, as in the port that has it."""
    trunk, channels = run.net.trunk, {name: shape[-1] for name, shape in run.anatomy.endpoints.items()}
    if naming is CIFAR and isinstance(trunk, ResNet) and layout.widens(trunk, channels):
        arrays = layout.rearrange(arrays, layout.orders(trunk, channels, arrays), back=True)
    return matching.given(naming, arrays)


def _facts(run: Subject, workdir: Path, compiled: bytes, naming: Naming | None) -> dict[str, Any]:
    config, dataset = run.config, run.job.dataset
    return {
        "format": 1,
        "model": config.model.name,
        "data": dataset.name,
        "image": list(dataset.image_shape),
        "logits": list(run.anatomy.endpoints[MAIN]),
        "classes": list(sources.class_names(**config.data.to_dict())),
        "step": run.step,
        "steps": run.job.total_steps,
        "parameters": run.anatomy.parameters,
        "metrics": _metrics(workdir, run.step),
        "naming": naming.title if naming else None,
        "program_sha256": hashlib.sha256(compiled).hexdigest(),
        "trained_by_commit": _read(workdir / "result.json").get("commit"),
        **provenance(),
        "config": configs.portable(config),
    }


def _metrics(workdir: Path, step: int) -> dict[str, float]:
    """-> {"test/accuracy": 0.91} of the net itself, as logged at the step or found by `resjax eval`."""
    found: dict[str, float] = {}
    for row in _rows(workdir / "metrics.jsonl"):
        if row["step"] == step and "phase" not in row:
            found |= row
    for path in sorted(workdir.glob(f"eval-*-{step}.json")):
        report = _read(path)
        found |= {f"{report['split']}/{key}": value for key, value in report.items()}
    return {key: value for key, value in found.items() if _is_metric(key)}


def _is_metric(key: str) -> bool:
    """Heads' have one part more, and what probes measure is none."""
    split, _, name = key.partition("/")
    return split in SPLITS and "/" not in name and name not in ("step", "split", "examples")


def _rows(path: Path) -> list[Mapping[str, Any]]:
    """-> what each line of a run's log says, nothing where there is none."""
    with _told(path):
        return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


def _read(path: Path) -> Mapping[str, Any]:
    """-> the content of a file of a run, empty where there is none."""
    with _told(path):
        return json.loads(path.read_text()) if path.exists() else {}


@contextlib.contextmanager
def _told(path: Path) -> Iterator[None]:
    try:
        yield
    except ValueError as error:
        raise UserError(f"{path} is damaged ({error}); restore or remove it, and export again") from error
