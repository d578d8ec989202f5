"""Bad phases: each is refused with an error that names the key."""

from collections.abc import Callable
from typing import Any

import pytest
from recipe import decoder, head, phase, with_phases
from refusal import refused, transcript

from resjax import job as jobs
from resjax.config import Config
from resjax.errors import UserError

FIRST = phase("first", head("block1"), until="block1")


BAD: dict[str, tuple[list[Any], str]] = {
    "two phases named 'first'": ([FIRST, FIRST], "[1].name"),
    "name='main'": ([FIRST | {"name": "main"}], "[0].name"),
    "name='a b'": ([FIRST | {"name": "a b"}], "[0].name"),
    "until='blok1'": ([FIRST | {"until": "blok1"}], "[0].until"),
    "after='block7'": ([FIRST | {"after": "block7"}], "[0].after"),
    "after='block1', until='block1'": ([FIRST | {"after": "block1"}], "[0].until"),
    "no head": ([phase("none", until="block1")], "[0].until"),
    "a head with stop_gradient": (
        [phase("a", head("block1", stop_gradient=True), until="block1")],
        "[0].until",
    ),
    "a head with discard_at": ([phase("a", head("block1", discard_at=3), until="block1")], "[0].until"),
    "freeze=('block9',)": ([FIRST | {"freeze": ("block9",)}], "[0].freeze"),
    "noise=1.0": ([FIRST | {"noise": 1.0}], "[0].noise"),
    "nose=0.1": ([FIRST | {"nose": 0.1}], "[0].nose"),
    "schedule={}": ([FIRST | {"schedule": {}}], "[0].schedule.length"),
    "model={'norm_examples': 30}": ([FIRST | {"model": {"norm_examples": 30}}], "[0].model.norm_examples"),
    "model={'deep': 3}": ([FIRST | {"model": {"deep": 3}}], "[0].model.deep"),
    "model={'name': 'dsn'}": ([FIRST | {"model": {"name": "dsn"}}], "[0].model"),
    "a head after until": (
        [phase("a", head("block2"), head("block1", name="b"), until="block1")],
        "[0].heads[0].endpoint",
    ),
    "a decoder with loss='squared_hinge'": (
        [phase("a", decoder("block1") | {"loss": "squared_hinge"}, until="block1")],
        "[0].heads[0].loss",
    ),
    "a head with loss='squared_error'": (
        [phase("a", head("block1", loss="squared_error"), until="block1")],
        "[0].heads[0].loss",
    ),
    "form='conv_decoder' of a vector": (
        [phase("a", decoder("block1", "conv_decoder"), until="block1")],
        "[0].heads[0].form",
    ),
    "form='pooled_linear' of an image": (
        [phase("a", decoder("block1", "pooled_linear"), until="block1")],
        "[0].heads[0].form",
    ),
    "discard_at=6 in a phase of 6 steps": (
        [phase("a", head("block1", discard_at=6), head("block1", name="b"), until="block1")],
        "[0].heads[0].discard_at",
    ),
    "a string": (["first"], "[0]"),
}


@pytest.mark.golden
def test_bad_phases_are_refused_by_key(tiny: Config, golden: Callable[[str, str], None]) -> None:
    messages = {
        case: refused(
            UserError,
            lambda phases=phases: jobs.build(with_phases(tiny, *phases, model__depth=6)),
            names=f"config.phases{key}",
        )
        for case, (phases, key) in BAD.items()
    }
    golden("messages/phases.txt", transcript(messages))


def test_a_mistake_in_the_model_is_not_the_phases(tiny: Config) -> None:
    with pytest.raises(UserError, match=r"^config\.model\.depth"):
        jobs.build(with_phases(tiny, FIRST, model__depth=5))


def test_a_parameter_that_nothing_trains_is_told_by_name(tiny: Config) -> None:
    with pytest.raises(UserError, match=r"config\.train\.after .* stem_dense, stem_norm, block1 "):
        jobs.build(with_phases(tiny, train__after="block1"))


@pytest.mark.parametrize("freeze", ["('stem_dense','stem_norm','block1')", "()"])
def test_it_is_fine_where_it_is_said_or_trained_before(tiny: Config, freeze: str) -> None:
    phases = [] if freeze != "()" else [FIRST]
    job = jobs.build(with_phases(tiny, *phases, train__after="block1", train__freeze=freeze))
    assert job.last.task.trained == {"classifier"}
