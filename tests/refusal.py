"""Helpers for tests of bad input: run a command that must be refused, and collect the messages."""

import os
import re
import sys
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from resjax.__main__ import main

ROOT = Path(__file__).parent.parent
# A valid config, to which tests add a line. Its run takes 12 steps on digits.
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
    """Writes a config file that is valid except for `line`, and returns its path."""
    file = folder / "recipe.py"
    file.write_text(CONFIG.replace("# more", line))
    return file


def check(code: object, stderr: str, *names: str) -> str:
    """Asserts exit code 2 and a one-line message that contains `names`: the keys or files at fault.

    The wording is compared in the golden files only.

    Returns:
      The message.
    """
    assert code == 2, f"{code}: {stderr}"
    assert stderr.startswith("resjax: "), stderr
    assert stderr.count("\n") == 1, stderr
    assert "Traceback" not in stderr, stderr
    for name in names:
        assert name in stderr, f"no {name!r} in {stderr!r}"
    return stderr


def refuse(capsys: pytest.CaptureFixture[str], *argv: object, names: str) -> str:
    """Runs a command that must be refused with a message that contains `names`, and returns the message."""
    capsys.readouterr()
    with pytest.MonkeyPatch.context() as patch:
        # A test may write a config file twice within a second: Python would take the second for the first.
        patch.setattr(sys, "dont_write_bytecode", True)
        try:
            code: object = main([str(arg) for arg in argv])
        except SystemExit as error:  # raised by argparse
            code = error.code
    return check(code, capsys.readouterr().err, names)


def refuse_to_train(
    capsys: pytest.CaptureFixture[str], config: object, workdir: Path, *flags: str, names: str
) -> str:
    """Runs `train`, which must be refused before its folder is made, and returns the message."""
    command = ("train", "--config", config, "--workdir", workdir, "--quiet", *flags)
    message = refuse(capsys, *command, names=names)
    assert not workdir.exists()
    return message


def refused(error: type[Exception], call: Callable[[], object], names: str) -> str:
    """Calls a function that must raise `error` with a message that contains `names`; returns the message."""
    with pytest.raises(error) as caught:
        call()
    message = str(caught.value)
    assert names in message, f"no {names!r} in {message!r}"
    assert "\n" not in message, message
    return message


def transcript(messages: Mapping[str, str], **places: Path) -> str:
    """Returns the text of a golden file: for each case `$ INPUT`, its message and a blank line.

    Args:
      messages: The messages by input.
      **places: Names to replace paths with, such as `FOLDER=tmp_path`; the first ones first.
    """
    text = "\n\n".join(f"$ {case}".rstrip() + f"\n{message.strip()}" for case, message in messages.items())
    for name, path in places.items():
        if (relative := os.path.relpath(path, ROOT)).startswith(".."):  # as some messages write it
            text = text.replace(relative, name)
        text = text.replace(str(path), name)
    # Other exceptions than ours and argparse's choices are worded differently by each version of Python.
    text = re.sub(r"\b(?!ValueError)([A-Z]\w*Error): .*", r"\1: ...", text)
    text = re.sub(r"damaged \((Expecting|Illegal|'utf-8') .*?\);", "damaged (...);", text)
    return re.sub(r"\(choose from .*?\)", "(choose from ...)", text)
