"""Weights by PyTorch's names become this project's nets: the same logits as the nets that they are of."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from carried import NETS, assert_close, config_file, config_of, logits_of, read_images, saved
from refusal import refuse, transcript
from safetensors.numpy import save_file
from selection import parametrize_sampled
from state_dicts import ResNet, logits

from resjax.__main__ import main
from resjax.interop import names
from resjax.interop.taking import arrays_like, take
from resjax.job import preview
from resjax.training import train

Capture = pytest.CaptureFixture[str]
KIND = "pytorch_resnet_cifar10, A"


@parametrize_sampled("kind", NETS, default=(KIND, "WideResNet-pytorch 10-1"))
def test_logits_are_those_of_the_net_that_the_file_is_of(kind: str, tmp_path: Path) -> None:
    net, model, padding = NETS[kind]
    path, tensors = saved(tmp_path, net)
    taken = take(path, config_of(model), tmp_path / "run", padding)
    stored, inputs, _ = read_images()
    assert_close(logits_of(tmp_path / "run", stored[:16]), logits(net, tensors, inputs[:16]))
    assert len(str(taken).splitlines()) == len(tensors) + 1


@pytest.mark.slow
def test_the_other_padding_gives_another_net(tmp_path: Path) -> None:
    net, model, _ = NETS[KIND]
    path, tensors = saved(tmp_path, net)
    take(path, config_of(model), tmp_path / "run", "behind")
    stored, inputs, _ = read_images()
    with pytest.raises(AssertionError):
        assert_close(logits_of(tmp_path / "run", stored[:16]), logits(net, tensors, inputs[:16]))


@pytest.mark.slow
@pytest.mark.parametrize(
    ("kind", "count", "some"),
    [
        # Of torchvision's state dicts, 122 and 320 tensors, 20 and 53 are num_batches_tracked.
        (
            "imagenet_resnet 18",
            102,
            "layer4.1.bn2.running_var layer2.0.downsample.1.bias fc.weight conv1.weight",
        ),
        ("imagenet_resnet 50", 267, "layer3.5.conv3.weight layer1.0.downsample.0.weight bn1.running_mean"),
        ("imagenet_resnext 50", 267, "layer1.2.bn3.weight layer4.0.downsample.1.running_var fc.bias"),
    ],
)
def test_names_are_torchvision_s(kind: str, count: int, some: str) -> None:
    name, depth = kind.split()
    config = config_of(dict(name=name, depth=int(depth)))
    spelled = names.TORCHVISION.spell_all(arrays_like(preview(config)[2][-1]))
    assert spelled is not None
    assert len(set(spelled.values())) == count
    assert set(some.split()) <= set(spelled.values())


def test_an_import_is_evaluated_trained_on_and_started_from(tmp_path: Path, capsys: Capture) -> None:
    net, model, _ = NETS[KIND]
    path, tensors = saved(tmp_path, net)
    file, run = config_file(tmp_path, model), tmp_path / "run"
    flags = ["--padding", "both", "--normalize", "0.4/0.3"]
    assert main(["import", str(path), "--config", str(file), "--out", str(run), *flags]) == 0
    said = capsys.readouterr().out
    assert "layer2.0.conv1.weight -> params/stage2_block1/conv1/kernel 3x3x8x16\n" in said
    assert f"{len(tensors)} tensors, named as in cifar\n" in said
    report = json.loads((run / "import.json").read_text())
    assert (report["file"], report["padding"]) == ("net.safetensors", "both")

    assert main(["eval", "--workdir", str(run)]) == 0
    found = json.loads((run / "eval-test-0.json").read_text())
    _, inputs, labels = read_images()
    wanted = logits(net, tensors, inputs)
    assert found["accuracy"] == pytest.approx((wanted.argmax(-1) == labels).mean(), abs=2 / len(labels))
    wide = wanted.astype(np.float64) - wanted.max(-1, keepdims=True)
    losses = np.log(np.exp(wide).sum(-1)) - wide[np.arange(len(labels)), labels]
    assert found["loss"] == pytest.approx(losses.mean(), rel=1e-4)

    config = config_of(model)
    going_on = config_file(
        tmp_path, model, "config.schedule = dict(unit='steps', length=2, learning_rate=1e-30)"
    )
    started = ["--config", str(going_on), "--workdir", str(tmp_path / "next"), f"--config.start.run={run}"]
    same = [f"--config.input.{key}={config.input[key]}" for key in ("normalize", "mean", "std")]
    assert main(["train", *started, *same, "--quiet"]) == 0
    result = json.loads((tmp_path / "next" / "result.json").read_text())
    assert len(result["transfers"][0]["copied"]) == len(tensors)
    assert result["transfers"][0]["new"] == []


@pytest.mark.slow
def test_training_goes_on_from_an_import(tmp_path: Path) -> None:
    net, model, padding = NETS[KIND]
    path, tensors = saved(tmp_path, net)
    config = config_of(model, "--config.train.ema_decay=0.9")
    take(path, config, tmp_path / "run", padding)
    result = train(config, tmp_path / "run")
    assert result["steps"] == 2
    assert result["transfers"][0]["from"] == "net.safetensors"
    assert len(result["transfers"][0]["copied"]) == len(tensors)


def written(folder: Path) -> list[Path]:
    return sorted(path for path in folder.rglob("*") if "__pycache__" not in path.parts)  # of the config


def refuse_import(capsys: Capture, path: Path, config: Path, out: Path, *flags: str, names: str) -> str:
    """Runs `import`, which must be refused and write no file anywhere; returns the message."""
    before = written(out.parent)
    message = refuse(capsys, "import", path, "--config", config, "--out", out, *flags, names=names)
    assert written(out.parent) == before
    return message


CONSTANTS = {
    "cifar11": "'cifar11'",
    "0.5,0.5": "--normalize",
    "0.5/a": "--normalize",
    "imagenet": "config.input.mean",
    "0.5/0": "config.input.std",
}
LINES = {
    "config.heads = (dict(name='early', endpoint='stem'),)": "config.heads",
    "config.phases = (dict(name='first', schedule=dict(length=1, learning_rate=0.1)),)": "config.phases",
}


@pytest.mark.golden
def test_bad_imports_are_refused(tmp_path: Path, capsys: Capture, golden: Callable[[str, str], None]) -> None:
    net, model, _ = NETS["B"]
    path, tensors = saved(tmp_path, net)
    file, run = config_file(tmp_path, model), tmp_path / "run"
    messages = {}
    for value, name in CONSTANTS.items():
        messages[f"--normalize {value}"] = refuse_import(
            capsys, path, file, run, "--normalize", value, names=name
        )
    messages["--padding both, for projections"] = refuse_import(
        capsys, path, file, run, "--padding", "both", names="--padding"
    )
    run.mkdir()
    (run / "mine").write_text("precious")
    messages["--out of an existing folder"] = refuse_import(capsys, path, file, run, names=f"--out {run}")
    assert (run / "mine").read_text() == "precious"
    shutil.rmtree(run)

    tensors["aux.fc.weight"] = tensors.pop("layer1.0.conv1.weight")
    tensors["linear.weight"] = tensors["linear.weight"][:7]
    save_file(tensors, path)
    message = refuse_import(capsys, path, file, run, names="net.safetensors")
    for name in ("layer1.0.conv1.weight", "aux.fc.weight", "linear.weight"):
        assert name in message
    messages["tensors that are missing, unexpected and of another shape"] = message
    for line, name in LINES.items():
        file = config_file(tmp_path, model, line)
        messages[line] = refuse_import(capsys, path, file, run, names=name)

    path, _ = saved(tmp_path, ResNet((2, 2, 2, 2), 8))
    file = config_file(tmp_path, NETS["torchvision resnet50"][1])
    messages["another architecture"] = refuse_import(capsys, path, file, run, names="layer1.0.conv3.weight")
    net, model, _ = NETS[KIND]
    path, _ = saved(tmp_path, net)
    file = config_file(tmp_path, model)
    messages["no --padding, for padded shortcuts"] = refuse_import(
        capsys, path, file, run, names="--padding both"
    )
    golden("messages/import.txt", transcript(messages, FOLDER=tmp_path))
