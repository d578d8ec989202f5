"""Files of nets for 224 pixels: the same logits, and the same state dict back."""

import dataclasses
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from carried import assert_close, config_file, config_of, logits_of, saved
from joined_dicts import GoogLeNet
from larger import NETS, PORT, data, large_config, large_images, shallow
from refusal import refuse
from safetensors.numpy import load_file
from state_dicts import Net, Tensors, logits

from resjax.__main__ import main
from resjax.interop import names
from resjax.interop.exporting import export
from resjax.interop.taking import arrays_like, take
from resjax.job import preview

Capture = pytest.CaptureFixture[str]


@dataclasses.dataclass(frozen=True)
class Case:
    net: Net
    tensors: Tensors
    run: Path
    prefix: Path
    said: str


@pytest.fixture
def shallow_nets(monkeypatch: pytest.MonkeyPatch) -> None:
    shallow(monkeypatch)


@pytest.fixture(scope="module", params=NETS)
def case(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Case:
    folder, (net, model) = tmp_path_factory.mktemp("larger"), NETS[request.param]
    prefix, (path, tensors) = data(folder), saved(folder, net)
    with pytest.MonkeyPatch.context() as patch:
        shallow(patch)
        said = str(take(path, large_config(prefix, model), folder / "run"))
    return Case(net, tensors, folder / "run", prefix, said)


@pytest.mark.slow
@pytest.mark.usefixtures("shallow_nets")
def test_logits_are_those_of_the_net_that_the_file_is_of(case: Case) -> None:
    stored, inputs = large_images(case.prefix)
    assert_close(logits_of(case.run, stored), logits(case.net, case.tensors, inputs))
    assert len(case.said.splitlines()) == len(case.tensors) + 1


@pytest.mark.slow
@pytest.mark.usefixtures("shallow_nets")
def test_a_state_dict_comes_back_as_it_was(case: Case, tmp_path: Path) -> None:
    assert export(case.run, tmp_path / "out").naming is not None
    back = load_file(tmp_path / "out" / "pytorch.safetensors")
    assert back.keys() == case.tensors.keys()
    for name, tensor in case.tensors.items():
        np.testing.assert_array_equal(back[name], tensor)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("naming", "model", "count", "some"),
    [
        # Of torchvision's state dict, 727 tensors, 121 are num_batches_tracked.
        (
            names.TORCHVISION_DENSENET,
            dict(name="imagenet_densenet"),
            606,
            "features.conv0.weight features.norm0.bias features.denseblock1.denselayer6.norm1.weight"
            " features.denseblock4.denselayer16.conv2.weight features.denseblock3.denselayer24.norm2.bias"
            " features.transition3.norm.running_mean features.transition1.conv.weight features.norm5.weight"
            " classifier.weight classifier.bias",
        ),
        # Of timm's state dict of resnet26d, 188 tensors, 31 are num_batches_tracked.
        (
            names.TIMM_D,
            dict(name="imagenet_resnet", depth=26, stem="deep", shortcut="D"),
            157,
            "conv1.0.weight conv1.1.running_var conv1.3.weight conv1.4.bias conv1.6.weight bn1.weight"
            " layer1.0.downsample.1.weight layer4.0.downsample.2.running_mean layer4.1.conv3.weight"
            " layer2.1.bn2.bias fc.weight fc.bias",
        ),
        # Of torchvision's state dict without heads, 344 tensors, 57 are num_batches_tracked.
        (
            names.TORCHVISION_GOOGLENET,
            PORT,
            287,
            "conv1.conv.weight conv1.bn.running_var conv2.conv.weight conv3.bn.bias fc.weight fc.bias"
            " inception3a.branch1.conv.weight inception3b.branch2.0.bn.weight inception4e.branch2.1.bn.bias"
            " inception4c.branch3.0.bn.running_mean inception5a.branch3.1.conv.weight"
            " inception5b.branch4.1.conv.weight",
        ),
    ],
    ids=lambda value: getattr(value, "title", None),
)
def test_names_are_those_of_the_classes(
    naming: names.Naming, model: dict[str, Any], count: int, some: str
) -> None:
    config = config_of(model, "--config.data.name=tfds:imagenet2012", "--config.data.image_size=64")
    config.input.mean, config.input.std = 3 * config.input.mean, 3 * config.input.std
    spelled = naming.spell_all(arrays_like(preview(config)[2][-1]))
    assert spelled is not None
    assert len(set(spelled.values())) == count
    assert set(some.split()) <= set(spelled.values())


@pytest.mark.slow
def test_heads_are_refused_and_left_out_where_that_is_asked(tmp_path: Path, capsys: Capture) -> None:
    (path, _), file, run = (
        saved(tmp_path, GoogLeNet(heads=True)),
        config_file(tmp_path, PORT),
        tmp_path / "run",
    )
    command = ["import", str(path), "--config", str(file), "--out", str(run)]
    command.append(f"--config.data.name=npz:{data(tmp_path)}")
    refuse(capsys, *command, names="--leave-out aux1,aux2")
    refuse(capsys, *command, "--leave-out", "aux1,aux3", names="aux3")
    leave = ["--leave-out", "aux1,aux2"]
    refuse(capsys, *command, *leave, "--config.model.last_pool=3x3", names="last_pool")
    assert not run.exists()

    assert main([*command, *leave]) == 0
    assert "287 tensors, named as in torchvision_googlenet; left out: aux1, aux2\n" in capsys.readouterr().out
    assert json.loads((run / "import.json").read_text())["left_out"] == ["aux1", "aux2"]


def test_images_that_are_too_small_are_told(tmp_path: Path, capsys: Capture) -> None:
    net, model = NETS["torchvision densenet121"]
    path, _ = saved(tmp_path, net)
    file = config_file(tmp_path, model)
    refuse(capsys, "import", path, "--config", file, "--out", tmp_path / "run", names="config.model.name")
