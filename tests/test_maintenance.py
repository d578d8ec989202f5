"""A host's notice of its end, of a real server, as Google Cloud's gives it."""

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from resjax import config as configs
from resjax import maintenance
from resjax.config import Config
from resjax.errors import Interrupted
from resjax.progress import Display
from resjax.training import train

PREFIX = "/computeMetadata/v1/instance/"
LENGTH = 24


class Server(ThreadingHTTPServer):
    """Attributes:
    answers: text by key; a key that is not there has no page.
    asked: how often each key was.
    cut: answers are shorter than they say.
    """

    daemon_threads = True

    def __init__(self, **answers: str):
        super().__init__(("127.0.0.1", 0), _Handler)
        self.answers = {key.replace("_", "-"): text for key, text in answers.items()}
        self.asked = dict.fromkeys(maintenance.NOTICES, 0)
        self.cut, self.lock = False, threading.Condition()

    def wait_for(self, count: int) -> None:
        """Returns when each key was asked for so often."""
        with self.lock:
            assert self.lock.wait_for(lambda: min(self.asked.values()) >= count, timeout=60)


class _Handler(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        server: Server = self.server  # pyright: ignore[reportAssignmentType]
        key = self.path.removeprefix(PREFIX)
        allowed = self.headers["Metadata-Flavor"] == "Google" and key in server.answers
        self.send_response(200 if allowed else 404)
        if server.cut:
            self.send_header("Content-Length", "99")
        self.end_headers()
        self.wfile.write(server.answers.get(key, "").encode("latin-1"))
        with server.lock:
            server.asked[key] += 1
            server.lock.notify_all()

    def log_message(self, *_: object) -> None:
        """Says nothing."""


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    with Server(maintenance_event="NONE", preempted="FALSE") as found:
        threading.Thread(target=found.serve_forever, daemon=True).start()
        monkeypatch.setenv(maintenance.ELSEWHERE, f"127.0.0.1:{found.server_port}")
        monkeypatch.setattr(maintenance, "EVERY", 0.02)
        yield found
        found.shutdown()


class Told(threading.Event):
    def __call__(self) -> None:
        self.set()


@pytest.mark.parametrize(
    ("key", "text", "is_notice"),
    [
        ("maintenance-event", "TERMINATE_ON_HOST_MAINTENANCE", True),
        ("maintenance-event", "MIGRATE_ON_HOST_MAINTENANCE", False),  # the machine runs on
        ("preempted", "TRUE", True),
    ],
)
def test_a_notice_is_told_once_it_comes(server: Server, key: str, text: str, is_notice: bool) -> None:
    told = Told()
    with maintenance.heeded(told):
        server.wait_for(2)
        assert not told.is_set()
        server.answers[key] = text
        assert told.wait(60 if is_notice else 0.5) == is_notice


def test_a_notice_that_stands_at_the_beginning_is_none_and_a_silent_server_is_asked_again(
    server: Server,
) -> None:
    del server.answers["preempted"]
    server.answers["maintenance-event"] = "TERMINATE_ON_HOST_MAINTENANCE"
    told = Told()
    with maintenance.heeded(told):
        server.wait_for(3)
        assert not told.is_set()
        server.answers["preempted"] = "FALSE"
        server.wait_for(max(server.asked.values()) + 2)
        server.answers["preempted"] = "TRUE"
        assert told.wait(60)


def test_an_answer_that_is_none_ends_no_listening(server: Server) -> None:
    told = Told()
    with maintenance.heeded(told):
        server.wait_for(1)
        server.cut = True  # http.client.IncompleteRead
        server.wait_for(max(server.asked.values()) + 2)
        server.cut = False
        server.answers["preempted"] = "\xff"  # no UTF-8
        server.wait_for(max(server.asked.values()) + 2)
        assert not told.is_set()
        server.answers["preempted"] = "TRUE"
        assert told.wait(60)


def test_where_there_are_no_tpus_nobody_is_asked(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(maintenance.ELSEWHERE)
    before = threading.active_count()
    with maintenance.heeded(Told()):
        assert threading.active_count() == before


class Noticing(Display):
    """Has the server give notice when a run is on its way: it compiles then."""

    def __init__(self, server: Server):
        super().__init__(quiet=True)
        self.server = server

    def say(self, text: str) -> None:
        raise AssertionError(text)

    def task(self, *args: object):
        self.server.answers["maintenance-event"] = "TERMINATE_ON_HOST_MAINTENANCE"
        return super().task(*args)  # pyright: ignore[reportArgumentType]


@pytest.mark.slow
def test_a_run_is_saved_goes_on_and_ends_with_the_same_bits(
    server: Server, tiny: Config, tmp_path: Path
) -> None:
    config = configs.override(tiny, [f"--config.schedule.length={LENGTH}"])
    whole = train(config, tmp_path / "whole")
    with pytest.raises(Interrupted, match=rf"step \d+ of {LENGTH}"):
        train(config, tmp_path / "run", Noticing(server))
    again = train(config, tmp_path / "run")  # the notice stands, and is not heeded again
    assert again["state_sha256"] == whole["state_sha256"]
    assert json.dumps(again["curve"]) == json.dumps(whole["curve"])
