"""Devices to compile for: this machine's own, or the chips of a TPU slice, which need not be there.

A chip's figures are those of Google Cloud's documentation: its pages v4, v5e, v5p-training and v6e of
docs.cloud.google.com/tpu/docs. Memory is what libtpu 0.0.42 leaves to a program, as it says when one takes
more: of a v5e's 16 GB, 15.75 GiB. The rate of the interconnect is half of what those pages give as
bidirectional, over all links of a chip; 0 where they give none.
"""

import dataclasses
import importlib.util
import math
import os
import re
from collections.abc import Sequence
from importlib import metadata
from typing import Any

import jax

from resjax.errors import UserError, did_you_mean

GIB = 2**30
# libtpu would ask a server of Google Cloud for the first three, and wait for an answer; and keep others from
# loading it, which only use of chips calls for.
ENVIRONMENT = {
    "TPU_SKIP_MDS_QUERY": "1",
    "TPU_ACCELERATOR_TYPE": "v5litepod-8",
    "TPU_WORKER_HOSTNAMES": "localhost",
    "ALLOW_MULTIPLE_LIBTPU_LOAD": "1",
}


@dataclasses.dataclass(frozen=True)
class Chip:
    """What a device can do at best; 0: unknown.

    Attributes:
      memory: bytes.
      flops: per second, in bfloat16; TPUs compute products of float32 in it too, by default.
      bandwidth: bytes per second between the memory and the chip.
      interconnect: bytes per second that it can send to other chips.
    """

    memory: int
    flops: float = 0.0
    bandwidth: float = 0.0
    interconnect: float = 0.0


CHIPS = {
    "v4": Chip(int(30.75 * GIB), 275e12, 1200e9),
    "v5e": Chip(int(15.75 * GIB), 197e12, 819e9, 200e9),
    "v5p": Chip(int(95.74 * GIB), 459e12, 2765e9, 600e9),
    "v6e": Chip(int(31.25 * GIB), 918e12, 1638e9, 400e9),
}


@dataclasses.dataclass(frozen=True)
class Target:
    """Attributes:
    name: `v5e:2x4`, or what JAX calls this machine's devices.
    platform: `cpu`, `gpu` or `tpu`.
    here: they are this machine's own.
    """

    name: str
    platform: str
    devices: Sequence[Any]
    chip: Chip
    here: bool

    @property
    def compiler(self) -> str:
        """-> the package that compiles for it, with its version."""
        name = "jaxlib" if self.here else "libtpu"
        return f"{name} {metadata.version(name)}"


def find(name: str | None) -> Target:
    """-> the target of a name such as `v5e:2x4`, None: this machine; raises UserError where there is none."""
    return _own() if name is None else _slice(name)


def _own() -> Target:
    device = jax.devices()[0]
    stats = device.memory_stats() if device.platform != "cpu" else None
    memory = stats["bytes_limit"] if stats else _installed()
    return Target(device.device_kind, device.platform, jax.devices(), Chip(memory), True)


def _installed() -> int:
    """-> bytes of memory of this machine for each device, 0 where the system does not say."""
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") // len(jax.devices())
    except (AttributeError, OSError, ValueError):
        return 0


def _slice(name: str) -> Target:
    kind, _, shape = name.partition(":")
    if not re.fullmatch(r"[1-9]\d*(x[1-9]\d*){1,2}", shape):
        raise UserError(f"--topology is '{name}'; it must be a chip and how they are joined, such as v5e:2x4")
    if kind not in CHIPS:
        raise UserError(f"--topology is '{name}': there is no chip '{kind}'{did_you_mean(kind, CHIPS)}")
    if importlib.util.find_spec("libtpu") is None:
        raise UserError(
            f"--topology {name} needs libtpu, the compiler for TPUs, which is not installed; python -m pip"
            " install 'resjax[tpu]'"
        )
    return Target(name, "tpu", _describe(name, kind, shape), CHIPS[kind], False)


def _describe(name: str, kind: str, shape: str) -> Sequence[Any]:
    """-> the devices of a slice, one for each chip: the two cores of a v4 work as one."""
    from jax.experimental import topologies

    for variable, value in ENVIRONMENT.items():
        os.environ.setdefault(variable, value)
    if not jax.config.values["jax_platforms"]:
        jax.config.update("jax_platforms", "cpu")  # with libtpu installed, JAX would look for a TPU here
    jax.config.update("jax_enable_compilation_cache", False)  # what absent devices run cannot be read again
    sides = [int(side) for side in shape.split("x")]
    settings: dict[str, Any] = {"chip_config_name": "megacore"} if kind == "v4" else {}
    if math.prod(sides) < 4:  # a part of a host
        settings["chips_per_host_bounds"] = [*sides, 1][:3]
    try:
        return topologies.get_topology_desc(platform="tpu", topology_name=name, **settings).devices
    except jax.errors.JaxRuntimeError as error:
        reason = str(error).splitlines()[0].partition(": ")[2]
        raise UserError(f"--topology is '{name}', which libtpu does not take: {reason}") from error
