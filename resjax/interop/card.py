"""The model card of an export: what the net is, how good, where from, and how to use it."""

import json
from collections.abc import Mapping
from typing import Any

from resjax import markup

TEXT = """\
# {model} on {data}

{parameters:,} parameters, at step {step:,} of {steps:,} of a run of resjax, as its evaluation has them.

## Metrics

{metrics}

## Use

With `resjax predict` on image files, or anywhere with `pip install jax flatbuffers`:

```python
import pathlib
import jax.export
import numpy as np

program = jax.export.deserialize(bytearray(pathlib.Path("program.jax_export").read_bytes()))
logits = program.call(np.zeros((4, {image}), np.uint8))  # of any number of images, as stored: 0 to 255
```

Normalisation is inside; it is lowered for CPU, CUDA and TPU. Output: {logits} of each image, float32.

`parameters.safetensors` has parameters and statistics by the names of resjax, heads left out. {state_dict}
{classes}
## Where it is from

{origin}

```json
{config}
```
"""

OTHER_CLASS = {
    "torchvision": "torchvision's, or timm's,",
    "timm_d": "timm's",
    "cifar": "pytorch-cifar's (shortcuts B) or pytorch_resnet_cifar10's (A)",
    "wide": "WideResNet-pytorch's",
    "densenet": "efficient_densenet_pytorch's",
    "torchvision_densenet": "torchvision's, or timm's,",
    "torchvision_googlenet": "torchvision's (`aux_logits=False`)",
}


def text(facts: Mapping[str, Any], reason: str) -> str:
    """-> the card; `facts` are those of export.json, `reason` says why there is no state dict."""
    return TEXT.format(
        **{key: facts[key] for key in ("model", "data", "parameters", "step", "steps")},
        metrics=_metrics(facts["metrics"]),
        image=", ".join(map(str, facts["image"])),
        logits=_logits(facts["logits"]),
        state_dict=_state_dict(facts["naming"], reason),
        classes=_classes(facts["classes"]),
        origin=_origin(facts),
        config=json.dumps(facts["config"], indent=2, sort_keys=True),
    )


def _metrics(found: Mapping[str, float]) -> str:
    if not found:
        return "None is known of this step; `resjax eval` measures them."
    rows = [
        [name, f"{100 * value:.2f} %" if name.endswith("accuracy") else f"{value:.4g}"]
        for name, value in found.items()
    ]
    return markup.markdown(["of the net", "value"], rows)


def _logits(shape: list[int]) -> str:
    return f"{shape[-1]} logits" + (" for each pixel" if len(shape) > 1 else "")


def _state_dict(naming: str | None, reason: str) -> str:
    if naming is None:
        return f"There is no state dict for PyTorch, for {reason}."
    return (
        f"`pytorch.safetensors` is a state dict: `net.load_state_dict(safetensors.torch.load_file(...))` of"
        f" {OTHER_CLASS[naming]} class with the same layers, which reads normalised images (n, c, h, w)."
    )


def _classes(names: list[str]) -> str:
    return f"\nClasses, from 0: {', '.join(names)}.\n" if names else ""


def _origin(facts: Mapping[str, Any]) -> str:
    versions, device = facts["versions"], facts["device"]
    trained = facts["trained_by_commit"]
    return (
        f"{'Trained at commit ' + trained + ', e' if trained else 'E'}xported at commit {facts['commit']} by"
        f" jax {versions['jax']} on {device['kind']} ({device['platform']}). The config:"
    )
