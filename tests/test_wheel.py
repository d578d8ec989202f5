"""The wheel by itself: built, installed into an empty environment, and used far from the repository."""

import json
import os
import re
import shutil
import subprocess
import sys
import tomllib
import zipfile
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]

ROOT = Path(__file__).parent.parent
ROW = "plain 8"
COPIED = ("experiments/quickstart.py", "configs")  # files that quickstart.py names by their path from there
# Settings of this run of pytest, which no user has. XDG_CACHE_HOME remains, for compiled programs.
LEFT_OUT = ("COV", "JAX_", "PYTEST", "PYTHON", "RESJAX_", "TQDM_", "VIRTUAL_ENV", "XLA_")


def environment(*, caches: bool) -> dict[str, str]:
    """Returns the environment variables of a user's shell, with this run's folder of caches or without."""
    left_out = (*LEFT_OUT, *(() if caches else ("XDG_CACHE_HOME",)))
    return {name: value for name, value in os.environ.items() if not name.startswith(left_out)}


def run(command: Sequence[str | Path], folder: Path) -> subprocess.CompletedProcess[str]:
    # pip keeps its downloads where it always does, or each run would fetch them again.
    variables = environment(caches="pip" not in command)
    return subprocess.run(command, cwd=folder, env=variables, capture_output=True, text=True)


def output(command: Sequence[str | Path], folder: Path) -> str:
    """Returns what a command prints; fails with its messages if it fails."""
    process = run(command, folder)
    assert process.returncode == 0, f"{command}\n{process.stdout}\n{process.stderr}"
    return process.stdout


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An empty folder; skips without a package index, because the build needs setuptools from there."""
    empty = tmp_path_factory.mktemp("wheel")
    needed = tomllib.loads((ROOT / "pyproject.toml").read_text())["build-system"]["requires"]
    pip = [sys.executable, "-m", "pip", "--retries", "1", "--timeout", "15"]
    process = run([*pip, "download", "--no-deps", "--dest", "index", *needed], empty)
    if process.returncode:
        pytest.skip(f"the package index cannot be reached: {process.stderr.strip().splitlines()[-1]}")
    return empty


@pytest.fixture(scope="module")
def wheel(folder: Path) -> Path:
    """The wheel, built from a copy of the sources, because a build leaves files where the sources are."""
    source = folder / "source"
    shutil.copytree(ROOT / "resjax", source / "resjax", ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, source)
    output([sys.executable, "-m", "pip", "wheel", "--no-deps", "--wheel-dir", "dist", source], folder)
    shutil.rmtree(source)
    (built,) = (folder / "dist").glob("*.whl")
    return built


@pytest.fixture(scope="module")
def python(folder: Path, wheel: Path) -> Path:
    """Python of an environment in which the wheel and its dependencies are installed."""
    output([sys.executable, "-m", "venv", "venv"], folder)
    installed = folder / "venv" / "bin" / "python"
    output([installed, "-m", "pip", "install", "-c", ROOT / "constraints.txt", wheel], folder)
    return installed


@pytest.fixture(scope="module")
def resjax(folder: Path, python: Path) -> Iterator[tuple[Path, Path]]:
    """The installed command, and a folder with copies of the files that the table needs."""
    place = folder / "place"
    for name in COPIED:
        (place / name).parent.mkdir(parents=True, exist_ok=True)
        copy = shutil.copytree if (ROOT / name).is_dir() else shutil.copy
        copy(ROOT / name, place / name)
    yield python.parent / "resjax", place
    shutil.rmtree(folder, ignore_errors=True)  # a gigabyte


def test_wheel_has_every_file_of_the_package(wheel: Path) -> None:
    files = (file.relative_to(ROOT) for file in (ROOT / "resjax").rglob("*") if file.is_file())
    expected = {file.as_posix() for file in files if "__pycache__" not in file.parts}
    with zipfile.ZipFile(wheel) as archive:
        names = {name for name in archive.namelist() if ".dist-info/" not in name}
    assert names == expected


def test_installed_package_is_that_of_the_wheel(python: Path, resjax: tuple[Path, Path]) -> None:
    _, place = resjax
    code = "import resjax, sys; print(resjax.__file__); print(*sys.path, sep='\\n')"
    file, *paths = output([python, "-c", code], place).splitlines()
    assert Path(file).is_relative_to(python.parent.parent / "lib")
    assert not [path for path in paths if Path(path).is_relative_to(ROOT)]


def test_installed_command_prints_its_help(resjax: tuple[Path, Path]) -> None:
    command, place = resjax
    text = output([command, "--help"], place)
    assert text.startswith("usage: resjax")
    assert "table" in text


def test_installed_command_runs_a_cell_of_a_table(resjax: tuple[Path, Path]) -> None:
    command, place = resjax
    text = output([command, "table", "experiments/quickstart.py", "--row", ROW, "--seed", "0"], place)
    folder = place / "runs" / "results" / "quickstart"
    (file,) = folder.rglob("*.json")
    content = file.read_text()
    record = json.loads(content)
    assert (file.name, record["row"], record["seed"]) == ("plain-8-seed0.json", ROW, 0)
    accuracy = 100 * record["metrics"]["test/accuracy"]
    assert accuracy > 90
    assert re.search(rf"^{ROW} +{accuracy:.2f} +1 ", text, re.MULTILINE)  # one run
    assert f"| {ROW} | {accuracy:.2f} | 1 |" in (folder / "quickstart.md").read_text()
    # Nothing is of the repository or of this run of pytest.
    assert record["commit"] is None
    assert record["xla_flags"] == ""
    assert str(ROOT) not in content + text
