"""A table's missing cells as tasks of a Ray cluster, one cell a task: `resjax table FILE --engine ray`.

Its machines must share the folders of records and runs, under the same names. Where a worker dies, or is
asked to go, Ray starts its cell again on another one, and the run goes on from its last checkpoint.

A worker imports this module before it configures JAX, so that nothing which is imported here may import JAX.
"""

import contextlib
import dataclasses
import functools
import logging
import os
import pickle
import socket
import warnings
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

import ray  # pyright: ignore[reportMissingImports]
from ray.exceptions import RayError, RayTaskError  # pyright: ignore[reportMissingImports]
from ray.util.queue import Queue  # pyright: ignore[reportMissingImports]

from resjax.engines import demand
from resjax.engines.news import LOOK_EVERY, Moved, Reporter, Said, View
from resjax.errors import Interrupted, ResjaxError, UserError
from resjax.progress import Display, Update
from resjax.stop import StopRequest

if TYPE_CHECKING:
    from resjax.cells import Cell
    from resjax.table import Work

RETRIES = 5  # of a cell whose worker died
ANSWERS_WITHIN = 10.0  # seconds: a cluster, its address
SAVES_WITHIN = 60.0  # seconds, behind Ctrl-C


@dataclasses.dataclass(frozen=True)
class Ray:
    """Runs cells on the cluster at `address`; None: that of this machine, which is started if need be.

    Attributes:
      cpus, gpus, tpus: what a cell asks for; None: one GPU where the cluster has any.
    """

    address: str | None
    cpus: int
    gpus: int | None
    tpus: int

    def __call__(self, work: "Work", missing: Sequence["Cell"], display: Display) -> None:
        """Raises ResjaxError where cells failed, behind the end of all others; Interrupted as a run does."""
        if not missing:
            return
        with _cluster(self.address), StopRequest() as stop, display:
            news = Queue(actor_options={"num_cpus": 0})
            receive = functools.partial(_received, news)
            task = ray.remote(**self._options())(_run)
            with display.task(work.name, len(missing)) as update, View(display, receive) as view:
                running = {
                    task.options(name=cell.label).remote(pickle.dumps((work, cell)), os.getcwd(), news): cell
                    for cell in missing
                }
                failures = _follow(running, view, update, stop)
        if failures:
            raise ResjaxError(f"{len(failures)} of {len(missing)} cells failed; {failures[0]}")

    def _options(self) -> dict[str, Any]:
        """-> those of a cell's task."""
        machines = [node["Resources"] for node in ray.nodes() if node["Alive"]]
        return {
            **demand.options(self.cpus, self.gpus, self.tpus, machines),
            "max_calls": 1,  # a process a cell: JAX keeps a device's memory, and the devices it found first
            "max_retries": RETRIES,
            "retry_exceptions": [Interrupted],  # of a worker that is asked to go
        }


@contextlib.contextmanager
def _cluster(address: str | None) -> Iterator[None]:
    """While entered, this process is connected to the cluster; raises UserError where none answers."""
    if address is not None:
        os.environ.setdefault("RAY_gcs_server_port_wait_time_s", "1")  # one try; each takes Ray 40 seconds
        _check_that_it_answers(address)
    try:
        ray.init(address, log_to_driver=False, logging_level=logging.ERROR, include_dashboard=False)
    except (ConnectionError, RuntimeError, ValueError) as error:
        reason = str(error).splitlines()[0]
        raise UserError(
            f"--address is {address or 'not given'}, and no Ray cluster answers ({reason})"
        ) from error
    try:
        yield
    finally:
        ray.shutdown()


def _check_that_it_answers(address: str) -> None:
    """Before Ray is asked, which takes its time to find out, and tells each of its tries."""
    if ":" not in address:  # such as auto, which Ray itself looks up
        return
    host, _, port = address.rpartition("/")[2].rpartition(":")
    try:
        with socket.create_connection((host, int(port)), timeout=ANSWERS_WITHIN):
            pass
    except (OSError, ValueError) as error:
        raise UserError(
            f"--address is {address}, where nothing answered within {ANSWERS_WITHIN:.0f} s ({error}); it"
            " must be HOST:PORT of a running cluster, as `ray start --head` tells it"
        ) from error


def _follow(running: dict[Any, "Cell"], view: View, update: Update, stop: StopRequest) -> list[str]:
    """Shows what becomes of the cells, until all have ended; -> why some failed, one line each."""
    failures, count = [], len(running)
    while running:
        update(count - len(running), f"{len(failures)} failed" if failures else "")
        ended, _ = ray.wait(list(running), num_returns=len(running), timeout=LOOK_EVERY)
        view.show()
        for task in ended:
            label, reason = running.pop(task).label, _failure(task)
            view.close(label)
            if reason:
                failures.append(f"{label}: {reason}")
                view.say(failures[-1])
        if stop.signal and running:
            _cancel(list(running))
            raise Interrupted(
                f"{stop.signal}: cells that are not done: {len(running)}; the same command goes on with them"
            )
    return failures


def _failure(task: Any) -> str:
    """-> why a task that has ended failed, in one line; "" where it did not."""
    try:
        ray.get(task)
    except RayTaskError as error:
        known = isinstance(error.cause, ResjaxError)
        return " ".join(f"{'' if known else f'{type(error.cause).__name__}: '}{error.cause}".split())
    except RayError as error:
        return str(error).splitlines()[0]
    return ""


def _cancel(tasks: list[Any]) -> None:
    """Asks runs to save and end, as Ctrl-C would, and waits until they have."""
    for task in tasks:
        ray.cancel(task)
    ray.wait(tasks, num_returns=len(tasks), timeout=SAVES_WITHIN)


def _send(news: Queue, item: Said | Moved) -> None:
    with contextlib.suppress(RayError):  # that nobody listens is no reason to stop
        news.put_nowait(item)


def _received(news: Queue) -> list[Said | Moved]:
    try:
        return news.get_nowait_batch(news.qsize())
    except RayError:  # the machine of the queue may go; the cells go on
        return []


def _run(packed: bytes, folder: str, news: Queue) -> None:
    """In a worker: runs a cell and records it."""
    try:
        os.chdir(folder)
    except OSError as error:
        raise UserError(
            f"{folder} is not there on {socket.gethostname()}; a cluster's machines must share it"
        ) from error
    from resjax import backend

    backend.configure()
    from resjax import table

    work, cell = pickle.loads(packed)
    reporter = Reporter(cell.label, functools.partial(_send, news))
    warnings.showwarning = lambda message, *_: reporter.say(f"{cell.label}: warning: {message}")
    table.run_cell(work, cell, reporter)
