"""Settings that must stand before JAX is imported; each is left alone where the user has set it.

On every backend, the persistent compilation cache: a program that was compiled once is read the next
time. It takes up to 2 GiB and is apart for each kind of processor, whose programs another may not be able
to run. `JAX_COMPILATION_CACHE_DIR` names another folder, `JAX_ENABLE_COMPILATION_CACHE=false` turns it off.

On machines that have no accelerator, settings that make convolutional nets train faster;
`RESJAX_CPU_TUNING=0` turns them off, to compare:

- XLA's YNN kernels for elementwise operations and reductions, but not for convolutions, where they are
  slow. The flag is experimental and an unknown one aborts the process: a jaxlib with which it has not been
  run is asked once, by a process of its own, and the answer kept beside the compilation cache.
- The allocator keeps freed memory. Else glibc maps and unmaps the hundreds of megabytes of temporaries
  of every step, and each page of them is faulted in anew.

The same variable turns off the gradients that models/convolution.py writes for the CPU.
"""

import contextlib
import ctypes
import hashlib
import os
import platform
import subprocess
import sys
import warnings
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path

YNN_JAXLIB = ("0.10.2",)  # with which the flag has been run
YNN_FLAG = "--xla_cpu_experimental_ynn_fusion_type=eltwise,reduce"
M_TRIM_THRESHOLD, M_MMAP_MAX, M_ARENA_MAX = -1, -4, -8  # glibc's malloc.h
ACCELERATORS = ("/dev/nvidia0", "/dev/kfd", "/dev/accel0", "/dev/vfio/0")  # NVIDIA, AMD, TPU, TPU


def caches() -> Path:
    """-> the folder of what is kept to save time: compiled programs, decoded images."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "resjax"


def configure() -> None:
    os.environ.setdefault("JAX_COMPILATION_CACHE_DIR", str(caches() / f"xla-{_processor()}"))
    os.environ.setdefault("JAX_COMPILATION_CACHE_MAX_SIZE", str(2 * 2**30))
    os.environ.setdefault("JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS", "0.1")
    if tunes_cpu() and _cpu_only():
        _choose_kernels(caches())
        _keep_freed_memory()


def tunes_cpu() -> bool:
    """-> whether the user lets us choose what is fast on the CPU."""
    return os.environ.get("RESJAX_CPU_TUNING") != "0"


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


def _choose_kernels(folder: Path) -> None:
    given, jaxlib = os.environ.get("XLA_FLAGS", ""), metadata.version("jaxlib")
    if "ynn" not in given and (jaxlib in YNN_JAXLIB or _accepts(jaxlib, YNN_FLAG, folder / f"ynn-{jaxlib}")):
        os.environ["XLA_FLAGS"] = f"{given} {YNN_FLAG}".strip()


def _accepts(jaxlib: str, flag: str, answer: Path) -> bool:
    """-> whether this jaxlib takes the flag, asked once; where it does not, the user is told."""
    with contextlib.suppress(OSError):
        return answer.read_text() == "yes"
    command = [sys.executable, "-c", "import jax; jax.numpy.ones(3).sum()"]
    environment = {**os.environ, "XLA_FLAGS": flag, "JAX_PLATFORMS": "cpu"}
    try:
        code = subprocess.run(command, env=environment, capture_output=True, timeout=60).returncode
    except (OSError, subprocess.TimeoutExpired):
        code = 1
    if code:
        warnings.warn(
            f"jaxlib {jaxlib} does not take {flag}, so that convolutional nets train slower on the CPU",
            stacklevel=2,
        )
    with contextlib.suppress(OSError):
        answer.parent.mkdir(parents=True, exist_ok=True)
        answer.write_text("no" if code else "yes")
    return not code


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
