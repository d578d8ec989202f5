"""Phases that cannot be: one sentence that names the key."""

from typing import Any

import pytest
from recipe import decoder, head, phase, with_phases

from resjax import job as jobs
from resjax.config import Config
from resjax.errors import UserError

FIRST = phase("first", head("block1"), until="block1")


@pytest.mark.parametrize(
    ("phases", "message"),
    [
        ([FIRST, FIRST], r"config.phases\[1\].name is 'first', which another phase has"),
        ([FIRST | {"name": "main"}], r"config.phases\[0\].name is 'main', which another phase has"),
        ([FIRST | {"name": "a b"}], r"config.phases\[0\].name is 'a b'; it must be of letters"),
        ([FIRST | {"until": "blok1"}], r"config.phases\[0\].until is 'blok1'.*did you mean 'block1'"),
        ([FIRST | {"after": "block7"}], r"config.phases\[0\].after is 'block7', which this model does not"),
        ([FIRST | {"after": "block1"}], r"config.phases\[0\].until is 'block1'; it must come behind after"),
        ([phase("none", until="block1")], r"config.phases\[0\].until is 'block1', but no head there teaches"),
        (
            [phase("probe", head("block1", stop_gradient=True), until="block1")],
            r"config.phases\[0\].until is 'block1', but no head there teaches",
        ),
        (
            [phase("gone", head("block1", discard_at=3), until="block1")],
            r"config.phases\[0\].until is 'block1', but no head there teaches",
        ),
        ([FIRST | {"freeze": ("block9",)}], r"config.phases\[0\].freeze names 'block9'.*did you mean 'block"),
        ([FIRST | {"noise": 1.0}], r"config.phases\[0\].noise is 1.0; it must be from 0 to below 1"),
        ([FIRST | {"nose": 0.1}], r"config.phases\[0\].nose is not a known key.*did you mean 'noise'"),
        ([FIRST | {"schedule": {}}], r"config.phases\[0\].schedule.length is missing"),
        (
            [FIRST | {"model": {"norm_examples": 30}}],
            r"config.phases\[0\].model.norm_examples is 30; .*, 100$",
        ),
        ([FIRST | {"model": {"deep": 3}}], r"config.phases\[0\].model.deep is not a known key"),
        ([FIRST | {"model": {"name": "dsn"}}], r"config.phases\[0\].model is .*settings of 'residual_mlp'"),
        (
            [phase("out", head("block2"), head("block1", name="b"), until="block1")],
            r"config.phases\[0\].heads\[0\].endpoint is 'block2', which this phase does not have",
        ),
        (
            [phase("hinge", decoder("block1") | {"loss": "squared_hinge"}, until="block1")],
            r"config.phases\[0\].heads\[0\].loss is 'squared_hinge', but target is 'input'",
        ),
        (
            [phase("wrong", head("block1", loss="squared_error"), until="block1")],
            r"config.phases\[0\].heads\[0\].loss is 'squared_error', but target is 'labels'",
        ),
        (
            [phase("plane", decoder("block1", "conv_decoder"), until="block1")],
            r"config.phases\[0\].heads\[0\].form is 'conv_decoder', which maps an image plane",
        ),
        (
            [phase("vector", decoder("block1", "pooled_linear"), until="block1")],
            r"config.phases\[0\].heads\[0\].form is 'pooled_linear', which gives a vector",
        ),
        (
            [phase("late", head("block1", discard_at=6), head("block1", name="b"), until="block1")],
            r"config.phases\[0\].heads\[0\].discard_at is 6; it must be below 6",
        ),
        (["first"], r"config.phases\[0\] is 'first'; it must be a dictionary"),
    ],
)
def test_a_phase_that_cannot_be_is_told_by_key(tiny: Config, phases: list[Any], message: str) -> None:
    with pytest.raises(UserError, match=message):
        jobs.build(with_phases(tiny, *phases, model__depth=6))


def test_a_mistake_in_the_model_is_not_the_phases(tiny: Config) -> None:
    with pytest.raises(UserError, match=r"config.model.depth is 5; it must be even"):
        jobs.build(with_phases(tiny, FIRST, model__depth=5))


def test_a_parameter_that_nothing_trains_is_told_by_name(tiny: Config) -> None:
    with pytest.raises(
        UserError, match=r"config.train.after is 'block1', so that stem_dense, stem_norm, block1 "
    ):
        jobs.build(with_phases(tiny, train__after="block1"))


@pytest.mark.parametrize("freeze", ["('stem_dense','stem_norm','block1')", "()"])
def test_it_is_fine_where_it_is_said_or_trained_before(tiny: Config, freeze: str) -> None:
    phases = [] if freeze != "()" else [FIRST]
    job = jobs.build(with_phases(tiny, *phases, train__after="block1", train__freeze=freeze))
    assert job.last.task.trained == {"classifier"}
