"""Strict switches for all tests, and the small things that many of them need."""

import atexit
import difflib
import importlib.metadata
import os
import shutil
import tempfile

# Before JAX starts: one CPU device, as most users have (tests/eight.py has eight). The programs of the tests
# are small and run a few times, so most of their time is compilation, which is much shorter without LLVM's
# optimizations and without the fusion emitters. RESJAX_TEST_OPTIMIZED=1 tests the programs that users get.
_QUICK = "--xla_backend_optimization_level=0"
# Later releases do not have this flag.
if importlib.metadata.version("jaxlib").startswith(("0.9.", "0.10.")):
    _QUICK += " --xla_cpu_use_fusion_emitters=false"
_FLAGS = "" if os.environ.get("RESJAX_TEST_OPTIMIZED") == "1" else _QUICK
os.environ["XLA_FLAGS"] = f"--xla_force_host_platform_device_count=1 {_FLAGS}"
os.environ["JAX_PLATFORMS"] = "cpu"
# What one test has compiled, others need not: a cache for this run of pytest, which its workers share.
_PROGRAMS = "RESJAX_TEST_PROGRAMS"
if _PROGRAMS not in os.environ:
    os.environ[_PROGRAMS] = tempfile.mkdtemp(prefix="resjax-")
    atexit.register(shutil.rmtree, os.environ[_PROGRAMS], ignore_errors=True)
os.environ["JAX_ENABLE_COMPILATION_CACHE"] = "true"
os.environ["JAX_COMPILATION_CACHE_DIR"] = os.environ[_PROGRAMS]
os.environ["JAX_COMPILATION_CACHE_MAX_SIZE"] = "-1"  # else each entry has all others looked at
os.environ["TQDM_DISABLE"] = "1"
os.environ["XDG_CACHE_HOME"] = _CACHE = tempfile.mkdtemp(prefix="resjax-")
atexit.register(shutil.rmtree, _CACHE, ignore_errors=True)

from resjax import backend

backend.configure()  # what the command line does, so that tests see what users get

from jaxtyping import install_import_hook

# Shapes and types of annotated functions are checked as the tests run. Not in modules that define
# pytrees: JAX fills those with tracers, NumPy arrays and placeholders as well.
_CHECKED = [
    "resjax.losses",
    "resjax.stats",
    "resjax.data.batches",
    "resjax.data.sources",
    "resjax.data.split",
]
_HOOK = install_import_hook(_CHECKED, "beartype.beartype")

from collections.abc import Callable
from pathlib import Path

import jax
import pytest
from ml_collections import ConfigDict

from resjax import config as configs
from resjax.config import Config
from resjax.training import train

jax.config.update("jax_numpy_dtype_promotion", "strict")
jax.config.update("jax_numpy_rank_promotion", "raise")

_HOOK.uninstall()  # what it watches for has been imported by now
ROOT = Path(__file__).parent.parent
GOLDEN = Path(__file__).parent / "golden"


def pytest_addoption(parser: pytest.Parser) -> None:
    """Adds `--update-golden`."""
    text = "write the files in tests/golden instead of comparing with them (use with `-m golden`)"
    parser.addoption("--update-golden", action="store_true", help=text)


def _keep_same_lines(committed: list[str], lines: list[str], same: Callable[[str, str], bool]) -> list[str]:
    """Replaces new lines by the committed ones that are equal to them; first words align the two texts."""
    words = [[line.partition(" ")[0] for line in text] for text in (committed, lines)]
    kept = list(lines)
    for block in difflib.SequenceMatcher(None, *words, autojunk=False).get_matching_blocks():
        for number in range(block.size):
            old, new = committed[block.a + number], lines[block.b + number]
            if old != new and same(old, new):
                kept[block.b + number] = old
    return kept


@pytest.fixture
def golden(request: pytest.FixtureRequest) -> Callable[..., None]:
    """Compares a text with a committed file, so that every change of it shows as a diff in review.

    `golden(name, text)` fails if `text` differs from `tests/golden/NAME`. `python -m pytest -m golden
    --update-golden` rewrites the files. `same`, if given, decides whether a committed line and a new one that
    begins with the same word are equal; numbers that differ between processors in their last digits need it.
    """

    def compare(name: str, text: str, same: Callable[[str, str], bool] | None = None) -> None:
        file = GOLDEN / name
        lines = text.splitlines()
        committed = file.read_text().splitlines() if file.exists() else []
        if same is not None:
            lines = _keep_same_lines(committed, lines, same)
        if request.config.getoption("--update-golden"):
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text("".join(f"{line}\n" for line in lines))
            return
        diff = difflib.unified_diff(committed, lines, f"tests/golden/{name}", "now", lineterm="", n=1)
        if difference := "\n".join(diff):
            hint = "if it is intended: python -m pytest -m golden --update-golden"
            pytest.fail(f"{difference}\n{hint}", pytrace=False)

    return compare


@pytest.fixture
def root() -> Path:
    """The repository's folder."""
    return ROOT


@pytest.fixture
def tiny() -> Config:
    """A run of 12 steps on digits that takes a second: a net of 4 dense layers, 8 wide."""
    return _tiny()


@pytest.fixture(scope="session")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder of a finished run of `tiny`, which tests share: copy it before you change it."""
    folder = tmp_path_factory.mktemp("finished") / "run"
    train(_tiny(), folder)
    return folder


def _tiny() -> Config:
    config = ConfigDict()
    config.data = dict(name="digits", holdout=37)
    config.model = dict(name="residual_mlp", depth=4, width=8)
    config.schedule = dict(name="constant", unit="steps", length=12, learning_rate=0.1)
    config.train = dict(batch_size=100, log_every=3, checkpoint_every=4, eval_every=0.36)
    return configs.override(config, ())
