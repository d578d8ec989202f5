"""What a launch does, step by step: shown as a shell script, or done."""

import dataclasses
import shlex
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path

from resjax.errors import RunFailed, UserError

# How to get the programs that steps run, for those that do not come with every system.
TOOLS = {
    "gcloud": "install the Google Cloud CLI",
    "xpk": "python -m pip install xpk",
    "sky": "python -m pip install 'skypilot[gcp]'",
    "sbatch": "log in to a machine of the SLURM cluster",
    "git": "install git",
}


@dataclasses.dataclass(frozen=True)
class Write:
    """A file, in a folder that is made if need be."""

    path: Path
    text: str

    def __str__(self) -> str:
        path, folder = shlex.quote(str(self.path)), shlex.quote(str(self.path.parent))
        return f"mkdir -p {folder}\ncat > {path} <<'END OF FILE'\n{self.text}END OF FILE"

    def do(self) -> None:
        from resjax.record import write_atomically

        self.path.parent.mkdir(parents=True, exist_ok=True)
        write_atomically(self.path, self.text)


@dataclasses.dataclass(frozen=True)
class Run:
    """A command.

    Attributes:
      unless: another one, which tells by its exit code 0 that there is nothing to do.
    """

    command: Sequence[str]
    unless: Sequence[str] = ()

    def __str__(self) -> str:
        asked = f"{shlex.join(self.unless)} > /dev/null 2>&1 || " if self.unless else ""
        return asked + shlex.join(self.command)

    def do(self) -> None:
        if self.unless and subprocess.run(self.unless, capture_output=True).returncode == 0:
            return
        code = subprocess.run(self.command).returncode
        if code:
            raise RunFailed(f"{shlex.join(self.command[:4])} ... ended with exit code {code}", code)


Step = Write | Run


def show(steps: Sequence[Step]) -> str:
    return "\n".join(["#!/bin/bash", "set -e", *map(str, steps)])


def perform(steps: Sequence[Step]) -> None:
    """Raises UserError where a program is not there, before anything is done; RunFailed as one fails."""
    for name in dict.fromkeys(step.command[0] for step in steps if isinstance(step, Run)):
        if shutil.which(name) is None:
            raise UserError(
                f"{name} is not on this machine; {TOOLS[name]}, or see with --dry-run what would be run"
            )
    for step in steps:
        step.do()
