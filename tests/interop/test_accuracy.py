"""A net that PyTorch has trained is as good here: import and eval find the accuracy that PyTorch counts."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from carried import MEAN, STD, config_file, read_images

from resjax.__main__ import main
from resjax.data import sources

torch: Any = pytest.importorskip("torch", reason="PyTorch is not installed: pip install 'resjax[torch]'")
EPOCHS, BATCH = 2, 50


def trained() -> Any:
    """-> a residual net of 20 layers behind two epochs of digits, for evaluation."""
    from torch_port import Port

    torch.manual_seed(0)
    net, train = Port(width=8, option="both"), sources.load(name="digits").train
    images = torch.from_numpy(((train.images.transpose(0, 3, 1, 2) / 255 - MEAN) / STD).astype(np.float32))
    labels = torch.from_numpy(train.labels.astype(np.int64))
    optimizer = torch.optim.SGD(net.parameters(), lr=0.1, momentum=0.9)
    for index in torch.randperm(len(labels)).repeat(EPOCHS).split(BATCH):
        optimizer.zero_grad()
        torch.nn.functional.cross_entropy(net(images[index]), labels[index]).backward()
        optimizer.step()
    return net.eval()


def test_eval_finds_the_accuracy_that_pytorch_counts(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    net, (_, inputs, labels) = trained(), read_images()
    with torch.no_grad():
        found = net(torch.from_numpy(inputs)).argmax(-1).numpy()
    accuracy = float(np.mean(found == labels))
    assert 0.3 < accuracy < 1  # it has learned, and errs

    torch.save({"state_dict": net.state_dict()}, tmp_path / "net.th")
    file = config_file(tmp_path, dict(name="cifar_resnet", depth=20, width=8))
    flags = ["--padding", "both", "--normalize", f"{MEAN}/{STD}", "--out", str(tmp_path / "run")]
    assert main(["import", str(tmp_path / "net.th"), "--config", str(file), *flags]) == 0
    assert main(["eval", "--workdir", str(tmp_path / "run")]) == 0
    assert f"{accuracy:.2%}" in capsys.readouterr().out
