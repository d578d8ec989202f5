"""Programs that a compiler refuses: what libtpu says of those that are too large, and anything else."""

import dataclasses
import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import jax
import pytest
from refusal import write
from test_preflight import LIBTPU, NET

from resjax import forecast, preflight, topology
from resjax.__main__ import main
from resjax.config import Config
from resjax.programs import EvalProgram, TrainProgram
from resjax.topology import Chip

# Of libtpu 0.0.42.1, word for word.
TOO_LARGE = (
    "RESOURCE_EXHAUSTED: Ran out of memory on HBM, the total memory required for HLO temporaries (20.02G)"
    " exceeds available HBM (15.75G)."
)


@dataclasses.dataclass(frozen=True)
class Refused:
    """What a program is lowered to, of which the compiler says `words`."""

    words: str

    def compile(self) -> None:
        raise jax.errors.JaxRuntimeError(self.words)


def refuse(monkeypatch: pytest.MonkeyPatch, words: str) -> None:
    for program in (TrainProgram, EvalProgram):
        monkeypatch.setattr(program, "lower", lambda *_: Refused(words))


def test_a_program_that_is_too_large_does_not_fit(
    tiny: Config, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    refuse(monkeypatch, TOO_LARGE)
    target = dataclasses.replace(topology.find(None), chip=Chip(2**40, 1e12, 1e11))
    found = preflight.plan(tiny, target, None)
    train = found.needs[0]
    assert found.verdict == "does not fit: nothing that was tried does"
    assert train.refused
    assert train.arguments > 0
    assert train.peak == round(20.02 * 2**30) + train.beside  # what libtpu tells has the arguments in it
    assert {(trial.key, trial.fits) for trial in found.trials} == {("remat", False), ("batch_size", False)}
    forecast.show(found, as_json=False)
    printed = capsys.readouterr().out
    assert re.search(r"peak +│ +20,500\.[5-9] MiB │", printed)
    assert re.search(r"limited by +│ +unknown │", printed)


def test_what_else_the_compiler_says_is_told_in_a_sentence(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    refuse(monkeypatch, "INTERNAL: it was too much\nin a place of its own")
    assert main(["plan", "--config", str(write(tmp_path))]) == 1
    said = "\nresjax: the compiler for cpu refused the program train: INTERNAL: it was too much\n"
    assert capsys.readouterr().err.endswith(said)


@pytest.mark.slow
@pytest.mark.skipif(not LIBTPU, reason="libtpu is not installed: pip install 'resjax[tpu]'")
def test_libtpu_says_so_of_a_net_that_is_too_large() -> None:
    """Its parameters and momentum are; what is read here is what libtpu says today."""
    flags = ["--json", *NET, "--topology=v5e:1x1", "--config.model.width=4096", "--config.train.batch_size=1"]
    done = subprocess.run(
        [sys.executable, "-m", "resjax", "plan", *flags], capture_output=True, text=True, check=True
    )
    found: dict[str, Any] = json.loads(done.stdout)
    assert found["verdict"] == "does not fit: nothing that was tried does"
    train = found["needs"][0]
    assert train["refused"]
    assert 1 < train["peak"] / train["arguments"] < 1.5  # one example's temporaries are few
