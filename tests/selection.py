"""Parametrized tests of which a sample runs by default."""

from collections.abc import Callable, Collection, Iterable, Sequence
from typing import Any

import pytest


def parametrize_sampled(
    names: str | tuple[str, ...],
    cases: Iterable[Any],
    *,
    default: int | Collection[Any] | Callable[[Any], bool],
    ids: Callable[[Any], str | None] | Sequence[str] | None = None,
) -> pytest.MarkDecorator:
    """Parametrizes a test; all cases but a sample carry the marker `slow`.

    A behaviour that every model shares is shown by default on a few cheap models, and on all of them by
    `python -m pytest -m slow`. If several of these decorate one test, a combination runs by default if each
    of its values does.

    Args:
      names: Arguments of the test, as for `pytest.mark.parametrize`.
      cases: Values of these arguments; a tuple for each case if there are several names.
      default: The cases that run by default: the first n, those listed, or those that a function selects.
      ids: As for `pytest.mark.parametrize`.

    Returns:
      The decorator.
    """
    cases = list(cases)
    if isinstance(default, int):
        chosen = [index < default for index in range(len(cases))]
    elif callable(default):
        chosen = [default(case) for case in cases]
    else:
        chosen = [case in default for case in cases]
        assert sum(chosen) >= len(default), f"{names}: not all of {default} are cases"
    assert any(chosen), f"{names}: no case would run by default"
    params = [
        pytest.param(*(case if isinstance(names, tuple) else (case,)), marks=[] if keep else pytest.mark.slow)
        for case, keep in zip(cases, chosen, strict=True)
    ]
    return pytest.mark.parametrize(names, params, ids=ids)
