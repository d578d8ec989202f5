"""Weights by PyTorch's names become this project's nets: the same logits as the nets that they are of."""

import json
from pathlib import Path

import numpy as np
import pytest
from carried import NETS, assert_close, config_file, config_of, logits_of, read_images, saved
from refusal import refuse
from safetensors.numpy import save_file
from state_dicts import ResNet, logits

from resjax.__main__ import main
from resjax.interop import names
from resjax.interop.taking import arrays_like, take
from resjax.job import preview
from resjax.training import train

Capture = pytest.CaptureFixture[str]
KIND = "pytorch_resnet_cifar10, A"


@pytest.mark.parametrize("kind", NETS)
def test_logits_are_those_of_the_net_that_the_file_is_of(kind: str, tmp_path: Path) -> None:
    net, model, padding = NETS[kind]
    path, tensors = saved(tmp_path, net)
    taken = take(path, config_of(model), tmp_path / "run", padding)
    stored, inputs, _ = read_images()
    assert_close(logits_of(tmp_path / "run", stored[:16]), logits(net, tensors, inputs[:16]))
    assert len(str(taken).splitlines()) == len(tensors) + 1


def test_the_other_padding_gives_another_net(tmp_path: Path) -> None:
    net, model, _ = NETS[KIND]
    path, tensors = saved(tmp_path, net)
    take(path, config_of(model), tmp_path / "run", "behind")
    stored, inputs, _ = read_images()
    with pytest.raises(AssertionError):
        assert_close(logits_of(tmp_path / "run", stored[:16]), logits(net, tensors, inputs[:16]))


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


def refuse_import(
    capsys: Capture, path: Path, config: Path, out: Path, *flags: str, said: tuple[str, ...]
) -> None:
    """Nothing is written, not even beside."""
    before = written(out.parent)
    refuse(capsys, "import", path, "--config", config, "--out", out, *flags, said=said)
    assert written(out.parent) == before


def test_what_does_not_fit_is_listed(tmp_path: Path, capsys: Capture) -> None:
    net, model, _ = NETS["B"]
    path, tensors = saved(tmp_path, net)
    file = config_file(tmp_path, model)
    tensors["aux.fc.weight"] = tensors.pop("layer1.0.conv1.weight")
    tensors["linear.weight"] = tensors["linear.weight"][:7]
    save_file(tensors, path)
    said = (
        r"net\.safetensors does not fit config\.model, by the names of cifar:",
        r"missing: layer1\.0\.conv1\.weight;",
        r"left over: aux\.fc\.weight;",
        r"of another shape: linear\.weight 7x32, not 10x32;",
    )
    refuse_import(capsys, path, file, tmp_path / "run", said=said)


def test_another_architecture_is_told_by_its_first_tensors(tmp_path: Path, capsys: Capture) -> None:
    path, _ = saved(tmp_path, ResNet((2, 2, 2, 2), 8))
    file = config_file(tmp_path, NETS["torchvision resnet50"][1])
    said = (
        r"missing: layer1\.0\.conv3\.weight",
        r"and \d+ more",
        r"of another shape: fc\.weight 10x64, not 10x128",
    )
    refuse_import(capsys, path, file, tmp_path / "run", said=said)


def test_option_a_needs_a_word_and_nothing_else_may_have_it(tmp_path: Path, capsys: Capture) -> None:
    for kind, flags, said in (
        (KIND, (), ("--padding both", "--padding behind")),
        ("B", ("--padding", "both"), ("--padding is both", "leave it out")),
    ):
        net, model, _ = NETS[kind]
        path, _ = saved(tmp_path, net)
        refuse_import(capsys, path, config_file(tmp_path, model), tmp_path / "run", *flags, said=said)


@pytest.mark.parametrize(
    ("line", "said"),
    [
        (
            "config.heads = (dict(name='early', endpoint='stem'),)",
            r"config\.heads lists early.*config\.start\.run",
        ),
        (
            "config.phases = (dict(name='first', schedule=dict(length=1, learning_rate=0.1)),)",
            r"config\.phases lists first.*config\.start\.run",
        ),
    ],
)
def test_heads_and_phases_are_no_part_of_a_file(
    tmp_path: Path, capsys: Capture, line: str, said: str
) -> None:
    net, model, _ = NETS["B"]
    path, _ = saved(tmp_path, net)
    refuse_import(capsys, path, config_file(tmp_path, model, line), tmp_path / "run", said=(said,))


def test_a_folder_that_is_there_stays_as_it_is(tmp_path: Path, capsys: Capture) -> None:
    net, model, _ = NETS["B"]
    path, _ = saved(tmp_path, net)
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "mine").write_text("precious")
    refuse_import(
        capsys, path, config_file(tmp_path, model), tmp_path / "run", said=("--out .*run is there",)
    )


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ("cifar11", "did you mean 'cifar10'"),
        ("0.5,0.5", "--normalize is '0.5,0.5'"),
        ("0.5/a", "--normalize is '0.5/a'"),
        ("imagenet", r"config\.input\.mean is \(0\.485, 0\.456, 0\.406\)"),
        ("0.5/0", r"config\.input\.std is \(0\.0,\)"),
    ],
)
def test_constants_are_numbers_for_each_channel(
    tmp_path: Path, capsys: Capture, given: str, said: str
) -> None:
    net, model, _ = NETS["B"]
    path, _ = saved(tmp_path, net)
    flags = ("--normalize", given)
    refuse_import(capsys, path, config_file(tmp_path, model), tmp_path / "run", *flags, said=(said,))
