"""What the processes of a run tell each other beside their arrays: who is there, who is gone, what was said.

Process 0 has the hub, which listens at the coordinator's address; every other process keeps a connection to
it for as long as it runs. A process that dies is known at once, for its connection is closed; a host that
vanishes, behind `sockets.VANISHED` seconds. One that is stopped rather than gone is not, for its system
answers for it: that it is silent is found by JAX's heartbeats alone, by default behind 100 s. JAX's own
coordination goes through the same address.

A message has a `kind`, and the number of the process that it is `from`.
"""

import socket
import threading
from collections.abc import Callable

from resjax import sockets
from resjax.errors import UserError
from resjax.sockets import HERE, VANISHED, Message

Hear = Callable[[Message], None]
LAST = ("bye", "stopped")  # kinds of messages behind which a connection may end
FOREIGN = "what answers there is no resjax process that waits for others"


class Hub:
    """The end of process 0; `hear` is called with each message of the others, in a thread."""

    def __init__(self, address: str, count: int, hear: Hear):
        self._address, self._count, self._hear = address, count, hear
        self._members: dict[int, socket.socket] = {}
        self._changed, self._complete = threading.Condition(), False
        self._server = sockets.listen(address)
        with socket.create_server((HERE, 0)) as free:
            self.coordinator = f"{HERE}:{free.getsockname()[1]}"  # of JAX's own, for this process alone
        threading.Thread(target=self._accept, daemon=True).start()

    def gather(self, seconds: float) -> None:
        """Returns when all others are there; raises UserError where they are not, in time."""
        with self._changed:
            self._complete = self._changed.wait_for(self._all_there, seconds)
            missing = sorted(set(range(1, self._count)) - self._members.keys())
        if not self._complete:
            names = f"process {missing[0]}" if len(missing) == 1 else f"processes {missing}"
            reason = f"{names} of {self._count} did not come to {self._address} within {seconds:g} s"
            self._send({"kind": "refused", "text": reason})
            raise UserError(f"{reason}; start all of them, or give --join-timeout more seconds")
        self._send({"kind": "go"})

    def say(self, message: Message) -> None:
        self._send({**message, "from": 0})

    def close(self) -> None:
        """Returns when the others are gone, so that none of them finds the hub closed before it has left."""
        self.say({"kind": "bye"})
        with self._changed:
            self._changed.wait_for(lambda: not self._members, VANISHED)

    def _all_there(self) -> bool:
        return len(self._members) == self._count - 1

    def _send(self, message: Message) -> None:
        """To all who are there, but for the one that it is from."""
        with self._changed:
            for number, member in self._members.items():
                if number != message.get("from"):
                    sockets.send(member, message)

    def _accept(self) -> None:
        while True:
            connection, _ = self._server.accept()
            threading.Thread(target=self._welcome, args=(connection,), daemon=True).start()

    def _welcome(self, connection: socket.socket) -> None:
        first = sockets.first_line(connection)
        if first.get("kind") == "tunnel":
            sockets.join(connection, sockets.connect(self.coordinator, VANISHED))
        elif first.get("kind") == "member":
            self._attend(connection, first)
        else:
            connection.close()

    def _attend(self, connection: socket.socket, first: Message) -> None:
        """Listens to a process until it ends."""
        number, last = first["from"], ""
        with self._changed:
            refused = self._refusal(number, first["processes"])
            if not refused:
                self._members[number] = connection
                self._changed.notify_all()
        if refused:
            sockets.send(connection, {"kind": "refused", "text": refused})
            connection.close()
            return
        sockets.keep_alive(connection)
        for message in sockets.messages(connection):
            last = message["kind"]
            self._send(message)
            self._hear(message)
        with self._changed:
            del self._members[number]
            self._changed.notify_all()
        if self._complete and last not in LAST:
            lost = {"kind": "lost", "from": number}
            self._send(lost)
            self._hear(lost)

    def _refusal(self, number: int, count: int) -> str:
        if count != self._count:
            return f"--processes is {count} in process {number}, and {self._count} in process 0"
        if number not in range(1, count) or number in self._members or self._complete:
            return f"process {number} of {count} is there already; each has a --process of its own"
        return ""


class Member:
    """The end of any other process; `hear` is called with each message of the others, in a thread."""

    def __init__(self, address: str, number: int, count: int, hear: Hear):
        self._address, self._number, self._count, self._hear = address, number, count, hear
        self._sending = threading.Lock()

    def gather(self, seconds: float) -> None:
        """Returns when all others are there; raises UserError where they are not, in time."""
        self._connection = sockets.connect(self._address, seconds)
        self.say({"kind": "member", "processes": self._count})
        self._connection.settimeout(seconds + VANISHED)  # process 0 has the same patience, from its own start
        answer = sockets.first_line(self._connection)
        if answer.get("kind") != "go":
            self._connection.close()
        if answer.get("kind") == "refused":
            raise UserError(f"--coordinator {self._address}: {answer['text']}")
        if answer.get("kind") != "go":
            raise UserError(f"--coordinator {self._address}: {FOREIGN}, or it ended; start all again")
        self._connection.settimeout(None)
        sockets.keep_alive(self._connection)
        self._tunnel = sockets.Tunnel(self._address)
        self.coordinator = self._tunnel.address
        threading.Thread(target=self._listen, daemon=True).start()

    def say(self, message: Message) -> None:
        with self._sending:
            sockets.send(self._connection, {**message, "from": self._number})

    def close(self) -> None:
        self.say({"kind": "bye"})
        sockets.end(self._connection)

    def _listen(self) -> None:
        last = ""
        for message in sockets.messages(self._connection):
            last = message["kind"] if message["from"] == 0 else last
            self._hear(message)
        if last not in LAST:
            self._hear({"kind": "lost", "from": 0})
