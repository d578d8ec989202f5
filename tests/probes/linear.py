"""A linear net with a head, whose gradients are known, as a subject."""

import dataclasses
from functools import partial
from typing import Any

import flax.linen as nn
import jax
import numpy as np
from jaxtyping import Array

from resjax import config as configs
from resjax.config import Config
from resjax.job import build
from resjax.models.blocks import BoundLayers
from resjax.models.heads import Net
from resjax.models.trunk import MAIN, Part, Trunk
from resjax.probes import subject
from resjax.probes.subject import Subject


class Linear(Trunk):
    """Dense layers without anything between them: stem, block1, the logits."""

    widths: tuple[int, ...] = (6, 5)

    def parts(self, layers: BoundLayers) -> list[tuple[str, Part]]:
        names = ["stem", *(f"block{i}" for i in range(1, len(self.widths))), MAIN]
        sizes = [*self.widths, self.classes]
        return [(name, partial(self._dense, name, size)) for name, size in zip(names, sizes, strict=True)]

    def _dense(self, name: str, size: int, x: Array) -> Array:
        return nn.Dense(size, name=f"{name}_dense")(x.reshape(len(x), -1))


def linear_subject(tiny: Config) -> Subject:
    """The head `early` reads block1, with a linear layer of its own; its loss has the weight 0.5."""
    heads = (dict(name="early", endpoint="block1", weight=0.5),)
    found = subject.of_job("linear", build(configs.override({**tiny.to_dict(), "heads": heads}, ())))
    net = found.task.net.clone(trunk=Linear(10, found.net.trunk.layers))
    shape = (2, *found.job.dataset.image_shape)
    return with_net(found, net, net.init(jax.random.key(1), np.zeros(shape, np.float32), train=False))


def with_net(found: Subject, net: Net, variables: Any) -> Subject:
    task = dataclasses.replace(found.task, net=net)
    return dataclasses.replace(found, task=task, variables=variables, averaged=variables)
