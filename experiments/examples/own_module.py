"""A net of one's own in Flax, with auxiliary heads at its parts: trained, loaded, each head's accuracy told.

    python experiments/examples/own_module.py [FOLDER]
    resjax train --config experiments/examples/own_module.py --workdir runs/wide --config.model.features=32

FOLDER (runs/own_module) receives the run. This file is a config too, so that all verbs know the net.
"""

import os
import sys
from pathlib import Path

import flax.linen as nn
from ml_collections import ConfigDict

import resjax


class Gated(resjax.Trunk):
    features: int = 16

    def parts(self, layers):
        """Each part takes what the one before it gives; heads attach to them by these names."""
        return [("edges", self.edges), ("gated", self.gated), ("main", self.classify)]

    def edges(self, images):
        return nn.relu(nn.Conv(self.features, (3, 3), name="edges_conv")(images))

    def gated(self, x):
        gates = nn.sigmoid(nn.Conv(self.features, (3, 3), name="gates_conv")(x))
        return nn.max_pool(x * gates, (2, 2), (2, 2))

    def classify(self, x):
        return nn.Dense(self.classes, name="classifier")(x.reshape(len(x), -1))


def gated(classes, layers, /, *, features: int = 16):  # the last one is a key of config.model
    return Gated(classes, layers, features)


def get_config() -> ConfigDict:
    config = ConfigDict()
    config.data = dict(name="digits")
    config.model = dict(name=f"{os.path.relpath(__file__)}:gated")
    head = dict(form="flattened_linear", weight=0.3)
    config.heads = tuple(dict(name=f"at_{part}", endpoint=part, **head) for part in ("edges", "gated"))
    config.schedule = dict(name="cosine", length=5, learning_rate=0.05)
    return config


def main(folder: Path) -> None:
    resjax.train(resjax.load_config(__file__), folder)
    net, report = resjax.load(folder).net, resjax.evaluate(folder)
    for name in net.output_names:
        print(f"{name}: {report['accuracy' if name == 'main' else f'{name}/accuracy']:.1%}")


if __name__ == "__main__":
    main(Path(*sys.argv[1:] or ["runs/own_module"]))
