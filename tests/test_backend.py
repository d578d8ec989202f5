"""Settings for the CPU: set where they are known to work, left alone where the user or a device says so."""

import os
from importlib import metadata
from pathlib import Path

import pytest

from resjax import backend


@pytest.fixture(autouse=True)
def bare(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """An environment without settings and a machine without an accelerator; put back behind the test."""
    for name in ("XLA_FLAGS", "JAX_PLATFORMS", "JAX_COMPILATION_CACHE_DIR", "RESJAX_CPU_TUNING"):
        monkeypatch.setenv(name, "")
        monkeypatch.delenv(name)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setattr(backend, "ACCELERATORS", ())


def flags(**environment: str) -> str:
    """-> XLA_FLAGS as they are behind `configure` with these variables."""
    os.environ |= environment
    backend.configure()
    return os.environ.get("XLA_FLAGS", "")


def as_jaxlib(version: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(metadata, "version", lambda name: version)


def test_kernels_are_chosen_where_they_are_known_to_work(monkeypatch: pytest.MonkeyPatch) -> None:
    as_jaxlib(backend.YNN_JAXLIB[0], monkeypatch)
    assert flags(XLA_FLAGS="--xla_foo=1") == f"--xla_foo=1 {backend.YNN_FLAG}"
    assert flags() == f"--xla_foo=1 {backend.YNN_FLAG}"  # a second time changes nothing


@pytest.mark.parametrize(
    "environment",
    [
        {"RESJAX_CPU_TUNING": "0"},
        {"JAX_PLATFORMS": "tpu"},
        {"XLA_FLAGS": "--xla_cpu_experimental_ynn_fusion_type=invalid"},
    ],
    ids=str,
)
def test_nothing_is_set_against_the_user_or_for_a_device(environment: dict[str, str]) -> None:
    assert flags(**environment) == environment.get("XLA_FLAGS", "")


def test_nothing_is_set_where_there_is_an_accelerator(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "nvidia0").touch()
    monkeypatch.setattr(backend, "ACCELERATORS", (str(tmp_path / "nvidia0"),))
    assert flags() == ""
    assert flags(JAX_PLATFORMS="cpu") != ""  # the user wants the CPU


@pytest.mark.parametrize("flag", ["--xla_cpu_enable_fast_math=false", "--xla_cpu_no_such_flag=1"])
def test_another_jaxlib_is_asked_once_whether_it_takes_the_flag(
    flag: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, recwarn: pytest.WarningsRecorder
) -> None:
    as_jaxlib("0.99.0", monkeypatch)
    monkeypatch.setattr(backend, "YNN_FLAG", flag)
    known = "no_such" not in flag
    assert flags() == (flag if known else "")
    assert [str(each.message).partition(",")[0] for each in recwarn] == (
        [] if known else [f"jaxlib 0.99.0 does not take {flag}"]
    )
    assert (tmp_path / "resjax" / "ynn-0.99.0").read_text() == ("yes" if known else "no")
    monkeypatch.setattr(backend.subprocess, "run", None)  # not asked again
    assert flags(XLA_FLAGS="") == (flag if known else "")
