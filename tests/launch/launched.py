"""What tests of launches have in common."""

import json
from pathlib import Path

import pytest

from experiments.launch.__main__ import main

Capture = pytest.CaptureFixture[str]
TPU = ["tpu-vm", "--name=mine", "--zone=europe-west4-b", "--type=v5litepod-8"]
XPK = ["xpk", "--name=mine", "--cluster=ours", "--type=v5litepod-16"]
SKY = ["skypilot", "--name=mine", "--bucket=runs", "--accelerators"]
ODD = "--config.optim.weight_decay=1e-4"
TARGETS = {
    "tpu-vm": TPU,
    "xpk": XPK,
    "skypilot": [*SKY, "tpu-v6e-8", "--spot"],
    "slurm": ["slurm", "--nodes=2", "--gpus=4", "--partition=big one"],
}


def called(notes: Path) -> list[list[str]]:
    lines = notes.read_text().splitlines() if notes.exists() else []
    notes.unlink(missing_ok=True)
    return [json.loads(line) for line in lines]


def dry(capsys: Capture, target: list[str], *words: str) -> str:
    capsys.readouterr()
    assert main([*target, "--dry-run", "--", *words]) == 0
    return capsys.readouterr().out
