"""What tests of launches have in common."""

import json
import subprocess
from pathlib import Path

import pytest

from experiments.launch.__main__ import main

Capture = pytest.CaptureFixture[str]
TPU = ["tpu-vm", "--name=mine", "--zone=europe-west4-b", "--type=v5litepod-8"]
XPK = ["xpk", "--name=mine", "--cluster=ours", "--type=v5litepod-16"]
SKY = ["skypilot", "--name=mine", "--bucket=runs", "--accelerators"]
ODD = "--config.optim.weight_decay=1e-4"
TABLE = ["table", "table.py", "--row", "plain 4", "--results", "results"]
ELSEWHERE = {"tpu-vm": TPU, "xpk": XPK, "skypilot": [*SKY, "tpu-v6e-8", "--spot"]}
TARGETS = {**ELSEWHERE, "slurm": ["slurm", "--nodes=2", "--gpus=4", "--partition=big one"]}
OF_TABLES = {**ELSEWHERE, "slurm": ["slurm", "--gpus=4", "--partition=big one"]}


def commit(folder: Path) -> None:
    """Makes all that lies in the folder its last commit, and a git repository of it if need be."""
    author = ["-c", "user.name=a", "-c", "user.email=a@example.org"]
    for words in (["init"], ["add", "--all", "."], [*author, "commit", "-m", "all"]):
        subprocess.run(["git", *words], cwd=folder, check=True, capture_output=True)


def called(notes: Path) -> list[list[str]]:
    lines = notes.read_text().splitlines() if notes.exists() else []
    notes.unlink(missing_ok=True)
    return [json.loads(line) for line in lines]


def dry(capsys: Capture, target: list[str], *words: str) -> str:
    capsys.readouterr()
    assert main([*target, "--dry-run", "--", *words]) == 0
    return capsys.readouterr().out
