"""Streaming to four CPU devices, in a process of their own; `python tests/four.py FOLDER` prints JSON.

What each number is about, test_streaming.py says.
"""

import json
import os
import sys
from pathlib import Path
from typing import Any

if __name__ == "__main__":
    # With the fusion emitters, unlike tests/conftest.py: other programs round in the same way only with them.
    os.environ["XLA_FLAGS"] = "--xla_force_host_platform_device_count=4 --xla_backend_optimization_level=0"

import numpy as np
from eight import convolutional
from noted import noted

from resjax import backend
from resjax import job as jobs
from resjax import mesh as meshes
from resjax.data.split import Split
from resjax.device import Streamed
from resjax.mesh import Layout
from resjax.training import train

LAYOUT = Layout(2, 2)


def rows() -> tuple[list[list[int]], list[list[int]], bool]:
    """-> the rows that were asked for, those of each device's part of two steps, and whether it has them."""
    job = jobs.build(convolutional("--config.data.hold=host"), mesh=meshes.make(LAYOUT))
    train, index = job.dataset.train, np.arange(16).reshape(2, 8) * 7
    images = noted(np.asarray(train.images))
    batch = Streamed(Split(images, train.labels), job.mesh, job.pipeline).gather(index)
    shards = [(shard.index[:2], np.asarray(shard.data)) for shard in batch.images.addressable_shards]
    has = all((data == np.asarray(images)[index[at]]).all() for at, data in shards)
    return images.rows, [index[at].ravel().tolist() for at, _ in shards], has


def main(folder: Path) -> dict[str, Any]:
    backend.configure()
    found: dict[str, Any] = {"rows": rows()}
    for hold in ("device", "host"):
        config = convolutional(f"--config.data.hold={hold}", "--config.schedule.length=10")
        result = train(config, folder / hold, layout=LAYOUT)
        found[hold] = {key: result[key] for key in ("state_sha256", "metrics", "mesh")}
    return found


if __name__ == "__main__":
    print(json.dumps(main(Path(sys.argv[1]))))
