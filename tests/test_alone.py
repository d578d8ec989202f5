"""What runs in a process of its own comes back: values, errors, and the news of a crash."""

import os
import pickle
import resource

import pytest

from resjax import alone, errors
from resjax.errors import Diverged, ResjaxError, RunFailed, UserError

KINDS = [kind for kind in vars(errors).values() if isinstance(kind, type) and issubclass(kind, ResjaxError)]
BESIDE = {Diverged: 7, RunFailed: 9}  # what the message is not alone with


def limits() -> tuple[int, int]:
    return resource.getrlimit(resource.RLIMIT_STACK)


def refuse() -> None:
    raise UserError("config.seed is 'x'; it must be a whole number")


def test_it_has_all_the_stack_that_there_may_be_and_we_have_what_we_had() -> None:
    before = limits()
    assert alone.run("nothing", limits) == (before[1], before[1])
    assert limits() == before


def test_what_it_raises_is_raised() -> None:
    with pytest.raises(UserError, match=r"config\.seed"):
        alone.run("a refusal", refuse)


@pytest.mark.parametrize("kind", KINDS)
def test_every_error_can_come_from_another_process(kind: type[ResjaxError]) -> None:
    error = kind("it ended", *([BESIDE[kind]] if kind in BESIDE else []))
    again = pickle.loads(pickle.dumps(error))
    assert (type(again), str(again), vars(again)) == (kind, "it ended", vars(error))
    assert again.exit_code == error.exit_code


def test_a_crash_is_told() -> None:
    with pytest.raises(RunFailed, match="v6e:2x4"):
        alone.run("the compiler for v6e:2x4", os.abort)
