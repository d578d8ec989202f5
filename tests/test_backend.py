"""Settings for the CPU: set where they are known to work, left alone where the user or a device says so."""

import os
from pathlib import Path

import jax
import jax.numpy as jnp
import pytest

from resjax import backend
from resjax.programs import EvalProgram, TrainProgram


@pytest.fixture(autouse=True)
def bare(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """An environment without settings and a machine without an accelerator; put back behind the test."""
    for name in ("XLA_FLAGS", "JAX_PLATFORMS", "JAX_COMPILATION_CACHE_DIR", "RESJAX_CPU_TUNING"):
        monkeypatch.setenv(name, "")
        monkeypatch.delenv(name)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setattr(backend, "ACCELERATORS", ())


def test_kernels_are_chosen_where_nobody_says_otherwise() -> None:
    assert backend.compiler_options() == backend.YNN


@pytest.mark.parametrize(
    "environment",
    [{"RESJAX_CPU_TUNING": "0"}, {"XLA_FLAGS": "--xla_cpu_experimental_ynn_fusion_type=invalid"}],
    ids=str,
)
def test_nothing_is_chosen_against_the_user(environment: dict[str, str]) -> None:
    os.environ |= environment
    assert backend.compiler_options() is None


def test_nothing_is_chosen_for_a_device(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(jax, "default_backend", lambda: "gpu")
    assert backend.compiler_options() is None


@pytest.mark.parametrize("options", [{"xla_no_such_option": "1"}, {**backend.YNN, "x": "y"}], ids=str)
def test_a_jaxlib_that_does_not_know_them_is_told_of_and_goes_without(
    options: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(backend, "YNN", options)
    with pytest.warns(UserWarning, match=rf"jaxlib [\d.]+ does not take {next(iter(options))} \("):
        assert backend.compiler_options() is None
    assert backend.compiler_options() is None  # said once


def test_the_programs_of_a_run_have_them_and_others_do_not(monkeypatch: pytest.MonkeyPatch) -> None:
    """Those kernels refuse the layout of a QR decomposition, which a user's initial values may need."""
    given = []
    real = jax.jit

    def watch(function: object, **settings: object) -> object:
        given.append(settings.get("compiler_options"))
        return real(lambda: None)

    monkeypatch.setattr(jax, "jit", watch)
    TrainProgram(1, None)  # pyright: ignore[reportArgumentType]
    EvalProgram(None)  # pyright: ignore[reportArgumentType]
    assert given == [backend.YNN, backend.YNN]
    monkeypatch.undo()
    q = jax.nn.initializers.orthogonal()(jax.random.key(0, impl="rbg"), (64, 64))
    assert float(jnp.abs(q.T @ q - jnp.eye(64)).max()) < 1e-5


def test_the_environment_is_left_alone_but_for_the_cache() -> None:
    before = dict(os.environ)
    backend.configure()
    changed = {name for name in os.environ if os.environ[name] != before.get(name)}
    assert "XLA_FLAGS" not in changed
    assert "JAX_COMPILATION_CACHE_DIR" in changed
