"""Strict switches for all tests, and the small things that many of them need."""

import atexit
import os
import shutil
import tempfile

# Before JAX starts: one CPU device, as most users have (tests/eight.py has eight). And little time for LLVM,
# whose programs are small here and run a few times; RESJAX_TEST_OPTIMIZED=1 tests those that users get.
_LEVEL = "" if os.environ.get("RESJAX_TEST_OPTIMIZED") == "1" else " --xla_backend_optimization_level=0"
os.environ["XLA_FLAGS"] = f"--xla_force_host_platform_device_count=1{_LEVEL}"
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

from pathlib import Path

import jax
import pytest
from ml_collections import ConfigDict

from resjax import config as configs
from resjax.config import Config

jax.config.update("jax_numpy_dtype_promotion", "strict")
jax.config.update("jax_numpy_rank_promotion", "raise")

_HOOK.uninstall()  # what it watches for has been imported by now
ROOT = Path(__file__).parent.parent


@pytest.fixture
def root() -> Path:
    """The repository's folder."""
    return ROOT


@pytest.fixture
def tiny() -> Config:
    """A run of 12 steps on digits that takes a second: a net of 4 dense layers, 8 wide."""
    config = ConfigDict()
    config.data = dict(name="digits", holdout=37)
    config.model = dict(name="residual_mlp", depth=4, width=8)
    config.schedule = dict(name="constant", unit="steps", length=12, learning_rate=0.1)
    config.train = dict(batch_size=100, log_every=3, checkpoint_every=4, eval_every=0.36)
    return configs.override(config, ())
