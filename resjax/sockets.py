"""Connections between processes: lines of JSON, and a tunnel for what JAX's coordination has to say.

JAX's client ends its process by force, with a text of its own, when the coordinator is gone. Here it speaks
to a `Tunnel`, which never hangs up on it, so that there is time to say what happened.
"""

import contextlib
import json
import os
import socket
import threading
import time
from collections.abc import Iterator
from typing import Any

from resjax.errors import UserError

Message = dict[str, Any]
VANISHED = 30  # seconds without an answer, behind which a host is gone
HERE = "127.0.0.1"
RETRY = 0.1  # seconds
LONGEST = 1000  # bytes of a first line


class Tunnel:
    """What JAX's client takes for the coordinator."""

    def __init__(self, far: str):
        self._far = far
        self._server = socket.create_server((HERE, 0))
        self.address = f"{HERE}:{self._server.getsockname()[1]}"
        self._near: list[socket.socket] = []
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        while True:
            near, _ = self._server.accept()
            self._near.append(near)  # an end that nobody held would be closed
            far = connect(self._far, VANISHED)
            keep_alive(far)
            send(far, {"kind": "tunnel"})
            threading.Thread(target=_pass_on, args=(near, far), kwargs={"close": True}, daemon=True).start()
            threading.Thread(target=_pass_on, args=(far, near), kwargs={"close": False}, daemon=True).start()


def listen(address: str) -> socket.socket:
    port = int(address.rpartition(":")[2])
    both = socket.has_dualstack_ipv6()
    try:
        if both:
            return socket.create_server(("", port), family=socket.AF_INET6, dualstack_ipv6=True)
        return socket.create_server(("", port))
    except OSError as error:
        reason = os.strerror(error.errno or 0)
        raise UserError(
            f"--coordinator {address}: process 0 cannot listen there ({reason}); give a free port of its host"
        ) from error


def connect(address: str, seconds: float) -> socket.socket:
    """Tries again until somebody answers; raises UserError where nobody does, in time."""
    host, _, port = address.rpartition(":")
    until = time.monotonic() + seconds
    while True:
        try:
            left = max(until - time.monotonic(), RETRY)
            connection = socket.create_connection((host.strip("[]"), int(port)), timeout=left)
            connection.settimeout(None)
            return connection
        except OSError as error:
            if time.monotonic() + RETRY > until:
                raise UserError(
                    f"--coordinator {address}: nothing answered there within {seconds:g} s"
                    f" ({error.strerror or error}); it must be the host of process 0, and a port that is free"
                    " there"
                ) from error
            time.sleep(RETRY)


def keep_alive(connection: socket.socket) -> None:
    """Has the system ask now and then whether the other host is there; if not, the connection ends."""
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    for name, value in (("TCP_KEEPIDLE", 10), ("TCP_KEEPINTVL", 5), ("TCP_KEEPCNT", (VANISHED - 10) // 5)):
        if hasattr(socket, name):  # not on every system
            connection.setsockopt(socket.IPPROTO_TCP, getattr(socket, name), value)
    if hasattr(socket, "TCP_USER_TIMEOUT"):
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, VANISHED * 1000)


def send(connection: socket.socket, message: Message) -> None:
    with contextlib.suppress(OSError):  # the one who listens there notices that it is gone
        connection.sendall(json.dumps(message).encode() + b"\n")


def end(connection: socket.socket) -> None:
    with contextlib.suppress(OSError):
        connection.shutdown(socket.SHUT_RDWR)


def first_line(connection: socket.socket) -> Message:
    """-> the message that a connection begins with, {} where there is none; what follows is not read."""
    line = b""
    with contextlib.suppress(OSError, ValueError):
        while not line.endswith(b"\n") and len(line) < LONGEST:
            byte = connection.recv(1)
            if not byte:
                break
            line += byte
        found = json.loads(line)
        return found if isinstance(found, dict) else {}
    return {}


def messages(connection: socket.socket) -> Iterator[Message]:
    """-> each message, until the connection ends."""
    with contextlib.suppress(OSError, ValueError), connection.makefile("rb") as lines:
        for line in lines:
            yield json.loads(line)


def join(one: socket.socket, other: socket.socket) -> None:
    """Passes on what either says; when one ends, the other is closed."""
    threading.Thread(target=_pass_on, args=(one, other), kwargs={"close": True}, daemon=True).start()
    _pass_on(other, one, close=True)


def _pass_on(source: socket.socket, target: socket.socket, *, close: bool) -> None:
    with contextlib.suppress(OSError):
        while data := source.recv(2**16):
            target.sendall(data)
    if close:
        end(target)
