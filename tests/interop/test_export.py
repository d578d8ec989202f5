"""A run's net elsewhere: the same logits by its program alone, by its arrays, and back in a run."""

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import larger
import numpy as np
import pytest
from carried import NETS, assert_close, config_of, logits_of, read_images, saved
from jax import export as jax_export
from recipe import head, phase, with_phases
from refusal import refuse, refused, transcript
from safetensors.numpy import load_file
from selection import parametrize_sampled

from resjax import config as configs
from resjax.checkpoint import Checkpoints
from resjax.config import Config
from resjax.data import augment
from resjax.interop import names, program
from resjax.interop.exporting import export
from resjax.interop.taking import take
from resjax.models import MODELS
from resjax.models.blocks import Layers
from resjax.probes import subject
from resjax.training import train

ALONE = """
import pathlib, sys
sys.modules["resjax"] = None  # importing it fails
import jax.export
import numpy as np
program = jax.export.deserialize(bytearray(pathlib.Path(sys.argv[1]).read_bytes()))
images = np.load(sys.argv[2])
np.save(sys.argv[3], np.concatenate([program.call(images[:1]), program.call(images[1:])]))
"""


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A trained ResNet with a moving average, a head and logits that are means over mirror images."""
    folder = tmp_path_factory.mktemp("trained") / "run"
    flags = ["--config.train.ema_decay=0.5", "--config.train.eval_mirrored=True"]
    config = config_of(dict(name="cifar_resnet", depth=8, width=8), *flags)
    train(configs.override({**config.to_dict(), "heads": (head("stage1_block1"),)}, []), folder)
    return folder


@pytest.fixture(scope="module")
def exported(run: Path) -> Path:
    out = run.parent / "exported"
    export(run, out)
    return out


def mirrored_logits(run: Path, images: np.ndarray) -> np.ndarray:
    return (logits_of(run, images) + logits_of(run, images[:, :, ::-1])) / 2


def test_the_program_gives_the_logits_of_evaluation_where_resjax_is_not(
    run: Path, exported: Path, tmp_path: Path
) -> None:
    stored, _, _ = read_images()
    np.save(tmp_path / "images.npy", stored[:5])
    files = [exported / "program.jax_export", tmp_path / "images.npy", tmp_path / "logits.npy"]
    subprocess.run([sys.executable, "-c", ALONE, *files], check=True, cwd=tmp_path, timeout=300)
    assert_close(np.load(tmp_path / "logits.npy"), mirrored_logits(run, stored[:5]), 1e-5)


def test_the_program_is_for_three_platforms_and_any_number_of_images(exported: Path) -> None:
    found = jax_export.deserialize(bytearray((exported / "program.jax_export").read_bytes()))
    assert found.platforms == ("cpu", "cuda", "tpu")
    assert [str(each) for each in found.in_avals] == ["uint8[b,8,8,1]"]
    assert [str(each) for each in found.out_avals] == ["float32[b,10]"]


def test_arrays_are_those_of_the_moving_average_without_heads(run: Path, exported: Path) -> None:
    arrays, averaged = load_file(exported / "parameters.safetensors"), subject.of_run("", run).evaluated_trunk
    named: Any = {
        f"{kind}.{jax.tree_util.keystr(path, simple=True, separator='.')}": leaf
        for kind, tree in averaged.items()
        for path, leaf in jax.tree_util.tree_leaves_with_path(tree)
    }
    assert arrays.keys() == named.keys()
    for name, array in arrays.items():
        np.testing.assert_array_equal(array, named[name])


def test_the_card_says_what_how_good_and_where_from(run: Path, exported: Path) -> None:
    card = (exported / "README.md").read_text()
    result = json.loads((run / "result.json").read_text())
    assert card.startswith("# cifar_resnet on digits\n")
    assert f"| test/accuracy | {100 * result['metrics']['test/accuracy']:.2f} % |" in card
    assert "at_stage1_block1/" not in card
    assert "at step 2 of 2" in card
    assert '"depth": 8' in card
    assert f"Trained at commit {result['commit']}" in card
    assert "pytorch_resnet_cifar10's (A)" in card
    assert str(run.parent) not in card


@parametrize_sampled("kind", NETS, default=["pytorch_resnet_cifar10, A"])
def test_a_state_dict_comes_back_as_it_was(kind: str, tmp_path: Path) -> None:
    """From a file into a run and out again: the same names and the same bits."""
    net, model, padding = NETS[kind]
    path, tensors = saved(tmp_path, net)
    take(path, config_of(model), tmp_path / "run", padding)
    found = export(tmp_path / "run", tmp_path / "out")
    assert found.naming is not None
    if kind in ("A behind", "B, fc"):  # written as the more common port has them
        return
    back = load_file(tmp_path / "out" / "pytorch.safetensors")
    assert back.keys() == tensors.keys()
    for name, tensor in tensors.items():
        np.testing.assert_array_equal(back[name], tensor)


@pytest.mark.slow
@pytest.mark.parametrize(("file", "padding"), [("parameters", None), ("pytorch", "both")])
def test_an_export_comes_back_as_a_run(
    run: Path, exported: Path, tmp_path: Path, file: str, padding: str | None
) -> None:
    config = configs.override({**subject.of_run("", run).config.to_dict(), "heads": ()}, [])
    take(exported / f"{file}.safetensors", config, tmp_path / "again", padding)
    stored, _, _ = read_images()
    assert_close(logits_of(tmp_path / "again", stored), logits_of(run, stored), 1e-5)


NONE, LAYER = Layers(norm="none"), Layers(norm="layer")
FAMILIES: dict[str, tuple[Layers, dict[str, Any]]] = {
    "cifar_resnext": (Layers(), dict(depth=29, cardinality=2, group_width=2, width=4)),
    "highway": (NONE, dict(stages=(2, 1), width=4)),
    "fixup_resnet": (NONE, dict(depth=8, width=4)),
    "resnet9": (Layers(), {}),
    "residual_mlp": (Layers(), dict(depth=6, width=8)),
    "googlenet": (Layers(), dict(stem="cifar")),
    "dsn": (NONE, {}),
    "layerwise_cnn": (NONE, {}),
    "vit": (LAYER, dict(blocks=1, width=8, heads=2, patch=4)),
    "mixer": (LAYER, dict(blocks=1, width=8, hidden_tokens=6, hidden_channels=10, patch=4)),
    "recurrent": (NONE, dict(width=8)),
    "ode_net": (Layers(norm="group"), dict(width=8, steps=2)),
    "unet": (NONE, dict(scales=2, width=4)),
    "fcn": (Layers(), dict(depth=8, width=4)),
}


def test_every_family_is_exported_somewhere() -> None:
    carried = {model["name"] for _, model, *_ in (*NETS.values(), *larger.NETS.values())}
    assert carried | FAMILIES.keys() == MODELS.keys()


@pytest.mark.slow
@pytest.mark.parametrize("name", FAMILIES)
def test_every_family_can_be_exported(name: str) -> None:
    layers, settings = FAMILIES[name]
    trunk, image = MODELS[name](10, layers, **settings), (32, 32, 3)
    images = np.random.default_rng(0).integers(0, 256, (2, *image), np.uint8)
    pipeline = augment.fit(images, normalize="unit")
    inputs = pipeline.evaluate(jnp.asarray(images))
    variables: Any = jax.jit(lambda: trunk.init(jax.random.key(0), inputs, train=False))()
    made = program.make(trunk, variables, pipeline, image, mirrored=False)
    found = jax_export.deserialize(bytearray(made))
    assert str(found.in_avals[0]) == "uint8[b,32,32,3]"
    wanted: Any = trunk.apply(variables, inputs, train=False)
    assert_close(np.asarray(found.call(images)), np.asarray(wanted["main"], np.float32))


WITHOUT_STATE_DICT: list[tuple[str, dict[str, Any], dict[str, Any], str]] = [
    ("cifar_resnet", dict(skip=False), {}, "skip"),
    ("cifar_resnet", dict(branch_scale=0.5), {}, "branch_scale"),
    ("cifar_resnet", dict(order="preactivation"), {}, "order"),
    ("imagenet_resnet", dict(stride_in="1x1"), {}, "stride"),
    ("imagenet_resnet", {}, dict(norm_epsilon=1e-3), "epsilon"),
    ("imagenet_resnet", dict(stem="deep"), {}, "stem"),
    ("imagenet_resnet", {}, dict(norm="group"), "norm"),
    ("wide_resnet", dict(excitation=2), {}, "excitation"),
    ("residual_mlp", {}, {}, "ResNet"),
    ("fcn", {}, {}, "ResNet"),
    ("googlenet", {}, {}, "norm"),
    ("googlenet", {}, dict(norm_epsilon=1e-3), "last_pool"),
]


@pytest.mark.golden
def test_no_state_dict_is_written_where_pytorch_s_net_would_be_another(
    golden: Callable[[str, str], None],
) -> None:
    messages = {
        f"{name}({settings | layers})": refused(
            ValueError,
            lambda name=name, settings=settings, layers=layers: names.pytorch(
                MODELS[name](10, Layers(**layers), **settings)
            ),
            reason,
        )
        for name, settings, layers, reason in WITHOUT_STATE_DICT
    }
    golden("messages/state_dicts.txt", transcript(messages))


def test_a_net_without_one_is_exported_and_the_card_says_so(finished: Path, tmp_path: Path) -> None:
    found = export(finished, tmp_path / "out", "last")
    assert found.naming is None
    assert not (tmp_path / "out" / "pytorch.safetensors").exists()
    assert (
        "There is no state dict for PyTorch, for it is neither"
        in (tmp_path / "out" / "README.md").read_text()
    )


def test_what_cannot_be_exported_is_told(
    run: Path, exported: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    refuse(capsys, "export", "--workdir", tmp_path, "--out", tmp_path / "out", names=str(tmp_path))
    refuse(capsys, "export", "--workdir", run, "--out", exported, names=f"--out {exported}")
    refuse(capsys, "export", "--workdir", run, "--out", tmp_path / "out", "--checkpoint", "7", names="'7'")
    assert not list(tmp_path.iterdir())


def test_a_run_that_is_still_in_pretraining_has_no_net_to_export(
    tiny: Config, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    class Dies(Checkpoints):
        def save(self, *args: Any) -> None:
            super().save(*args)
            raise KeyboardInterrupt

    monkeypatch.setattr("resjax.training.Checkpoints", Dies)
    pretrained = with_phases(tiny, phase("first", head("block1"), until="block1"))
    with pytest.raises(KeyboardInterrupt):
        train(pretrained, tmp_path / "run")
    folders = ("--workdir", tmp_path / "run", "--out", tmp_path / "out")
    refuse(capsys, "export", *folders, names="phase 'first'")
    assert not (tmp_path / "out").exists()
