"""What Python code needs beside the functions that the verbs call: configs, nets with values, probes, tables.

`import resjax` offers these names and others' as its own; the package's docstring lists them.
"""

import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import jax
import numpy as np
from jaxtyping import Array, Float, UInt8

from resjax import config as configs
from resjax import job, probing, table
from resjax.config import Config
from resjax.data.augment import Pipeline
from resjax.device import Variables
from resjax.errors import UserError
from resjax.interop import program
from resjax.models.heads import Net, trunk_collections
from resjax.probes import subject
from resjax.probes.findings import Report
from resjax.progress import Display
from resjax.rows import Table

Stored = UInt8[np.ndarray, "b h w c"] | UInt8[Array, "b h w c"]
_logits = jax.jit(program.logits, static_argnames=("trunk", "mirrored"))


def load_config(config: str | Path | Mapping[str, Any], *overrides: str) -> Config:
    """-> a config, completed with the defaults of all keys and checked.

        resjax.load_config("configs/digits.py:8", "--config.model.skip=False")

    Args:
      config: a file, `path.py[:arg]`, or the sections themselves as a dictionary of dictionaries.
      overrides: of its keys, as on the command line.

    Raises:
      UserError: no such file, a file that fails, or an unknown key, type or choice.
    """
    if isinstance(config, Mapping):
        return configs.override(config, overrides)
    return configs.load(str(config), overrides)


def build(config: Config) -> Net:
    """-> the net of a config with its heads, which has no values yet; the data are not read.

        net = resjax.build(resjax.load_config("configs/digits.py:8"))
        variables = net.init(jax.random.key(0), jnp.zeros((1, 8, 8, 1)), train=False)

    Applied to normalised images (b, h, w, c), it gives float32 outputs by name: `main`, the logits (b, k),
    and one for each head.

    Raises:
      UserError: a setting that is impossible, or an endpoint that the model does not have.
    """
    net, _, _ = job.preview(config)
    return net


@dataclasses.dataclass(frozen=True)
class TrainedNet:
    """A run's net as evaluation has it; called, it gives the logits of stored images.

    Attributes:
      step: how many steps of training are done.
      net: with the heads that are left at that step; `net.apply(variables, inputs, train=False)` gives the
        outputs of all by name.
      variables: its parameters and statistics; their moving average where the config has one.
      pipeline: `pipeline.evaluate(images)` are the inputs of stored images, normalised.
      image: shape (h, w, c) of a stored image.
      mirrored: logits are means over an image and its mirror image.
    """

    config: Config
    step: int
    net: Net
    variables: Variables
    pipeline: Pipeline
    image: tuple[int, int, int]
    mirrored: bool

    def __call__(self, images: Stored) -> Float[Array, "b ..."]:
        """-> float32 logits, (b, k), or (b, h, w, k) where pixels are labelled; compiled once for each b.

        Args:
          images: as they are stored, 0 to 255.

        Raises:
          UserError: their shape or type is not that of the run's images.
        """
        if images.shape[1:] != self.image or images.dtype != np.uint8:
            wanted = ", ".join(map(str, ("b", *self.image)))
            raise UserError(
                f"images are {images.dtype} of shape {tuple(images.shape)}; they must be uint8 of shape"
                f" ({wanted}), 0 to 255, for the net normalises them itself"
            )
        own = trunk_collections(self.variables)
        return _logits(own, images, self.pipeline, trunk=self.net.trunk, mirrored=self.mirrored)


def load(workdir: Path | str, checkpoint: str | int = "last") -> TrainedNet:
    """-> a run's net at a checkpoint. Its data must be there, for they say how images are normalised.

        logits = resjax.load("runs/digits")(np.zeros((2, 8, 8, 1), np.uint8))

    Args:
      checkpoint: `last`, `best` or a step.

    Raises:
      UserError: there is no such run or checkpoint, or it is of a phase of pretraining.
    """
    run = subject.of_run("", Path(workdir), str(checkpoint))
    run.check_complete()
    rest = (run.job.pipeline, run.job.dataset.image_shape, run.task.eval_mirrored)
    return TrainedNet(run.config, run.step, run.net, run.averaged, *rest)


def probe(
    name: str,
    *nets: str,
    out: Path | str,
    checkpoint: str | int = "last",
    seeds: int = 1,
    **settings: int | float | str,
) -> Report:
    """Measures nets side by side, and writes OUT/NAME.json, .csv, .png and .pdf.

        resjax.probe("gradients", "configs/digits.py:8", out="runs/probes", seeds=2, examples=64)

    Args:
      name: of the probe, such as `gradients`; `resjax probe --help` lists them.
      nets: configs and runs, each `[LABEL=]FILE[:ARG] [overrides]` or `[LABEL=]RUN`.
      checkpoint: of runs: `last`, `best` or a step.
      seeds: how many of each config, from its own on.
      settings: of the probe; the arguments of its `measure`.

    Returns:
      The points measured, with what they are (`Report.definition`) and of which net.

    Raises:
      UserError: no such probe, setting, config or run, no net, or one that the probe cannot be of.
      Interrupted: SIGTERM or Ctrl-C; a probe that takes long goes on where it was.
    """
    given = probing.settings(name, [f"--probe.{key}={value}" for key, value in settings.items()])
    if not nets:
        raise UserError(f"the probe {name} needs a net: a config, such as 'configs/digits.py:8', or a run")
    found = probing.subjects(nets, [], str(checkpoint), seeds)
    return probing.probe(name, found, given, Path(out), Display(quiet=True))


def run_table(
    given: Table | Path | str,
    results: Path | str | None = None,
    *,
    workdir: Path | str = "runs",
    budget: float = 1.0,
    row: str | None = None,
    seed: int | None = None,
    quiet: bool = False,
) -> str:
    """Runs the cells of a table that have no record, and renders it from its records.

        print(resjax.run_table("experiments/quickstart.py"))

    Args:
      given: a file, `path.py[:arg]`, or a table, whose paths then begin in the current folder.
      results: the records are in RESULTS/NAME; None: where the table keeps them.
      workdir: the runs are in WORKDIR/NAME.
      budget: share of each schedule that is run; records of shortened runs are kept apart.
      row, seed: the only ones that are run.
      quiet: no progress is shown.

    Returns:
      The text of the table. The folder of the records holds it as .md, .csv, .tex and .png.

    Raises:
      UserError: no such file, row or seed, or a cell that cannot run; all are looked at before one runs.
      Interrupted: SIGTERM or Ctrl-C; finished cells and the state of the running one are saved.
    """
    if isinstance(given, Table):
        found, file = given, Path("table.py")
    else:
        found, (file, _) = table.load(str(given)), table.split(str(given))
    place = Path(results) / found.name if results else found.results(file)
    cells = table.choose(found, file, row, seed)
    table.run(table.Work(found, cells, budget, place, Path(workdir)), Display(quiet=quiet))
    return table.publish(found, file, place)
