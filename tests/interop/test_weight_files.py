"""Files of weights: safetensors everywhere, PyTorch's own where it is; what is damaged or evil is told."""

import pickle
import sys
from collections import OrderedDict
from pathlib import Path
from typing import Any

import ml_dtypes
import numpy as np
import pytest
from carried import NETS, assert_close, config_file, config_of, logits_of, read_images
from refusal import refuse
from safetensors.numpy import save_file
from state_dicts import ResNet, draw

from resjax.errors import UserError
from resjax.interop import files
from resjax.interop.exporting import export
from resjax.interop.taking import take

Capture = pytest.CaptureFixture[str]
KERNEL = np.arange(6, dtype=np.float32).reshape(2, 3)


class Evil:
    """A pickle of it makes a file of the given name as it is read."""

    def __init__(self, path: Path):
        self.path = path

    def __reduce__(self) -> Any:
        return (Path.touch, (self.path,))


@pytest.mark.parametrize("prefix", ["", "module.", "module._orig_mod.", "model."])
def test_prefixes_and_counters_of_steps_are_left_out(tmp_path: Path, prefix: str) -> None:
    names = ("fc.weight", "bn1.num_batches_tracked")
    save_file({prefix + name: KERNEL for name in names}, tmp_path / "a.safetensors")
    found = files.read(tmp_path / "a.safetensors")
    assert list(found) == ["fc.weight"]
    np.testing.assert_array_equal(found["fc.weight"], KERNEL)


def test_a_prefix_that_some_names_have_is_theirs(tmp_path: Path) -> None:
    save_file({"model.weight": KERNEL, "fc.weight": KERNEL}, tmp_path / "a.safetensors")
    assert set(files.read(tmp_path / "a.safetensors")) == {"model.weight", "fc.weight"}


def test_older_files_of_densenets_have_dots_in_names_of_layers(tmp_path: Path) -> None:
    save_file({"features.denseblock1.denselayer2.norm.1.weight": KERNEL}, tmp_path / "a.safetensors")
    assert list(files.read(tmp_path / "a.safetensors")) == ["features.denseblock1.denselayer2.norm1.weight"]


def test_what_is_written_is_float32_and_what_is_read_too(tmp_path: Path) -> None:
    files.write(tmp_path / "a.safetensors", {"a": KERNEL.T.astype(ml_dtypes.bfloat16)})
    np.testing.assert_array_equal(files.read(tmp_path / "a.safetensors")["a"], KERNEL.T)
    save_file({"a": KERNEL.astype(np.float16)}, tmp_path / "b.safetensors")
    assert files.read(tmp_path / "b.safetensors")["a"].dtype == np.float32


@pytest.mark.parametrize("content", [b"", b"text", b"\xff" * 9, None])
def test_a_damaged_safetensors_file_is_told(tmp_path: Path, capsys: Capture, content: bytes | None) -> None:
    path = tmp_path / "a.safetensors"
    save_file({"fc.weight": KERNEL}, path)
    path.write_bytes(path.read_bytes()[:-3] if content is None else content)
    file = config_file(tmp_path, NETS["B"][1])
    refuse(capsys, "import", path, "--config", file, "--out", tmp_path / "run", names=str(path))
    assert not (tmp_path / "run").exists()


def test_a_file_that_is_absent_or_empty_is_told(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"absent\.pt"):
        files.read(tmp_path / "absent.pt")
    save_file({}, tmp_path / "a.safetensors")
    with pytest.raises(UserError, match=r"a\.safetensors"):
        files.read(tmp_path / "a.safetensors")


def test_without_pytorch_its_files_are_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "a.pt").write_bytes(b"anything")
    monkeypatch.setitem(sys.modules, "torch", None)
    with pytest.raises(UserError, match=r"a\.pt .*resjax\[torch\]"):
        files.read(tmp_path / "a.pt")


def wrapped(tensors: Any) -> dict[str, Any]:
    return {
        "bare": tensors,
        "ordered": OrderedDict(tensors),
        "state_dict": {"state_dict": {f"module.{key}": value for key, value in tensors.items()}, "epoch": 3},
        "net": {"net": tensors, "acc": 91.2},
    }


@pytest.mark.parametrize("kind", ["bare", "ordered", "state_dict", "net"])
@pytest.mark.parametrize("legacy", [False, True], ids=["zip", "legacy"])
def test_pytorch_s_files_are_read(tmp_path: Path, kind: str, legacy: bool) -> None:
    torch = pytest.importorskip("torch")
    tensors = {name: torch.from_numpy(array) for name, array in draw(ResNet((1,), 2).shapes()).items()}
    tensors["bn1.num_batches_tracked"] = torch.tensor(7)
    path = tmp_path / "a.th"
    torch.save(wrapped(tensors)[kind], path, _use_new_zipfile_serialization=not legacy)
    found = files.read(path)
    assert found.keys() == tensors.keys() - {"bn1.num_batches_tracked"}
    for name, array in found.items():
        np.testing.assert_array_equal(array, tensors[name].numpy())


@pytest.mark.parametrize("way", ["pickle", "legacy", "zip"])
def test_nothing_in_a_file_is_executed(tmp_path: Path, capsys: Capture, way: str) -> None:
    torch = pytest.importorskip("torch")
    trace, path = tmp_path / "executed", tmp_path / "a.pt"
    given = {"fc.weight": torch.zeros(2, 2), "evil": Evil(trace)}
    if way == "pickle":
        path.write_bytes(pickle.dumps(Evil(trace)))
    else:
        torch.save(given, path, _use_new_zipfile_serialization=way == "zip")
    file = config_file(tmp_path, NETS["B"][1])
    refuse(capsys, "import", path, "--config", file, "--out", tmp_path / "run", names=str(path))
    assert {each.name for each in tmp_path.iterdir()} - {"__pycache__"} == {path.name, file.name}


def test_damaged_files_of_pytorch_s_and_such_of_other_things_are_told(tmp_path: Path) -> None:
    torch = pytest.importorskip("torch")
    path = tmp_path / "a.pth"
    for content in (
        {"fc.weight": torch.zeros(2, 2), "lr": 0.1},
        [torch.zeros(2)],
        torch.zeros(2),
        {},
        torch.nn.Linear(2, 2),
    ):
        torch.save(content, path)
        with pytest.raises(UserError, match=r"a\.pth"):
            files.read(path)
    for legacy in (False, True):
        torch.save({"fc.weight": torch.zeros(200)}, path, _use_new_zipfile_serialization=not legacy)
        path.write_bytes(path.read_bytes()[:-300])
        with pytest.raises(UserError, match=r"a\.pth"):
            files.read(path)


@pytest.mark.parametrize("option", ["both", "behind", "B"])
def test_logits_are_those_of_a_module_of_pytorch_s_and_its_class_reads_the_export(
    tmp_path: Path, option: str
) -> None:
    torch = pytest.importorskip("torch")
    from safetensors.torch import load_file  # pyright: ignore
    from torch_port import Port, settle

    net = settle(Port(width=8, option=option), seed=3)
    torch.save({"state_dict": net.state_dict()}, tmp_path / "a.th")
    model = dict(name="cifar_resnet", depth=20, width=8, shortcut="B" if option == "B" else "A")
    take(tmp_path / "a.th", config_of(model), tmp_path / "run", None if option == "B" else option)
    stored, inputs, _ = read_images()
    with torch.no_grad():
        wanted = net(torch.from_numpy(inputs[:64])).numpy()
    assert_close(logits_of(tmp_path / "run", stored[:64]), wanted)

    export(tmp_path / "run", tmp_path / "out")
    again = Port(width=8, option="both" if option == "behind" else option).eval()
    again.load_state_dict(load_file(tmp_path / "out" / "pytorch.safetensors"))
    with torch.no_grad():
        assert_close(again(torch.from_numpy(inputs[:64])).numpy(), wanted)
