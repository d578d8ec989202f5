"""A queue of tables that end early: by a signal, or for want of data, before there is anything to publish."""

import os
import signal
import threading
import time
from pathlib import Path

import pytest
from small_table import write

from experiments import queue


@pytest.fixture
def arguments(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """-> flags and two tables, neither of which has published numbers."""
    file = write(tmp_path, steps=40_000)
    file.with_name("second.py").write_text(file.read_text().replace('"small"', '"second"'))
    monkeypatch.setattr(queue, "FOLDER", tmp_path)
    folders = ["--results", str(tmp_path / "out"), "--workdir", str(tmp_path / "runs")]
    return [*folders, "--quiet", "table", "second"]


def test_a_signal_in_the_first_cell_stops_all_tables(
    arguments: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    log = tmp_path / "runs/small/plain-4/seed0/metrics.jsonl"

    def stop_it() -> None:
        while not (log.exists() and log.stat().st_size):  # by then the run listens
            time.sleep(0.01)
        os.kill(os.getpid(), signal.SIGTERM)

    threading.Thread(target=stop_it, daemon=True).start()
    assert queue.main(arguments) == 75
    assert "SIGTERM" in capsys.readouterr().err
    assert not (tmp_path / "runs/second").exists()


def test_a_table_without_its_data_says_so(
    arguments: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    config = tmp_path / "config.py"
    config.write_text(config.read_text().replace('"digits"', '"npz:nowhere"'))
    assert queue.main(arguments) == 2
    told = capsys.readouterr().err
    assert told.count("nowhere") == 2
    assert "no records" not in told


def test_an_unknown_table_of_a_queue_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    assert queue.main(["quickstrat"]) == 2
    assert "did you mean" in capsys.readouterr().err
