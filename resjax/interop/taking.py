"""A file of weights in, a run's folder out: a run that has been saved before its first step.

`resjax eval`, `resjax probe` and `config.start.run` read it as any other, and `resjax train` goes on from it.
"""

import dataclasses
import hashlib
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import traverse_util

from resjax import config as configs
from resjax.anatomy import Anatomy
from resjax.assemble import section
from resjax.checkpoint import Checkpoints
from resjax.config import Config
from resjax.data import augment, sources
from resjax.errors import UserError
from resjax.interop import files, folder, layout, matching
from resjax.interop.files import Arrays
from resjax.interop.matching import Match
from resjax.interop.names import OWN, TORCHVISION_GOOGLENET, pytorch
from resjax.job import preview
from resjax.models.heads import trunk_collections
from resjax.models.resnet import ResNet
from resjax.phases import LAST, Stage
from resjax.progress import Clock
from resjax.record import provenance, write_atomically


@dataclasses.dataclass(frozen=True)
class Taken:
    """What was taken over.

    Attributes:
      arrays: {path here: array}, of all of a trunk.
      left_out: modules of the file that were not asked for.
    """

    match: Match
    arrays: Mapping[str, jax.Array]
    left_out: Sequence[str] = ()

    def __str__(self) -> str:
        lines = [
            f"{name} -> {path} {'x'.join(map(str, self.arrays[path].shape))}"
            for path, name in self.match.names.items()
        ]
        left_out = f"; left out: {', '.join(self.left_out)}" if self.left_out else ""
        return "\n".join([*lines, f"{len(lines)} tensors, named as in {self.match.naming.title}{left_out}"])


def take(
    checkpoint: Path, config: Config, out: Path, padding: str | None = None, leave_out: Sequence[str] = ()
) -> Taken:
    """Reads a state dict into the net of a config, and writes the folder `out`.

    Args:
      padding: where shortcuts of option A put their zeros in the file's net: `both` sides, or `behind`.
      leave_out: modules of the file that are not read, such as `aux1`.

    Raises:
      UserError: the file cannot be read, does not fit the net, or the config has heads or phases; nothing is
        written then.
    """
    _check_bare(config)
    _check_input(config)
    folder.check(out)
    tensors = _without(checkpoint, files.read(checkpoint), leave_out)
    _, anatomy, stages = preview(config)
    fitted = fit(checkpoint, tensors, stages[-1], anatomy, padding)
    found = dataclasses.replace(fitted, left_out=leave_out)
    report = {
        "file": checkpoint.name,
        "sha256": hashlib.sha256(checkpoint.read_bytes()).hexdigest(),
        "naming": found.match.naming.title,
        "padding": padding,
        "left_out": list(leave_out),
        "tensors": {name: path for path, name in found.match.names.items()},
        **provenance(),
    }
    with folder.made(out) as place:
        write_atomically(place / "import.json", json.dumps(report, indent=2) + "\n")
        write_atomically(place / "config.json", configs.to_json(config) + "\n")
        _save(place, config, stages[-1], found.arrays, checkpoint.name)
    return found


def fit(
    checkpoint: Path, tensors: Mapping[str, np.ndarray], stage: Stage, anatomy: Anatomy, padding: str | None
) -> Taken:
    """-> a file's tensors as the arrays of a stage's trunk, whose anatomy is given.

    Raises:
      UserError: one is missing, left over or of another shape, with a list; the net's settings are not those
        of the file's; or `padding` is missing or left over.
    """
    like = arrays_like(stage)
    found = matching.match({path: leaf.shape for path, leaf in like.items()}, tensors)
    if found.heads:
        raise UserError(
            f"{checkpoint} holds auxiliary heads, {', '.join(found.heads)}, which config.model does not have;"
            f" --leave-out {','.join(found.heads)} reads the net alone"
        )
    if found.misfits:
        raise UserError(
            f"{checkpoint} does not fit config.model, by the names of {found.naming.title}: {found}; choose"
            " the model that the file is of"
        )
    _check_function(found, stage)
    arrays = matching.taken(found, tensors)
    trunk, channels = stage.net.trunk, {name: shape[-1] for name, shape in anatomy.endpoints.items()}
    asked = found.naming is not OWN and layout.widens(trunk, channels)
    if _pads_on_both_sides(asked, padding) and isinstance(trunk, ResNet):
        arrays = layout.rearrange(arrays, layout.orders(trunk, channels, like))
    return Taken(found, {path: jnp.asarray(arrays[path], leaf.dtype) for path, leaf in like.items()})


def _without(checkpoint: Path, tensors: Arrays, modules: Sequence[str]) -> Arrays:
    """-> the tensors of no such module; raises UserError where there is none of one."""
    for module in modules:
        if not any(name.startswith(f"{module}.") for name in tensors):
            raise UserError(
                f"--leave-out is '{module}', but no name of a tensor in {checkpoint} begins with '{module}.'"
            )
    starts = tuple(f"{module}." for module in modules)
    return {name: tensor for name, tensor in tensors.items() if not name.startswith(starts)}


def _check_function(found: Match, stage: Stage) -> None:
    """Raises UserError for a GoogLeNet of other pools or norms than torchvision's: arrays do not say."""
    if found.naming is not TORCHVISION_GOOGLENET:
        return
    try:
        pytorch(stage.net.trunk)
    except ValueError as error:
        raise UserError(
            f"config.model is another net than torchvision's GoogLeNet, for {error}; its settings are in"
            " configs/googlenet.py:torchvision"
        ) from error


def _check_bare(config: Config) -> None:
    """A file holds one net as it is evaluated: neither heads, nor what comes before the last phase."""
    for key in ("heads", "phases"):
        if config[key]:
            named = ", ".join(each.name for each in config[key])
            raise UserError(
                f"config.{key} lists {named}, but an import is of a net alone; import by a config without"
                f" {key}, and have this one start from it by config.start.run"
            )


def _check_input(config: Config) -> None:
    """Raises UserError where constants of normalisation do not fit the images; the data need not be here."""
    shape, _ = sources.describe(**config.data.to_dict())
    with section("input"):
        augment.fit(sources.zeros(1, shape).images, **{**config.input.to_dict(), "whiten": 0})


def arrays_like(stage: Stage) -> dict[str, Any]:
    """-> {path: shape and type} of every array of a stage's trunk: parameters and statistics."""
    state = stage.state_like(0)
    return flat({"params": state.params, **state.collections})


def flat(variables: Mapping[str, Any]) -> dict[str, Any]:
    """-> {"params/stem_conv/kernel": leaf} of the trunk among variables."""
    return dict(traverse_util.flatten_dict(trunk_collections(variables), sep="/"))


def _pads_on_both_sides(asked: bool, padding: str | None) -> bool:
    """Raises UserError where the user should say it, `asked`, and does not, or the other way round."""
    if padding and not asked:
        raise UserError(
            f"--padding is {padding}, but this net or file has no shortcuts of option A to ask that of; leave"
            " it out"
        )
    if asked and not padding:
        raise UserError(
            "config.model.shortcut is 'A', and the file does not tell where its net puts the zeros of the"
            " channels that are new; say --padding both (as akamaster/pytorch_resnet_cifar10) or --padding"
            " behind, or set config.model.shortcut"
        )
    return padding == "both"


def _save(place: Path, config: Config, stage: Stage, values: Mapping[str, jax.Array], name: str) -> None:
    """Writes checkpoint 0: the values, and all else as at the start of training."""
    tree = traverse_util.unflatten_dict(dict(values), sep="/")
    key, _ = jax.random.split(jax.random.key(config.seed))  # as training does
    state = stage.init_state(key, {kind: {"trunk": part} for kind, part in tree.items()})
    report = {"phase": LAST, "from": name, "copied": sorted(values), "new": [], "left": []}
    meta = {"step": 0, "log_lines": 0, "transfers": [report], "clock": dataclasses.asdict(Clock())}
    with Checkpoints(place) as checkpoints:
        checkpoints.save(0, stage.unpack(state), meta)
