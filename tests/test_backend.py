"""Settings for the CPU: set where they are known to work, left alone where the user or a device says so."""

import os
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from resjax import backend
from resjax import config as configs
from resjax import job as jobs
from resjax.config import Config
from resjax.programs import EvalProgram, TrainProgram
from resjax.training import train


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
    with pytest.warns(UserWarning, match=next(iter(options))):
        assert backend.compiler_options() is None
    assert backend.compiler_options() is None  # said once


def test_a_run_on_a_gpu_is_deterministic_where_that_is_asked_for() -> None:
    """This jaxlib, whose compiler for GPUs is another package, knows the option all the same."""
    for platform, expected in (("gpu", backend.DETERMINISTIC), ("tpu", None), ("cpu", backend.YNN)):
        with backend.compiling_for(platform):
            assert backend.compiler_options(deterministic=True) == expected
    with backend.compiling_for("gpu"):
        assert backend.compiler_options() is None


def test_a_jaxlib_that_cannot_be_deterministic_is_told_of(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(backend, "DETERMINISTIC", {"xla_gpu_no_such_option": True})
    with backend.compiling_for("gpu"), pytest.warns(UserWarning, match="xla_gpu_no_such_option"):
        assert backend.compiler_options(deterministic=True) is None


def test_a_result_tells_what_its_programs_were_compiled_with(tiny: Config, tmp_path: Path) -> None:
    config = configs.override(tiny.to_dict(), ["--config.train.deterministic=True"])
    with backend.compiling_for("gpu"):
        assert train(config, tmp_path / "run")["compiler_options"] == backend.DETERMINISTIC


def test_the_option_reaches_the_compiler_of_a_run_s_programs(
    tiny: Config, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It refuses one that it does not know; that this one is accepted is the test above."""
    job = jobs.build(configs.override(tiny.to_dict(), ["--config.train.deterministic=True"]))
    stage, key = job.last, jax.random.key(0)
    rest = (np.zeros((1, 100), np.int32), 1, job.device_data(job.dataset.train), key)
    given = (stage.init_state(key), *rest, stage.loss_weights(0, 1))
    with backend.compiling_for("gpu"):
        assert TrainProgram(1, stage.task).lower(*given).compile() is not None
        monkeypatch.setattr(backend, "_accepts", lambda *_: True)
        monkeypatch.setattr(backend, "DETERMINISTIC", {"xla_gpu_no_such_option": True})
        with pytest.raises(jax.errors.JaxRuntimeError, match="xla_gpu_no_such_option"):
            TrainProgram(1, stage.task).lower(*given).compile()


def test_the_programs_of_a_run_have_them_and_others_do_not(
    tiny: Config, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Those kernels refuse the layout of a QR decomposition, which a user's initial values may need."""
    task, given, real = jobs.build(tiny).last.task, [], jax.jit

    def watch(function: object, **settings: object) -> object:
        given.append(settings.get("compiler_options"))
        return real(lambda: None)

    monkeypatch.setattr(jax, "jit", watch)
    TrainProgram(1, task)
    EvalProgram(task)
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
