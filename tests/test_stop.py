"""Signals where no run hears them, and signals that come twice."""

import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NoReturn

import pytest
from small_table import records
from small_table import write as write_table

from resjax import table
from resjax.__main__ import main
from resjax.data import sources
from resjax.errors import Interrupted, UserError
from resjax.stop import MAINTENANCE, StopRequest, interruptible, time_limit

Capture = pytest.CaptureFixture[str]


def asked(number: signal.Signals) -> NoReturn:
    """As a set of tensorflow-datasets is read: whatever is raised tells of a damaged one."""
    try:
        signal.raise_signal(number)
    except Exception as error:
        raise UserError(f"an example cannot be read ({error})") from error
    raise AssertionError("nobody heard it")


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT], ids=lambda number: number.name)
def test_a_run_is_stopped_as_it_reads_its_data(
    root: Path, tmp_path: Path, number: signal.Signals, monkeypatch: pytest.MonkeyPatch, capsys: Capture
) -> None:
    monkeypatch.setattr(sources, "_read", lambda *_: asked(number))
    former = signal.getsignal(number)
    argv = ["train", "--config", str(root / "configs" / "digits.py"), "--workdir", str(tmp_path / "run")]
    assert main(argv) == 75
    assert capsys.readouterr().err.splitlines()[-1].startswith(f"resjax: {number.name}: ")
    assert signal.getsignal(number) is former
    assert not (tmp_path / "run").exists()


def test_a_table_is_stopped_between_its_cells(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Capture
) -> None:
    write = table.write_atomically

    def write_and_stop(path: Path, text: str) -> None:
        write(path, text)
        signal.raise_signal(signal.SIGTERM)

    monkeypatch.setattr(table, "write_atomically", write_and_stop)
    argv = ["table", str(write_table(tmp_path)), "--workdir", str(tmp_path / "runs"), "--quiet"]
    assert main(argv) == 75
    assert "SIGTERM" in capsys.readouterr().err
    assert [path.stem for path in records(tmp_path)] == ["plain-4-seed0"]


def test_a_signal_that_a_run_hears_too_late_begins_no_other() -> None:
    begun = []

    def two_runs(ask: Any) -> None:
        for number in range(2):
            begun.append(number)
            with StopRequest() as stop:
                ask(stop)

    with pytest.raises(Interrupted, match="SIGTERM"), interruptible():
        two_runs(lambda _: signal.raise_signal(signal.SIGTERM))
    with pytest.raises(Interrupted, match=MAINTENANCE), interruptible():
        two_runs(StopRequest.end_of_host)
    assert begun == [0, 0]


@pytest.fixture
def heeds_ctrl_c() -> Iterator[None]:
    """A shell has what it starts in the background ignore Ctrl-C."""
    former = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, former)


@pytest.mark.usefixtures("heeds_ctrl_c")
def test_a_second_signal_acts_as_without_us() -> None:
    with interruptible(), StopRequest() as stop:
        signal.raise_signal(signal.SIGINT)
        assert stop.signal == "SIGINT"
        with pytest.raises(KeyboardInterrupt) as caught:
            signal.raise_signal(signal.SIGINT)
        assert caught.type is KeyboardInterrupt
        stop.signal = None


def test_the_end_of_the_time_is_not_taken_for_damage() -> None:
    with pytest.raises(Interrupted, match="time is up"), time_limit(3600):
        asked(signal.SIGALRM)
