"""Starting from other nets' parameters: a checkpoint, a shallower net before it, a teacher's hints."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from recipe import head, killed_and_resumed, phase, with_phases
from refusal import refused, transcript

from resjax import config as configs
from resjax import job as jobs
from resjax.checkpoint import Checkpoints
from resjax.config import Config
from resjax.errors import UserError
from resjax.evaluation import evaluate
from resjax.training import train
from resjax.transfer import transfer, whole_modules


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished run of a net with two blocks."""
    folder = tmp_path_factory.mktemp("source")
    base: dict[str, Any] = {
        "data": {"name": "digits", "holdout": 37},
        "model": {"name": "residual_mlp", "depth": 6, "width": 8},
        "schedule": {"name": "constant", "unit": "steps", "length": 12, "learning_rate": 0.1},
        "train": {"batch_size": 100, "eval_every": 0.36, "ema_decay": 0.5},
    }
    train(configs.override(base, []), folder)
    return folder


def started(config: Config, source: Path, *flags: str) -> Config:
    return configs.override(config, [f"--config.start.run={source}", *flags])


def restored(folder: Path) -> dict[str, Any]:
    with Checkpoints(folder, read_only=True) as checkpoints:
        return checkpoints.variables(checkpoints.choose("last"))


def test_transfer_takes_what_has_the_same_name_and_shape_and_tells_the_rest() -> None:
    def tree(**shapes: tuple[int, ...]) -> dict[str, Any]:
        kernels = {
            name: {"kernel": jnp.full(shape, len(shape), jnp.float32)} for name, shape in shapes.items()
        }
        return {"params": {"trunk": kernels}}

    source, target = tree(a=(2, 2), b=(3,), gone=(1,)), tree(a=(2, 2), b=(4,), new=(5,))
    blank = jax.tree.map(jnp.zeros_like, target)
    found, report = transfer(source, blank)
    assert report.copied == ["params/trunk/a/kernel"]
    assert report.new == ["params/trunk/b/kernel", "params/trunk/new/kernel"]
    assert report.left == ["params/trunk/b/kernel", "params/trunk/gone/kernel"]
    assert str(report) == "copied 1 arrays (a); new 2 arrays (b, new); left 2 arrays (b, gone)"
    assert whole_modules(report) == {"a"}
    assert float(found["params"]["trunk"]["a"]["kernel"].sum()) == 8
    assert float(found["params"]["trunk"]["b"]["kernel"].sum()) == 0


def test_a_deeper_net_starts_with_the_shared_layers_of_a_run(
    tiny: Config, source: Path, tmp_path: Path
) -> None:
    deeper = started(tiny, source, "--config.model.depth=8", "--config.schedule.learning_rate=1e-30")
    result = train(deeper, tmp_path)
    before, after = restored(source), restored(tmp_path)
    for name in ("stem_dense", "block1", "block2", "classifier"):  # at such a rate nothing moves
        jax.tree.map(
            np.testing.assert_array_equal, before["params"]["trunk"][name], after["params"]["trunk"][name]
        )
    (report,) = result["transfers"]
    assert report["from"] == f"{source}, step 12"
    assert {name.split("/")[2] for name in report["new"]} == {"block3"}
    assert report["left"] == []


@pytest.mark.slow
def test_a_start_with_all_parameters_begins_where_the_run_ended(
    tiny: Config, source: Path, tmp_path: Path
) -> None:
    same = started(tiny, source, "--config.model.depth=6", "--config.schedule.learning_rate=1e-30")
    frozen = configs.override(same, ["--config.train.after=block2", "--config.schedule.length=1"])
    result = train(frozen, tmp_path)
    assert result["metrics"]["test/accuracy"] == evaluate(source)["accuracy"]
    assert result["transfers"][0]["new"] == []


@pytest.mark.slow
def test_a_grown_net_begins_with_the_shallow_phase_s_layers(tiny: Config, tmp_path: Path) -> None:
    config = with_phases(
        tiny, phase("shallow", model={"depth": 4}, steps=8), model__depth=8, schedule__learning_rate=1e-30
    )
    result = train(config, tmp_path)
    (report,) = result["transfers"]
    assert report["from"] == "phase shallow"
    assert {name.split("/")[2] for name in report["new"]} == {"block2", "block3"}
    assert {name.split("/")[2] for name in report["copied"]} == {
        "stem_dense",
        "stem_norm",
        "block1",
        "classifier",
    }


def student(config: Config, teacher: Path, *flags: str, steps: int = 40, **hint: Any) -> Config:
    settings = {"form": "flattened_linear", "target": "teacher", "loss": "squared_error", **hint}
    settings.setdefault("teacher_endpoint", "block2")
    config = configs.override(config, [f"--config.teacher.run={teacher}", "--config.model.width=16", *flags])
    return with_phases(config, phase("hint", head("block1", **settings), until="block1", steps=steps))


@pytest.mark.slow
def test_a_student_learns_its_teacher_s_layer_and_then_its_logits(
    tiny: Config, source: Path, tmp_path: Path
) -> None:
    hinted = student(tiny, source).to_dict()
    soft = head("main", form="identity", target="teacher", loss="distillation", weight=10.0)
    config = configs.override(
        {**hinted, "heads": (soft,)}, ["--config.schedule.length=60", "--config.schedule.learning_rate=0.02"]
    )
    job = jobs.build(config)
    assert job.stages[0].task.trained == {"stem_dense", "stem_norm", "block1"}
    result = train(config, tmp_path)
    hints = [row["train/at_block1/loss"] for row in result["curve"] if "train/at_block1/loss" in row]
    softs = [row["train/at_main/loss"] for row in result["curve"] if "train/at_main/loss" in row]
    assert hints[-1] < 0.5 * hints[0]
    assert softs[-1] < softs[0]
    assert "test/at_main/accuracy" not in result["metrics"]
    assert result["metrics"]["test/accuracy"] > 0.3


def test_the_teacher_s_activations_are_those_of_its_checkpoint(tiny: Config, source: Path) -> None:
    job = jobs.build(student(tiny, source))
    assert job.teacher is not None
    x = jnp.ones((3, *job.dataset.image_shape))
    variables = {name: tree["trunk"] for name, tree in restored(source).items()}
    expected: Any = job.teacher.trunk.apply(variables, x, train=False)
    np.testing.assert_array_equal(job.teacher(x)["block2"], expected["block2"])


BAD: list[tuple[str, dict[str, Any], str]] = [
    ("", {"teacher_endpoint": "blok2"}, "heads[0].teacher_endpoint"),
    ("", {"form": "identity"}, "heads[0].form"),
    ("", {"form": "conv_regressor"}, "heads[0].form"),
    ("", {"loss": "cross_entropy"}, "heads[0].loss"),
    ("--config.input.flip=True", {}, "config.input.flip"),
    ("--config.teacher.run=", {}, "heads[0].target"),
    ("--config.teacher.run=nowhere", {}, "config.teacher.run"),
    ("--config.teacher.checkpoint=77", {}, "config.teacher.run"),
]


@pytest.mark.golden
def test_an_unfit_teacher_is_refused_by_key(
    tiny: Config, source: Path, golden: Callable[[str, str], None]
) -> None:
    messages = {
        flag or str(hint): refused(
            UserError,
            lambda flag=flag, hint=hint: jobs.build(student(tiny, source, *flag.split(), **hint)),
            key,
        )
        for flag, hint, key in BAD
    }
    golden("messages/teachers.txt", transcript(messages, RUN=source))


@pytest.mark.slow
@pytest.mark.parametrize("stop", [2, 4, 6])
def test_a_taught_and_warmly_started_run_resumes_to_the_same_bits(
    tiny: Config, source: Path, tmp_path: Path, stop: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    flags = [
        f"--config.start.run={source}",
        "--config.train.checkpoint_every=2",
        "--config.schedule.length=4",
    ]
    config = configs.override(student(tiny, source, steps=4), flags)
    whole = train(config, tmp_path / "whole")
    resumed = killed_and_resumed(config, tmp_path / "cut", stop, monkeypatch)
    for key in ("state_sha256", "curve", "transfers"):
        assert resumed[key] == whole[key]
