"""What every refusal of bad input has in common, for the tests that are named test_bad_*."""

import re
from pathlib import Path

import pytest

from resjax.__main__ import main

# A sound config, to which tests add a line, and a run of it: 12 steps on digits.
CONFIG = """
from ml_collections import ConfigDict

def get_config():
    config = ConfigDict()
    config.data = dict(name="digits", holdout=37)
    config.model = dict(name="residual_mlp", depth=4, width=8)
    config.schedule = dict(name="constant", unit="steps", length=12, learning_rate=0.1)
    config.train = dict(batch_size=100, log_every=3, checkpoint_every=4, eval_every=0.36)
    # more
    return config
"""


def write(folder: Path, line: str = "") -> Path:
    """-> a config file, sound but for `line`."""
    file = folder / "recipe.py"
    file.write_text(CONFIG.replace("# more", line))
    return file


def check(code: object, stderr: str, *said: str) -> None:
    """Exit code 2 and one line that matches the patterns `said`: the key or file, and what would do."""
    assert code == 2, f"{code}: {stderr}"
    assert stderr.startswith("resjax: "), stderr
    assert stderr.count("\n") == 1, stderr
    assert "Traceback" not in stderr, stderr
    for pattern in said:
        assert re.search(pattern, stderr), f"no {pattern!r} in {stderr!r}"


def refuse(capsys: pytest.CaptureFixture[str], *argv: object, said: tuple[str, ...]) -> None:
    """Runs a command that must be refused."""
    capsys.readouterr()
    try:
        code: object = main([str(arg) for arg in argv])
    except SystemExit as left:  # argparse's way
        code = left.code
    check(code, capsys.readouterr().err, *said)


def refuse_to_train(
    capsys: pytest.CaptureFixture[str], config: object, workdir: Path, *flags: str, said: tuple[str, ...]
) -> None:
    """Runs `train`, which must be refused before its folder is made."""
    refuse(capsys, "train", "--config", config, "--workdir", workdir, "--quiet", *flags, said=said)
    assert not workdir.exists()
