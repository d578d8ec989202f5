"""A function in a process of its own, with as much stack as the system allows; where it crashes, we do not.

XLA's compiler for TPUs walks through a program by calling itself. For a v6e, the 8 MiB that threads usually
have are too few for a net of 20 layers (libtpu 0.0.42), and the whole process ends with them.
"""

import multiprocessing
import resource
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from typing import Any

from resjax.errors import RunFailed


def run(what: str, function: Callable[..., Any], *args: Any) -> Any:
    """-> what the function returns; `what` says in words what it does.

    Raises:
      RunFailed: the process ended without an answer. Whatever the function raises.
    """
    before = resource.getrlimit(resource.RLIMIT_STACK)
    resource.setrlimit(resource.RLIMIT_STACK, (before[1], before[1]))  # a process takes it as it starts
    try:
        with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as pool:
            return pool.submit(function, *args).result()
    except BrokenProcessPool as error:
        raise RunFailed(f"{what} crashed, outside of resjax; the lines above are its own", 1) from error
    finally:
        resource.setrlimit(resource.RLIMIT_STACK, before)
