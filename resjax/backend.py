"""Settings of the machine; each is left alone where the user has set it.

On every backend, the persistent compilation cache: a program that was compiled once is read the next
time. It takes up to 2 GiB and is apart for each kind of processor, whose programs another may not be able
to run. `JAX_COMPILATION_CACHE_DIR` names another folder, `JAX_ENABLE_COMPILATION_CACHE=false` turns it off.

On machines that have no accelerator, settings that make convolutional nets train faster;
`RESJAX_CPU_TUNING=0` turns them off, to compare:

- XLA's YNN kernels for elementwise operations and reductions, but not for convolutions, where they are
  slow: an option of the programs of training and evaluation alone, for these kernels refuse arrays of some
  layouts, such as those of a QR decomposition. A jaxlib that does not know it is told of, and goes without.
- The allocator keeps freed memory. Else glibc maps and unmaps the hundreds of megabytes of temporaries
  of every step, and each page of them is faulted in anew.

The same variable turns off the gradients that models/convolution.py writes for the CPU.

On a GPU, and only where `config.train.deterministic` asks for it, XLA's own switch that "guarantees run-to-
run determinism": kernels whose sums come in no certain order are left out, and kernels are not chosen by
timing them as a program is compiled (openxla.org/xla/determinism). On CPUs and TPUs there is none to switch.
"""

import contextlib
import contextvars
import ctypes
import functools
import hashlib
import os
import platform
import sys
import warnings
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path

KERNELS = "LIBRARY_FUSION_TYPE_ELTWISE,LIBRARY_FUSION_TYPE_REDUCE"
YNN = {"xla_cpu_experimental_ynn_fusion_type": KERNELS}
DETERMINISTIC = {"xla_gpu_deterministic_ops": True}
Options = dict[str, str] | dict[str, bool]
# What it means where a jaxlib does not take the one or the other.
WITHOUT_YNN = "convolutional nets train slower on the CPU"
WITHOUT_DETERMINISTIC = "a run on a GPU may not repeat to the same bits, as config.train.deterministic asks"
M_TRIM_THRESHOLD, M_MMAP_MAX, M_ARENA_MAX = -1, -4, -8  # glibc's malloc.h
_TARGET = contextvars.ContextVar("target", default="")
ACCELERATORS = ("/dev/nvidia0", "/dev/kfd", "/dev/accel0", "/dev/vfio/0")  # NVIDIA, AMD, TPU, TPU


def caches() -> Path:
    """-> the folder of what is kept to save time: compiled programs, decoded images."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "resjax"


def configure() -> None:
    """Sets what must stand before JAX is imported."""
    os.environ.setdefault("JAX_COMPILATION_CACHE_DIR", str(caches() / f"xla-{_processor()}"))
    os.environ.setdefault("JAX_COMPILATION_CACHE_MAX_SIZE", str(2 * 2**30))
    os.environ.setdefault("JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS", "0.1")
    if tunes_cpu() and _cpu_only():
        _keep_freed_memory()


def tunes_cpu() -> bool:
    """-> whether the user lets us choose what is fast on the CPU."""
    return os.environ.get("RESJAX_CPU_TUNING") != "0"


def platform_of_programs() -> str:
    """-> `cpu`, `gpu` or `tpu`: this machine's own, or another one that programs are compiled for."""
    import jax

    return _TARGET.get() or jax.default_backend()


@contextlib.contextmanager
def compiling_for(platform: str) -> Iterator[None]:
    """Programs that are traced meanwhile have the form and the options that they would have there."""
    token = _TARGET.set(platform)
    try:
        yield
    finally:
        _TARGET.reset(token)


def favours_cpu() -> bool:
    """-> whether programs take the forms that XLA compiles to fast kernels on the CPU."""
    return tunes_cpu() and platform_of_programs() == "cpu"


@contextlib.contextmanager
def compiles_fast() -> Iterator[None]:
    """For programs that run once: XLA spends no time on making them fast."""
    import jax

    before = jax.config.values["jax_disable_most_optimizations"]
    jax.config.update("jax_disable_most_optimizations", True)
    try:
        yield
    finally:
        jax.config.update("jax_disable_most_optimizations", before)


def _processor() -> str:
    """-> a short name of the processor's instruction set."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        features = next(line for line in lines if line.startswith(("flags", "Features")))
    except (OSError, StopIteration):
        features = platform.processor()
    return hashlib.sha256(f"{platform.machine()} {features}".encode()).hexdigest()[:8]


def _cpu_only() -> bool:
    platforms = os.environ.get("JAX_PLATFORMS", "")
    return platforms == "cpu" or not (platforms or any(map(os.path.exists, ACCELERATORS)))


def compiler_options(deterministic: bool = False) -> Options | None:
    """-> those of the programs that take a run's time; None: the compiler's own.

    Args:
      deterministic: the programs of a run give the same bits whenever they are run on one machine.
    """
    if deterministic and platform_of_programs() == "gpu":
        return DETERMINISTIC if _accepts(tuple(DETERMINISTIC.items()), WITHOUT_DETERMINISTIC) else None
    chosen = "ynn" in os.environ.get("XLA_FLAGS", "")  # by the user
    return YNN if favours_cpu() and not chosen and _accepts(tuple(YNN.items()), WITHOUT_YNN) else None


@functools.cache
def _accepts(options: tuple[tuple[str, str | bool], ...], without: str) -> bool:
    """-> whether this jaxlib takes the options; where it does not, the user is told, once."""
    import jax

    try:
        jax.jit(lambda x: x + 1, compiler_options=dict(options)).lower(1.0).compile()
    except (jax.errors.JaxRuntimeError, ValueError) as error:
        reason = str(error).splitlines()[0]
        warnings.warn(
            f"jaxlib {metadata.version('jaxlib')} does not take {options[0][0]} ({reason}), so that"
            f" {without}",
            stacklevel=3,
        )
        return False
    return True


def _keep_freed_memory() -> None:
    if sys.platform != "linux":
        return
    try:
        mallopt = ctypes.CDLL("libc.so.6").mallopt
    except (OSError, AttributeError):  # another C library, such as musl
        return
    mallopt(M_ARENA_MAX, 1)  # without it the other two do nothing
    mallopt(M_MMAP_MAX, 0)
    mallopt(M_TRIM_THRESHOLD, -1)
