"""The processes of one run, on one host or on many: joining, agreeing, ending together.

All run the same program on the same arrays, each with its own devices, and meet in every collective; what
only one may do, process 0 does. Where a process stops with a reason, the others stop with the same exit code;
where one is lost, they say so and exit with the code of `Interrupted`. A process that is alone has none of
this, nor JAX's distributed runtime.
"""

import contextlib
import json
import os
import sys
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any, NoReturn

import jax

from resjax.environment import Group
from resjax.errors import Diverged, FolderBusy, Interrupted, ResjaxError, RunFailed, Stopped, UserError
from resjax.sockets import VANISHED, Message
from resjax.wire import Hub, Member

SETTLES = 2.0  # seconds in which a process ends by itself where it has the same reason as another one
SAVES = 30.0  # the same where it is saving
LEAVES = 30  # seconds for all to leave JAX's runtime


class _Here:
    """This process among the others."""

    def __init__(self, group: Group):
        self.index, self.count = group.index, group.count
        self.saved: Callable[[], str] = lambda: "start all processes again"
        self._heard, self._said, self._round = threading.Condition(), {}, 0
        self._ending, self._has_reason, self.leaving = threading.Lock(), False, False
        ends = (group.address, group.count, self._hear)
        self.wire = Hub(*ends) if self.index == 0 else Member(ends[0], self.index, *ends[1:])
        self.wire.gather(group.timeout)

    def exchange(self, text: str) -> list[str]:
        """-> what each process gives to the call with the same number as this one, once all have."""
        self._round += 1
        self._note(self._round, self.index, text)
        self.wire.say({"kind": "said", "round": self._round, "text": text})
        wanted = [(self._round, number) for number in range(self.count)]
        with self._heard:
            while not all(key in self._said for key in wanted):
                self._heard.wait(1.0)  # not for ever: a signal has its effect between two waits
            return [self._said.pop(key) for key in wanted]

    def _note(self, number: int, sender: int, text: str) -> None:
        with self._heard:
            self._said[number, sender] = text
            self._heard.notify_all()

    def _hear(self, message: Message) -> None:
        """In a thread of the wire."""
        sender = message["from"]
        if message["kind"] == "said":
            self._note(message["round"], sender, message["text"])
        elif message["kind"] == "stopped" and not self._has_reason:
            code, text = message["code"], f"process {sender} stopped: {message['text']}"
            self._end(code, text, patience=SAVES if code == Interrupted.exit_code else SETTLES)
        elif message["kind"] == "lost":
            text = f"process {sender} of {self.count} was lost"
            self._end(Interrupted.exit_code, text, lambda: f"; {self.saved()}")

    def _end(self, code: int, text: str, rest: Callable[[], str] = lambda: "", patience: float = 0.0) -> None:
        """Ends this process, which may wait for ever in a collective, where it does not by itself."""
        if self.leaving or not self._ending.acquire(blocking=False):
            return
        threading.Thread(target=_end, args=(code, text, rest, patience), daemon=True).start()

    def leave(self, error: BaseException) -> None:
        """Tells the others why this process stops, unless it is for want of another one."""
        self._has_reason = True
        if not isinstance(error, Interrupted | Diverged | RunFailed):
            self._await_the_end(VANISHED + SETTLES if _is_runtime_s(error) else SETTLES / 4)
        self.leaving = True
        if not isinstance(error, RunFailed):  # that is another one's reason
            text = (
                str(error) if isinstance(error, ResjaxError | Stopped) else f"{type(error).__name__}: {error}"
            )
            self.wire.say({"kind": "stopped", "code": _code(error), "text": text.partition("\n")[0]})
        self.wire.close()

    def _await_the_end(self, seconds: float) -> None:
        """A collective fails before it is known that a process is gone."""
        until = time.monotonic() + seconds
        while time.monotonic() < until or self._ending.locked():
            time.sleep(0.05)


def _code(error: BaseException) -> int:
    """-> the exit code that the command line has for it."""
    if isinstance(error, ResjaxError | Stopped):
        return error.exit_code
    if isinstance(error, KeyboardInterrupt):
        return 130
    return UserError.exit_code if isinstance(error, OSError) else 1


def _is_runtime_s(error: BaseException) -> bool:
    return isinstance(error, jax.errors.JaxRuntimeError)


def _end(code: int, text: str, rest: Callable[[], str], patience: float) -> NoReturn:
    """The sentence's rest is left out where it cannot be had: its folder may have been the lost host's."""
    time.sleep(patience)
    found: list[str] = []
    reader = threading.Thread(target=lambda: found.append(rest()), daemon=True)
    reader.start()
    reader.join(SETTLES)
    try:
        print(f"resjax: {text}{''.join(found)}", file=sys.stderr, flush=True)
    finally:
        os._exit(code)


_here: _Here | None = None


@contextlib.contextmanager
def joined(group: Group | None) -> Iterator[None]:
    """While entered, this is one process of a group, whose devices are everybody's; None: it is alone.

    Enter it before anything asks JAX for devices.

    Raises:
      UserError: the others, or the coordinator, cannot be reached in time.
    """
    global _here
    if group is None or group.count == 1:
        yield
        return
    _here = _Here(group)
    try:
        _start(_here, group)
        yield
        _here.exchange("")  # nobody leaves while another one may need it
        _here.leaving = True
        jax.distributed.shutdown()
        _here.wire.close()
    except BaseException as error:
        if not _here.leaving:
            _here.leave(error)
        raise


def _start(here: _Here, group: Group) -> None:
    jax.config.update("jax_enable_preemption_service", False)
    jax.config.update("jax_check_proxy_envs", False)  # it warns of what is mended here
    # Of two programs in flight on the CPU, either may begin first, and then what one process exchanges in the
    # first is taken in another for a part of the second: wrong numbers, and no error.
    jax.config.update("jax_cpu_enable_async_dispatch", False)
    former = os.environ.get("no_grpc_proxy") or os.environ.get("no_proxy", "")  # noqa: SIM112
    os.environ["no_grpc_proxy"] = f"{former},127.0.0.1".lstrip(",")  # noqa: SIM112
    jax.distributed.initialize(
        here.wire.coordinator,
        group.count,
        group.index,
        group.local_devices,
        cluster_detection_method="deactivate",
        initialization_timeout=VANISHED + round(group.timeout),
        shutdown_timeout_seconds=LEAVES,
        coordinator_bind_address=here.wire.coordinator,
    )


def count() -> int:
    return 1 if _here is None else _here.count


def index() -> int:
    return 0 if _here is None else _here.index


def is_first() -> bool:
    """-> whether this process does what only one may do: it writes records, and tells progress."""
    return index() == 0


def saves(saved: Callable[[], str]) -> None:
    """From now on, `saved` tells what is saved, and what to do; it ends the sentence about a lost process."""
    if _here is not None:
        _here.saved = saved


def exchange(text: str) -> list[str]:
    """-> the texts of all processes; all call it, in the same order."""
    return [text] if _here is None else _here.exchange(text)


def tell(value: Any) -> Any:
    """-> the value of process 0, which JSON can hold; all call it."""
    return value if _here is None else json.loads(exchange(json.dumps(value) if is_first() else "")[0])


@contextlib.contextmanager
def agreeing() -> Iterator[None]:
    """Where one process fails within, all fail behind it; all enter it, and nobody leaves before the others.

    Raises:
      FolderBusy, RunFailed: another process failed, with a reason that has a sentence.
      RuntimeError: the same, with any other error.
    """
    if _here is None:
        yield
        return
    failed: Exception | None = None
    try:
        yield
    except Exception as error:  # of whatever kind: the others wait
        failed = error
    code = failed.exit_code if isinstance(failed, ResjaxError) else 0
    own = "" if failed is None else json.dumps([type(failed).__name__, code, str(failed)])
    texts = exchange(own)
    if failed is not None:
        raise failed
    for number, text in enumerate(texts):
        if text:
            raise _elsewhere(number, *json.loads(text))


def _elsewhere(number: int, kind: str, code: int, text: str) -> Exception:
    if kind == FolderBusy.__name__:
        return FolderBusy(text)
    return RunFailed(f"process {number} stopped: {text}", code) if code else RuntimeError(text)


def check_same(what: str, found: str) -> None:
    """Raises UserError, in all processes, where one of them has found another text than process 0."""
    texts = exchange(found)
    for number, text in enumerate(texts):
        if text != texts[0]:
            raise UserError(f"process {number} has {what} than process 0; start all with the same")
