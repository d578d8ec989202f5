"""What each kind of pretraining learns, on tiny nets."""

from pathlib import Path

import pytest
from recipe import CONVOLUTIONAL, decoder, head, phase, with_phases

from resjax import config as configs
from resjax import job as jobs
from resjax.config import Config
from resjax.training import train


@pytest.mark.slow
@pytest.mark.parametrize("model", ["fully connected", "convolutional"])
def test_a_denoising_phase_learns_to_give_its_input_back(tiny: Config, tmp_path: Path, model: str) -> None:
    blocks, form, rate = ("block1", "block2"), "flattened_linear", 0.1
    base = configs.override(tiny, ["--config.model.depth=6", "--config.model.width=32"])
    if model == "convolutional":
        blocks, form, rate = ("stage1_block1", "stage2_block1"), "conv_decoder", 0.01
        base = configs.override({**tiny.to_dict(), "model": CONVOLUTIONAL}, [])
    first, second = blocks
    config = with_phases(
        base,
        phase("first", decoder(first, form), until=first, noise=0.1, steps=60, rate=rate),
        phase("second", decoder(second, form), after=first, until=second, noise=0.1, steps=60, rate=rate),
        schedule__length=2,
    )
    curve = train(config, tmp_path)["curve"]
    for block in blocks:
        losses = [row[key] for row in curve if (key := f"train/at_{block}/loss") in row]
        assert losses[-1] < 0.6 * losses[0]
        assert not any(f"test/at_{block}/accuracy" in row for row in curve)  # it classifies nothing


@pytest.mark.parametrize("k", [1, 2, 3])
def test_a_greedy_problem_of_k_layers_teaches_its_block_alone(tiny: Config, k: int) -> None:
    base = configs.override({**tiny.to_dict(), "model": CONVOLUTIONAL}, [])
    problem = head("stage2_block1", form="conv_hidden", k=k, features=8)
    config = with_phases(
        base,
        phase("greedy", problem, after="stage1_block1", until="stage2_block1"),
        train__after="stage2_block1",
        train__freeze="('stem_conv','stem_norm','stage1_block1')",
    )
    stage = jobs.build(config).stages[0]
    assert stage.task.trained == {"stage2_block1"}
    layers = stage.state_like(0).params["head_at_stage2_block1"]
    assert sorted(layers) == sorted(
        ["classifier", *(f"{kind}{n}" for n in range(1, k) for kind in ("conv", "norm"))]
    )
    assert layers["classifier"]["kernel"].shape == ((8 if k > 1 else 16) * 4, 10)  # averages over 2 x 2
