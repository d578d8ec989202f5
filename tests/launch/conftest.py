"""A run to launch, and programs that stand for gcloud and so on and note what they are called with."""

import os
import sys
from pathlib import Path

import pytest
from launched import ODD

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
def train(root: Path, tmp_path: Path) -> list[str]:
    """-> a run whose folder has a blank and a quote in its name."""
    return ["train", "--config", f"{root}/configs/digits.py", ODD, "--workdir", f"{tmp_path}/it's mine"]


@pytest.fixture
def notes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """-> where programs that stand for gcloud and so on write what they were called with, a line each."""
    folder = tmp_path / "bin"
    folder.mkdir()
    for name in ("gcloud", "xpk", "sky", "sbatch", "git"):
        (folder / name).write_text(NOTE.format(python=sys.executable))
        (folder / name).chmod(0o755)
    monkeypatch.setenv("PATH", f"{folder}:{os.environ['PATH']}")
    monkeypatch.setenv("NOTES", str(tmp_path / "notes"))
    monkeypatch.chdir(tmp_path)
    return tmp_path / "notes"
