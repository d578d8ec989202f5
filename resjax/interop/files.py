"""Named arrays in files: safetensors, and PyTorch's own, of which nothing is executed."""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from resjax.errors import UserError

Arrays = dict[str, np.ndarray]
WRAPPERS = ("state_dict", "model_state_dict", "model_state", "model", "net")  # keys that training scripts use
PREFIXES = ("module.", "_orig_mod.", "model.")  # of DataParallel, torch.compile, and wrappers
COUNTER = "num_batches_tracked"  # PyTorch counts the steps of its norms, and uses that nowhere


def read(path: Path) -> Arrays:
    """-> {name: float32 array} of a state dict, without prefixes and counters of steps.

    Raises:
      UserError: there is no such file, it is damaged, it holds other things than tensors, or PyTorch is
        needed and absent.
    """
    if not path.is_file():
        raise UserError(f"there is no file {path}; a .safetensors, .pt, .pth or .th file is needed here")
    found = _safetensors(path) if path.suffix == ".safetensors" else _torch(path)
    while found and any(all(name.startswith(prefix) for name in found) for prefix in PREFIXES):
        found = {name.partition(".")[2]: tensor for name, tensor in found.items()}
    found = {_modern(name): tensor for name, tensor in found.items() if not name.endswith(COUNTER)}
    if not found:
        raise UserError(f"{path} holds no tensors; a net's state dict is needed here")
    return found


def write(path: Path, arrays: Mapping[str, np.ndarray]) -> None:
    """Writes a .safetensors file, bfloat16 as float32, which keeps every value."""
    from safetensors.numpy import save

    # Not `save_file`, which lets nobody else read it.
    path.write_bytes(save({name: np.ascontiguousarray(array, np.float32) for name, array in arrays.items()}))


def _modern(name: str) -> str:
    """-> `denselayer1.norm1.weight` for `denselayer1.norm.1.weight`, as in older files of DenseNets."""
    return re.sub(r"(denselayer\d+\.(?:norm|conv))\.(\d)", r"\1\2", name)


def _safetensors(path: Path) -> Arrays:
    from safetensors.numpy import load_file

    try:
        return {name: np.asarray(tensor, np.float32) for name, tensor in load_file(path).items()}
    except Exception as error:  # of its own kind, and numpy's where it lacks a type
        raise UserError(
            f"{path} is damaged, no safetensors file, or of a type that NumPy lacks ({_line(error)}); get it"
            " again, or save it as float32"
        ) from error


def _torch(path: Path) -> Arrays:
    try:
        import torch  # pyright: ignore[reportMissingImports]
    except ImportError as error:
        raise UserError(
            f"{path} is read by PyTorch ({error}); python -m pip install 'resjax[torch]', or convert it to"
            " .safetensors where PyTorch is"
        ) from error
    try:
        found = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # pickle's, zip's and torch's own
        raise UserError(
            f"{path} cannot be read as tensors alone ({_line(error)}), and nothing else in it is run: it is"
            " damaged or holds objects; save the net's state_dict() by itself"
        ) from error
    return _tensors(path, found, torch.Tensor)


def _tensors(path: Path, found: Any, kind: type) -> Arrays:
    for key in WRAPPERS:
        if isinstance(found, dict) and isinstance(found.get(key), dict):
            found = found[key]
    if not isinstance(found, dict):
        raise UserError(f"{path} holds a {type(found).__name__}; a dictionary of tensors is needed here")
    other = [str(name) for name, value in found.items() if not isinstance(value, kind)]
    if other:
        raise UserError(
            f"{path} holds beside tensors {', '.join(other[:5])}; it must be a state dict, or hold one as"
            f" {', '.join(WRAPPERS)}"
        )
    return {str(name): value.detach().float().numpy() for name, value in found.items()}


def _line(error: Exception) -> str:
    """-> what went wrong in a few words: PyTorch's own texts are pages of advice."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()] or [type(error).__name__]
    telling = next((line for line in lines if "Unsupported" in line), lines[0])
    return telling.partition(". ")[0].removesuffix(".")[:160]
