"""Small recipes with phases, and a run that is killed, for the tests of pretraining."""

from pathlib import Path
from typing import Any

import pytest

from resjax import config as configs
from resjax.checkpoint import Checkpoints
from resjax.config import Config
from resjax.mesh import Layout
from resjax.training import train

SHORT = {"name": "constant", "unit": "steps", "length": 6, "learning_rate": 0.1}
CONVOLUTIONAL: dict[str, Any] = dict(name="cifar_resnet", depth=8, width=8)


def with_phases(config: Config, *phases: dict[str, Any], **changes: Any) -> Config:
    flags = [f"--config.{key.replace('__', '.')}={value}" for key, value in changes.items()]
    return configs.override({**config.to_dict(), "phases": phases}, flags)


def head(endpoint: str, **settings: Any) -> dict[str, Any]:
    return {"name": f"at_{endpoint}", "endpoint": endpoint, "weight": 1.0, **settings}


def decoder(endpoint: str, form: str = "flattened_linear") -> dict[str, Any]:
    return head(endpoint, form=form, target="input", loss="squared_error")


def phase(
    name: str, *heads: dict[str, Any], steps: int = 6, rate: float = 0.1, **settings: Any
) -> dict[str, Any]:
    schedule = {**SHORT, "length": steps, "learning_rate": rate}
    return {"name": name, "heads": heads, "schedule": schedule, **settings}


def greedy(config: Config) -> Config:
    first = phase("first", head("block1"), until="block1")
    second = phase("second", head("block2"), after="block1", until="block2")
    return with_phases(config, first, second, model__depth=6)


def killed_and_resumed(
    config: Config,
    folder: Path,
    stop: int,
    monkeypatch: pytest.MonkeyPatch,
    layouts: tuple[Layout | None, Layout | None] = (None, None),
) -> dict[str, Any]:
    """-> the result of a run that dies when checkpoint `stop` has been made, and is started again.

    `layouts` are those of its devices, before and then.
    """
    save = Checkpoints.save

    def save_then_die(self: Checkpoints, at: int, *rest: Any) -> None:
        save(self, at, *rest)
        if at == stop:
            raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(Checkpoints, "save", save_then_die)
        with pytest.raises(KeyboardInterrupt):
            train(config, folder, layout=layouts[0])
    return train(config, folder, layout=layouts[1])
