"""The classes that names are of, where torchvision and timm are installed: their logits, and exports back."""

from pathlib import Path
from typing import Any

import pytest
from carried import assert_close, logits_of
from larger import NETS, PORT, SIZES, data, large_config, large_images, shallow

from resjax.interop.exporting import export
from resjax.interop.taking import take

torch = pytest.importorskip("torch")


def densenet() -> Any:
    return pytest.importorskip("torchvision").models.DenseNet(2, SIZES, 4, num_classes=10)


def googlenet() -> Any:
    models = pytest.importorskip("torchvision").models
    return models.GoogLeNet(num_classes=10, aux_logits=False, init_weights=False)


def resnet26d() -> Any:
    resnet = pytest.importorskip("timm").models.resnet
    deep = dict(stem_type="deep", stem_width=2, avg_down=True, channels=(4, 8, 16, 32))
    return resnet.ResNet(resnet.Bottleneck, (2, 2, 2, 2), 10, 1, **deep)


RESNET: dict[str, Any] = dict(name="imagenet_resnet", depth=26, width=4, stem="deep", shortcut="D")
KINDS = {densenet: NETS["torchvision densenet121"][1], googlenet: PORT, resnet26d: RESNET}


def settled(net: Any) -> Any:
    """-> the net for grey images, its values drawn so that it does something, and its statistics of noise."""
    for module in net.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            torch.nn.init.uniform_(module.weight, 0.5, 1.5)
            torch.nn.init.normal_(module.bias, 0, 0.2)
            torch.nn.init.normal_(module.running_mean, 0, 0.2)
            torch.nn.init.uniform_(module.running_var, 0.5, 1.5)
    return net.eval()


def grey(kind: Any) -> Any:
    """-> a net of that kind whose first convolution reads one channel, as the test's images have."""
    net = kind()
    first = {densenet: "features.conv0", googlenet: "conv1.conv"}.get(kind)
    if first:
        old, (parent, _, name) = net.get_submodule(first), first.rpartition(".")
        new = torch.nn.Conv2d(1, old.out_channels, 7, 2, 3, bias=False)
        setattr(net.get_submodule(parent), name, new)
    return net


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
def test_logits_are_the_class_s_and_it_reads_the_export(
    kind: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from safetensors.torch import load_file  # pyright: ignore

    shallow(monkeypatch)
    torch.manual_seed(0)
    net, prefix = settled(grey(kind)), data(tmp_path)
    torch.save(net.state_dict(), tmp_path / "a.pth")
    take(tmp_path / "a.pth", large_config(prefix, KINDS[kind]), tmp_path / "run")
    stored, inputs = large_images(prefix)
    with torch.no_grad():
        wanted = net(torch.from_numpy(inputs)).numpy()
    assert_close(logits_of(tmp_path / "run", stored), wanted)

    export(tmp_path / "run", tmp_path / "out")
    again = grey(kind).eval()
    again.load_state_dict(load_file(tmp_path / "out" / "pytorch.safetensors"))
    with torch.no_grad():
        assert_close(again(torch.from_numpy(inputs)).numpy(), wanted)
