"""What goes to the machines elsewhere: whether the files that a command names are found there by these names.

Where git is not installed, what git would tell is not looked at; a target that needs git says so itself.
"""

import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path

from resjax.errors import UserError


def check_in_folder(files: Sequence[Path]) -> None:
    """For targets that send this folder; raises UserError for a file that is outside, or has another name."""
    for file in files:
        if file.is_absolute() or not file.resolve().is_relative_to(Path.cwd()):
            raise UserError(
                f"{file} would not be found there, where this folder goes; name a file in it by its path from"
                " here, such as configs/digits.py"
            )


def check_not_ignored(files: Sequence[Path]) -> None:
    """For those that leave out what git ignores, but for what was added to it all the same."""
    check_in_folder(files)
    for file in files:
        if shutil.which("git") and _git("check-ignore", "--quiet", str(file)):
            raise UserError(
                f"{file} is ignored by git, and such files do not go there; git add --force {file} has it go"
            )


def check_in_commit(files: Sequence[Path]) -> None:
    """For those that send the last commit."""
    check_in_folder(files)
    for file in files:
        if shutil.which("git") and not (
            _git("cat-file", "-e", f"HEAD:{file}") and _git("diff", "--quiet", "HEAD", "--", str(file))
        ):
            raise UserError(
                f"{file} as it is now is not in the last commit, which is what goes there; commit it"
            )


def _git(*words: str) -> bool:
    return subprocess.run(["git", *words], capture_output=True).returncode == 0
