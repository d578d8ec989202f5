"""The ways in which a run ends early, each with the exit code that a shell or a scheduler sees."""

import difflib
from collections.abc import Iterable
from typing import Any


class ResjaxError(Exception):
    """A reason to stop that one sentence explains; the command line prints it without a traceback."""

    exit_code = 1


class UserError(ResjaxError):
    """Bad input: names the key or file, what was found, and what would do."""

    exit_code = 2


class FolderBusy(UserError):
    """Another process holds the run's folder."""


class Diverged(ResjaxError):
    """The loss became NaN or infinite; `step` is the first step at which it did."""

    exit_code = 3

    def __init__(self, message: str, step: int):
        super().__init__(message)
        self.step = step

    def __reduce__(self) -> tuple[Any, ...]:  # between processes, errors are made again from this
        return type(self), (str(self), self.step)


class Interrupted(ResjaxError):
    """SIGTERM or Ctrl-C: the state is saved, and the same command goes on (75 is EX_TEMPFAIL)."""

    exit_code = 75


class Stopped(KeyboardInterrupt):
    """A signal where no run hears it: on its way to become `Interrupted`, it is not taken for a bad file."""

    exit_code = Interrupted.exit_code


class RunFailed(ResjaxError):
    """A process of ours ended by itself; the message is its own, and so is the exit code."""

    def __init__(self, message: str, exit_code: int):
        super().__init__(message)
        self.exit_code = exit_code

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (str(self), self.exit_code)


class Differs(ResjaxError):
    """A run that was killed and resumed has other bits than one that was not."""


def did_you_mean(name: str, choices: Iterable[str]) -> str:
    """-> "; did you mean 'depth'?" for a near miss, else the list of choices."""
    choices = list(choices)
    close = difflib.get_close_matches(name, choices, n=1)
    if close:
        return f"; did you mean '{close[0]}'?"
    return f"; known: {', '.join(sorted(choices))}" if choices else ""
