"""A run to launch, and programs that stand for gcloud and so on and note what they are called with."""

import os
import sys
import tempfile
from pathlib import Path

import pytest
import small_table
from launched import ODD, commit

NOTE = """#!{python}
import json, os, sys
from pathlib import Path
name = Path(sys.argv[0]).name
with open(os.environ["NOTES"], "a") as file:
    print(json.dumps([name, *sys.argv[1:]]), file=file)
asked = "describe" in sys.argv
sys.exit(int(os.environ.get("THERE", "1") if asked else os.environ.get("FAIL", "0")))
"""


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """-> the folder in which the test runs: a git repository with config.py and table.py, committed."""
    small_table.write(tmp_path)
    commit(tmp_path)
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def train(here: Path) -> list[str]:
    """-> a run whose folder has a blank and a quote in its name."""
    return ["train", "--config", "config.py", ODD, "--workdir", f"{here}/it's mine"]


@pytest.fixture
def notes(here: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """-> where programs that stand for gcloud and so on write what they were called with, a line each."""
    folder = here / "bin"
    folder.mkdir()
    for name in ("gcloud", "xpk", "sky", "sbatch"):
        (folder / name).write_text(NOTE.format(python=sys.executable))
        (folder / name).chmod(0o755)
    monkeypatch.setenv("PATH", f"{folder}:{os.environ['PATH']}")
    monkeypatch.setenv("NOTES", str(here / "notes"))
    return here / "notes"
