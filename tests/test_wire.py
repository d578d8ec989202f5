"""How processes find each other and notice that one is gone, without what they compute."""

import re
import socket
import threading
import time
from collections.abc import Callable

import pytest
from together import free_port

from resjax import sockets
from resjax.errors import UserError
from resjax.sockets import Message
from resjax.wire import Hub, Member

# A connection is there for as long as its process; here processes end before this one does.
pytestmark = pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")


class Ear:
    """Keeps what is heard; `await_` waits for it."""

    def __init__(self) -> None:
        self.heard: list[Message] = []

    def __call__(self, message: Message) -> None:
        self.heard.append(message)

    def await_(self, kind: str, sender: int) -> None:
        until = time.monotonic() + 30
        while (kind, sender) not in [(each["kind"], each["from"]) for each in self.heard]:
            assert time.monotonic() < until, self.heard
            time.sleep(0.01)


def in_thread(call: Callable[[], None]) -> threading.Thread:
    thread = threading.Thread(target=call)
    thread.start()
    return thread


def three() -> tuple[Hub, list[Member], list[Ear]]:
    """-> the hub and its members, all there, and what each hears."""
    address, ears = f"localhost:{free_port()}", [Ear() for _ in range(3)]
    hub = Hub(address, 3, ears[0])
    members = [Member(address, number, 3, ears[number]) for number in (1, 2)]
    threads = [in_thread(lambda end=end: end.gather(30)) for end in (hub, *members)]
    for thread in threads:
        thread.join()
    return hub, members, ears


def test_what_one_says_all_others_hear() -> None:
    hub, members, ears = three()
    hub.say({"kind": "said", "text": "zero"})
    members[1].say({"kind": "said", "text": "two"})
    ears[0].await_("said", 2)
    ears[1].await_("said", 2)
    ears[1].await_("said", 0)
    ears[2].await_("said", 0)
    assert all(each["from"] != number for number, ear in enumerate(ears) for each in ear.heard)


def test_one_that_ends_without_a_word_is_lost_and_one_that_takes_its_leave_is_not() -> None:
    _, members, ears = three()
    members[0].close()
    ears[2].await_("bye", 1)
    sockets.end(members[1]._connection)  # as the system does when a process dies
    ears[0].await_("lost", 2)
    assert ("lost", 1) not in [(each["kind"], each["from"]) for each in ears[0].heard]


def test_a_tunnel_leads_to_the_hub_s_own_host_and_outlives_it() -> None:
    hub, members, _ = three()
    host, port = hub.coordinator.split(":")
    with socket.create_server((host, int(port))) as server:
        near = sockets.connect(members[0].coordinator, 30)
        far, _ = server.accept()
        near.sendall(b"there")
        assert far.recv(10) == b"there"
        far.sendall(b"back")
        assert near.recv(10) == b"back"
        far.close()
    near.settimeout(0.5)
    with pytest.raises(TimeoutError):  # neither an end nor an error
        near.recv(10)
    near.close()


@pytest.mark.multiprocess
def test_processes_that_do_not_fit_together_are_refused() -> None:
    address, said_to = f"localhost:{free_port()}", []
    hub = Hub(address, 3, Ear())

    def refused(end: Hub | Member) -> None:
        with pytest.raises(UserError) as error:
            end.gather(5)
        said_to.extend(re.findall("process 2 of 3", str(error.value)))

    first = Member(address, 1, 3, Ear())
    waiting = [in_thread(lambda end=end: refused(end)) for end in (hub, first)]
    until = time.monotonic() + 4
    while 1 not in hub._members and time.monotonic() < until:
        time.sleep(0.01)
    for number, count, names in ((1, 3, "process 1 of 3"), (2, 4, "--processes is 4 in process 2")):
        with pytest.raises(UserError, match=names):
            Member(address, number, count, Ear()).gather(30)
    for thread in waiting:
        thread.join()
    assert said_to == ["process 2 of 3"] * 2


def test_a_port_in_use_or_of_another_program_is_named() -> None:
    with socket.create_server(("", 0)) as taken:
        address = f"localhost:{taken.getsockname()[1]}"
        with pytest.raises(UserError, match=address):
            Hub(address, 2, Ear())
        answering = in_thread(lambda: taken.accept()[0].close())
        with pytest.raises(UserError, match=address):
            Member(address, 1, 2, Ear()).gather(30)
        answering.join()
