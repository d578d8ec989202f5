"""Nets of a person's own, by `config.model.name=FILE.py:FUNCTION`: in every verb, and what is refused."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from refusal import check, refuse_to_train, transcript, write

from resjax import config as configs
from resjax import job as jobs
from resjax.__main__ import main
from resjax.errors import UserError
from resjax.families import FAMILIES
from resjax.models import MODELS

Capture = pytest.CaptureFixture[str]
NET = """
from __future__ import annotations

import flax.linen as nn

from resjax import Trunk


class Own(Trunk):
    width: int = 3

    def parts(self, layers):
        return [("hidden", self.hidden), ("main", self.classify)]

    def hidden(self, x):
        return nn.relu(nn.Dense(self.width, name="dense")(x.reshape(x.shape[0], -1)))

    def classify(self, x):
        return nn.Dense(self.classes, name="classifier")(x)


def net(classes, layers, /, *, width: int = 8):
    return Own(classes, layers, width)
"""
HEAD = "config.heads = (dict(name='early', endpoint='hidden', form='flattened_linear'),)"
SHORT = "config.schedule.length = 2"
OWN = "config.model = dict(name='net.py:net', width=5)"
TABLE = """
from resjax.table import Row, Table

def get_table():
    row = Row(label="own", config="recipe.py", overrides={"model.width": 4})
    return Table(name="own", title="t", rows=(row,), seeds=(0,), keep_records=False)
"""


def recipe(folder: Path, *lines: str) -> Path:
    (folder / "net.py").write_text(NET)
    (folder / "table.py").write_text(TABLE)
    return write(folder, "\n    ".join((OWN, SHORT, *lines)))


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a net, a config and a run of them."""
    folder = tmp_path_factory.mktemp("own")
    recipe(folder, HEAD)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        assert main(["train", "--config", "recipe.py", "--workdir", "run", "--quiet"]) == 0
    return folder


VERBS = {
    "eval --workdir run": "early/accuracy",
    "show --config recipe.py": "net.py:net, input 8x8x1, 10 classes",
    "plan --config recipe.py": "net.py:net",
    "probe gradients --workdir run --probe.examples=16 --quiet": " early ",
    "export --workdir run --out exported": "the model card",
    "table table.py --workdir runs --results found --quiet": "`resjax train --config recipe.py",
}


@pytest.mark.parametrize("command", VERBS)
def test_it_works_in_every_verb(
    trained: Path, capsys: Capture, monkeypatch: pytest.MonkeyPatch, command: str
) -> None:
    monkeypatch.chdir(trained)
    assert main(command.split()) == 0
    assert VERBS[command] in capsys.readouterr().out


def test_its_arguments_are_keys_of_the_config_and_its_parts_endpoints(trained: Path) -> None:
    result = json.loads((trained / "run" / "result.json").read_text())
    assert result["config"]["model"] | {"name": "net.py:net", "width": 5} == result["config"]["model"]
    assert {"test/accuracy", "test/early/accuracy"} <= result["metrics"].keys()


def test_its_key_has_the_default_of_its_argument_and_takes_overrides(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    recipe(tmp_path)
    plain = write(tmp_path)
    by_name = configs.load(str(plain), ["--config.model.name=net.py:net"])
    assert (by_name.model.width, "depth" in by_name.model) == (8, False)
    wide = configs.load(str(plain), ["--config.model.name=net.py:net", "--config.model.width=6"])
    net, found, _ = jobs.preview(wide)
    assert type(net.trunk).__name__ == "Own"
    assert found.parameters == 64 * 6 + 6 + 6 * 10 + 10


def test_a_file_that_has_not_changed_is_run_once_and_one_that_has_again(tmp_path: Path) -> None:
    """Nets of one file must be equal, for programs and features are kept by them."""
    file = tmp_path / "net.py"
    file.write_text(NET)
    name = f"{file}:net"
    assert FAMILIES[name] is FAMILIES[name]
    before = FAMILIES[name]
    file.write_text(NET.replace("int = 8", "int = 90"))
    assert FAMILIES[name] is not before
    assert (before.__kwdefaults__, FAMILIES[name].__kwdefaults__) == ({"width": 8}, {"width": 90})
    assert list(FAMILIES) == list(MODELS)


def test_a_head_at_an_endpoint_that_it_lacks_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Capture
) -> None:
    monkeypatch.chdir(tmp_path)
    file = recipe(tmp_path, HEAD.replace("'hidden'", "'hiden'"))
    refuse_to_train(capsys, file, tmp_path / "run", names="config.heads[0].endpoint")


NAMES = ("absent.py:net", "net.txt:net", "net.py", "net.py:nett", "net.py:Own")
# What a file has in place of the last line of NET, or of another one.
RETURN, PARTS = "return Own(classes, layers, width)", '("main", self.classify)'
DEFINED = "def net(classes, layers, /, *, width: int = 8)"
FILES = {
    (NET, "def net(: pass"): "SyntaxError",
    (NET, "raise RuntimeError('a\\nb')"): "RuntimeError: a b",
    (NET, "import nonexistent_package"): "nonexistent_package",
    (RETURN, "return 3"): "int",
    (RETURN, "return [classes]"): "list",
    (RETURN, "return Own(classes, layers, {width})"): "TypeError",
    (RETURN, "pass"): "NoneType",
    (RETURN, "return Own(classes, layers, wide=3)"): "line 23: TypeError",
    (RETURN, "return Own(classes + 1, layers, width)"): "(11,)",
    (DEFINED, "def net(classes)"): "layers",
    (DEFINED, "def net(classes, layers, *, width=8)"): "width",
    (DEFINED, "def net(classes, layers, **width)"): "width",
    (DEFINED, "def net(classes, layers, *, width: Width = 8)"): "Width",
    (DEFINED, "def net(classes, layers, *, norm: str = '')"): "'norm'",
    (PARTS, '("logits", self.classify)'): "'main'",
    ("nn.Dense(self.classes,", "nn.Dense(7,"): "(7,)",
    ("nn.Dense(self.width,", "nn.Dense(self.widht,"): "line 16: AttributeError",
    ("nn.relu(", "self.param('w', nn.initializers.zeros, ()) + ("): "parameters w ",
}


@pytest.mark.golden
def test_files_without_a_valid_model_are_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Capture, golden: Callable[[str, str], None]
) -> None:
    monkeypatch.chdir(tmp_path)
    file = tmp_path / "net.py"
    (tmp_path / "net.txt").write_text(NET)
    messages = {}
    for name in NAMES:
        file.write_text(NET)
        config = write(tmp_path, f"config.model = dict(name='{name}')")
        messages[name] = refuse_to_train(capsys, config, tmp_path / "run", names=name.split(":")[0])
        assert f"config.model.name is '{name}'" in messages[name]
    config = write(tmp_path, "config.model = dict(name='net.py:net')")
    for (old, new), name in FILES.items():
        assert old in NET
        file.write_text(NET.replace(old, new))
        messages[new] = refuse_to_train(capsys, config, tmp_path / "run", names=name)
        assert "config.model.name is 'net.py:net'" in messages[new]
    golden("messages/own_models.txt", transcript(messages, FOLDER=tmp_path))


def test_a_value_that_a_net_refuses_by_its_key_is_told_as_one_of_ours(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    file = recipe(tmp_path)
    refusing = "raise ValueError(f'width is {width}; it must be even')"
    (tmp_path / "net.py").write_text(NET.replace(RETURN, refusing))
    with pytest.raises(UserError, match=r"^config\.model\.width is 5"):
        jobs.preview(configs.load(str(file)))


def test_another_folder_says_where_the_net_is_missing(
    trained: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Capture
) -> None:
    monkeypatch.chdir(tmp_path)
    code = main(["eval", "--workdir", str(trained / "run")])
    check(code, capsys.readouterr().err, "config.model.name", "net.py")
