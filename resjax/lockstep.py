"""What the processes of a run must have in common before they compute together."""

import json
from importlib import metadata
from typing import Any

import jax
import numpy as np

from resjax import config as configs
from resjax import processes
from resjax.digests import digest
from resjax.errors import UserError
from resjax.job import Job


def check(job: Job) -> None:
    """Raises UserError, in all processes, where they were started with other configs, data or versions."""
    if processes.count() == 1:
        return
    first = configs.from_json(processes.tell(configs.to_json(job.config)))
    with processes.agreeing():
        for key, (theirs, own) in configs.difference(first, job.config).items():
            raise UserError(
                f"config.{key} is {own!r} in process {processes.index()}, and {theirs!r} in process 0; start"
                " all processes with the same config"
            )
    versions = [metadata.version(name) for name in ("resjax", "jax", "jaxlib")]
    processes.check_same("other versions of resjax, jax or jaxlib", json.dumps(versions))
    processes.check_same("other data", digest(_samples(job)))
    processes.check_same("another config.teacher", digest(job.teacher))


def check_state(state: Any) -> None:
    """The same for the initial values, which every process computes by itself."""
    if processes.count() > 1:
        processes.check_same("other initial values, perhaps of another kind of device,", digest(state))


def _samples(job: Job) -> Any:
    """-> all labels, and what follows from all training images: their means."""
    splits = [split.labels for split in (job.dataset.train, job.dataset.validation, job.dataset.test)]
    return {"labels": splits, "pipeline": [np.asarray(leaf) for leaf in jax.tree.leaves(job.pipeline)]}
