"""Which processes a run has, as the command line or the environment says."""

import dataclasses
import re
from typing import Any

from resjax.errors import UserError

JOIN_TIMEOUT = 300.0  # seconds
BY_HAND = "--coordinator HOST:PORT --processes N --process I"


@dataclasses.dataclass(frozen=True)
class Group:
    """The processes of a run, and which of them this is.

    Attributes:
      address: HOST:PORT, where process 0 listens.
      timeout: seconds for all to come.
      local_devices: of this host, those of this process; None: all.
    """

    address: str
    count: int
    index: int
    timeout: float = JOIN_TIMEOUT
    local_devices: list[int] | None = None


def parse(
    *,
    distributed: bool,
    coordinator: str | None,
    processes: int | None,
    process: int | None,
    join_timeout: float | None,
) -> Group | None:
    """-> the group that the options of the command line name; None: this process is alone.

    Raises:
      UserError: they contradict each other, or the environment names none.
    """
    by_hand = {"--coordinator": coordinator, "--processes": processes, "--process": process}
    missing = [name for name, value in by_hand.items() if value is None]
    timeout = JOIN_TIMEOUT if join_timeout is None else join_timeout
    if distributed and len(missing) < len(by_hand):
        raise UserError(
            f"--distributed takes from the environment what {BY_HAND} says; give one or the other"
        )
    if distributed:
        return _detect(timeout)
    if len(missing) == len(by_hand):
        if join_timeout is not None:
            raise UserError(f"--join-timeout goes with --distributed or {BY_HAND}")
        return None
    if coordinator is None or processes is None or process is None:
        raise UserError(f"{', '.join(missing)} is missing; {BY_HAND} go together")
    if not re.fullmatch(r".+:\d{1,5}", coordinator) or not 0 < int(coordinator.rpartition(":")[2]) < 2**16:
        raise UserError(f"--coordinator is '{coordinator}'; it must look like HOST:PORT")
    if process >= processes:
        raise UserError(f"--process is {process}; of {processes} processes it must be 0 to {processes - 1}")
    return Group(coordinator, processes, process, timeout)


def _detect(timeout: float) -> Group:
    """What JAX detects: Cloud TPU, SLURM, Kubernetes, Open MPI."""
    from jax._src import clusters  # JAX has no public way to ask without connecting

    try:
        ask: Any = clusters.ClusterEnv.auto_detect_unset_distributed_params
        address, count, index, local = ask(None, None, None, None, None, round(timeout))
    except Exception as error:  # each environment raises its own
        raise UserError(f"--distributed: the environment cannot be read ({error}); use {BY_HAND}") from error
    if None in (address, count, index):
        raise UserError(
            "--distributed: no environment of several processes was found (Cloud TPU, SLURM, Kubernetes, Open"
            f" MPI); use {BY_HAND}"
        )
    return Group(address, count, index, timeout, None if local is None else list(local))
