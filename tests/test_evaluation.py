"""Evaluation of images and their mirror images."""

import json
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from recipe import greedy
from selection import parametrize_sampled

from resjax import config as configs
from resjax import job as jobs
from resjax.config import Config
from resjax.evaluation import evaluate, measure
from resjax.programs import EvalProgram
from resjax.training import train

MIRRORED = "--config.train.eval_mirrored=True"
HEAD = dict(name="early", endpoint="block1")


def with_head(config: Config, *flags: str) -> Config:
    return configs.override({**config.to_dict(), "heads": (HEAD,)}, flags)


@parametrize_sampled("normalize", ["channel_mean_std", "pixel_mean"], default=["pixel_mean"])
def test_logits_are_the_means_of_both(tiny: Config, normalize: str) -> None:
    """The mirror image is that of the net's input, as in training: a mean image is not mirrored."""
    job = jobs.build(with_head(tiny, MIRRORED, f"--config.input.normalize={normalize}"))
    data, stage = job.device_data(job.dataset.test), job.last
    variables = stage.init_state(jax.random.key(0)).variables
    inputs = job.pipeline.evaluate(data.images)
    both: Any = [
        stage.net.apply(variables, x, train=False) for x in (inputs, jnp.asarray(inputs)[:, :, ::-1])
    ]
    found = measure(EvalProgram(stage.task), variables, data, stage.task, 500)
    for name, prefix in (("main", ""), ("early", "early/")):
        logits = (both[0][name] + both[1][name]) / 2
        losses = optax.softmax_cross_entropy_with_integer_labels(logits, data.labels)
        assert found[f"{prefix}loss"] == pytest.approx(float(losses.mean()), rel=1e-4)
        right = np.asarray(logits).argmax(-1) == np.asarray(data.labels)
        assert found[f"{prefix}accuracy"] == pytest.approx(right.mean(), abs=2 / len(right))


@pytest.mark.slow
def test_training_is_the_same_and_a_finished_run_can_be_evaluated_so(tiny: Config, tmp_path: Path) -> None:
    plain, mirrored = (
        train(with_head(tiny, *flags), tmp_path / str(len(flags))) for flags in ((), (MIRRORED,))
    )
    assert plain["state_sha256"] == mirrored["state_sha256"]
    assert plain["metrics"]["test/loss"] != mirrored["metrics"]["test/loss"]
    report = evaluate(tmp_path / "0", config=with_head(tiny, MIRRORED))
    assert report["loss"] == pytest.approx(mirrored["metrics"]["test/loss"])
    assert json.loads((tmp_path / "0" / f"eval-test-{plain['steps']}.json").read_text()) == report


def test_no_features_are_kept_then(tiny: Config) -> None:
    kept, varied = (jobs.build(configs.override(greedy(tiny), flags)) for flags in ((), (MIRRORED,)))
    assert [stage.keeps_features for stage in kept.stages[:2]] == [False, True]
    assert not any(stage.keeps_features for stage in varied.stages)
