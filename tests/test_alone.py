"""What runs in a process of its own comes back: values, errors, and the news of a crash."""

import os
import resource

import pytest

from resjax import alone
from resjax.errors import RunFailed, UserError


def limits() -> tuple[int, int]:
    return resource.getrlimit(resource.RLIMIT_STACK)


def refuse() -> None:
    raise UserError("config.seed is 'x'; it must be a whole number")


def test_it_has_all_the_stack_that_there_may_be_and_we_have_what_we_had() -> None:
    before = limits()
    assert alone.run("nothing", limits) == (before[1], before[1])
    assert limits() == before


def test_what_it_raises_is_raised() -> None:
    with pytest.raises(UserError, match=r"^config\.seed is 'x'"):
        alone.run("a refusal", refuse)


def test_a_crash_is_told() -> None:
    with pytest.raises(RunFailed, match=r"^the compiler for v6e:2x4 crashed, outside of resjax"):
        alone.run("the compiler for v6e:2x4", os.abort)
