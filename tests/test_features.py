"""Features of frozen parts that are computed once, and what training costs with them."""

from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from recipe import decoder, greedy, head, killed_and_resumed, phase, with_phases

from resjax import config as configs
from resjax import device
from resjax import job as jobs
from resjax.config import Config
from resjax.training import train

STEM, BLOCK, CLASSIFIER = 64 * 8, 2 * 8 * 8, 8 * 10  # multiply-adds in a net of 8 units on digits


def three(config: Config, *flags: str) -> Config:
    """Greedy training of three blocks, two of them on kept features."""
    spans = [("", "block1"), ("block1", "block2"), ("block2", "block3")]
    phases = [phase(f"train_{b}", head(b), after=a, until=b, steps=4) for a, b in spans]
    return with_phases(configs.override(config, ["--config.model.depth=8", *flags]), *phases)


@pytest.mark.slow
def test_kept_features_train_as_those_computed_at_every_step_do(
    tiny: Config, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept = train(three(tiny), tmp_path / "kept")
    monkeypatch.setattr(device, "LIMIT", 0)
    assert not any(stage.keeps_features for stage in jobs.build(three(tiny)).stages)
    computed = train(three(tiny), tmp_path / "computed")
    for row, other in zip(kept["curve"], computed["curve"], strict=True):
        assert row.pop("phase", "") == other.pop("phase", "")
        assert row == pytest.approx(other, rel=1e-3, abs=1e-3)


@pytest.mark.slow
@pytest.mark.parametrize("stop", [6, 10])
def test_a_run_killed_on_kept_features_resumes_to_the_same_bits(
    tiny: Config, tmp_path: Path, stop: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = three(tiny, "--config.train.checkpoint_every=2", "--config.schedule.length=2")
    whole = train(config, tmp_path / "whole")
    resumed = killed_and_resumed(config, tmp_path / "cut", stop, monkeypatch)
    assert resumed["state_sha256"] == whole["state_sha256"]
    assert resumed["curve"] == whole["curve"]


def test_features_go_on_from_phase_to_phase_and_are_those_of_the_trunk(tiny: Config) -> None:
    job = jobs.build(three(tiny))
    splits = {"train": job.device_data(job.dataset.train)}
    variables = job.stages[0].init_state(jax.random.key(0)).variables
    cache, (second, third) = device.FeatureCache(splits), job.stages[1:3]
    cache.of(second.net, variables, second.shapes, keep=True)
    # The third phase continues from the second one's features: what it would compute from images is NaN here.
    broken = jax.tree.map(lambda leaf: leaf, variables)
    broken["params"]["trunk"]["stem_dense"]["kernel"] *= jnp.nan
    found = cache.of(third.net, broken, third.shapes, keep=True)["train"]
    index = jnp.arange(len(job.dataset.train))
    whole, _ = splits["train"].read(job.stages[2].net, variables, index)
    np.testing.assert_allclose(
        found.read(job.stages[2].net, variables, index)[0], whole, rtol=1e-5, atol=1e-6
    )


@pytest.mark.parametrize(
    ("flag", "kept"),
    [("--config.seed=0", True), ("--config.input.pad=1", False), ("--config.input.flip=True", False)],
)
def test_features_are_kept_where_an_image_always_gives_the_same(tiny: Config, flag: str, kept: bool) -> None:
    stages = jobs.build(three(tiny, flag)).stages
    assert [stage.keeps_features for stage in stages] == [False, kept, kept, False]


def test_what_learns_counts_three_times_a_step_and_kept_features_once(tiny: Config) -> None:
    dropped, stays = head("block2", discard_at=2), head("block2", name="stays")
    phases = [
        phase("first", head("block1"), until="block1", steps=5),
        phase("second", dropped, stays, after="block1", until="block2", steps=7),
        phase("third", head("block3"), after="block2", until="block3", steps=3),
    ]
    config = with_phases(tiny, *phases, model__depth=8)
    job = jobs.build(config)
    first, second, third, last = (stage.multiply_adds for stage in job.stages)
    examples = len(job.dataset.train)
    assert first == 5 * 100 * 3 * (STEM + BLOCK + CLASSIFIER)
    assert second == 100 * 3 * (7 * (BLOCK + CLASSIFIER) + 2 * CLASSIFIER) + examples * (STEM + BLOCK)
    assert third == 3 * 100 * 3 * (BLOCK + CLASSIFIER) + examples * BLOCK  # from the features there are
    assert last == 12 * 100 * 3 * (STEM + 3 * BLOCK + CLASSIFIER)


def test_without_kept_features_what_is_frozen_counts_at_every_step(tiny: Config) -> None:
    config = configs.override(greedy(tiny), ["--config.input.pad=1"])
    _, second, _ = (stage.multiply_adds for stage in jobs.build(config).stages)
    assert second == 6 * 100 * (STEM + BLOCK + 3 * (BLOCK + CLASSIFIER))


def test_a_decoder_s_cost_is_that_of_its_map(tiny: Config) -> None:
    config = with_phases(tiny, phase("first", decoder("block1"), until="block1", steps=5))
    first, _ = (stage.multiply_adds for stage in jobs.build(config).stages)
    assert first == 5 * 100 * 3 * (STEM + BLOCK + 8 * 64)
