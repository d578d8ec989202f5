"""A run that is done, or far enough: where another one starts from, or whose net teaches."""

import dataclasses
from pathlib import Path
from typing import Any

from resjax.checkpoint import Checkpoints
from resjax.config import Config
from resjax.data import sources
from resjax.device import Variables
from resjax.errors import UserError
from resjax.phases import Origin, trunk_of
from resjax.record import read_config


@dataclasses.dataclass(frozen=True)
class Trained:
    """A checkpoint of a run.

    Attributes:
      variables: of its trunk, as evaluation uses them.
      classes: of its data.
    """

    run: str
    step: int
    config: Config
    variables: Variables
    classes: int

    @property
    def identity(self) -> dict[str, Any]:
        return {"run": self.run, "step": self.step}


def load(key: str, origin: Origin) -> Trained:
    """Raises UserError, naming the section `key`, where there is no such run or checkpoint."""
    workdir = Path(origin.run)
    try:
        config = read_config(workdir)
        with Checkpoints(workdir, read_only=True) as checkpoints:
            step = checkpoints.choose(origin.checkpoint)
            variables = checkpoints.variables(step)
        _, classes = sources.describe(**config.data.to_dict())
    except UserError as error:
        raise UserError(f"config.{key}.run is '{origin.run}': {error}") from error
    return Trained(origin.run, step, config, trunk_of(variables), classes)
