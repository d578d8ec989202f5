"""What a cell asks of a machine of a Ray cluster. No Ray is needed to try it."""

import warnings
from collections.abc import Mapping, Sequence
from typing import Any


def options(
    cpus: int, gpus: int | None, tpus: int, machines: Sequence[Mapping[str, float]]
) -> dict[str, Any]:
    """-> those of a cell's task; warns where no machine has what it asks for.

    Args:
      gpus: None: one where any machine has them.
      machines: what each has in all, by Ray's names: CPU, GPU, TPU.
    """
    if gpus is None:
        gpus = int(any(each.get("GPU", 0) for each in machines))
    wanted = {"CPU": cpus, "GPU": gpus, "TPU": tpus}
    if not any(all(each.get(name, 0) >= count for name, count in wanted.items()) for each in machines):
        asked = ", ".join(f"{count} {name}" for name, count in wanted.items() if count)
        warnings.warn(f"no machine of this Ray cluster has {asked}; cells wait until one does", stacklevel=3)
    return {"num_cpus": cpus, "num_gpus": gpus, "resources": {"TPU": tpus} if tpus else {}}
