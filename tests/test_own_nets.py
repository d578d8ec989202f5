"""Nets of a person's own, by `config.model.name=FILE.py:FUNCTION`: in every verb, and what is refused."""

import json
from pathlib import Path

import pytest
from refusal import check, refuse_to_train, write

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
    said = (r"config\.heads\[0\]\.endpoint is 'hiden'", "did you mean 'hidden'")
    refuse_to_train(capsys, file, tmp_path / "run", said=said)


NAMES = {
    "absent.py:net": ("there is no file absent.py", "Python file"),
    "net.txt:net": ("net.txt is not a Python file", r"must end in \.py"),
    "net.py": ("a function .* must be named", "net.py:net"),
    "net.py:nett": ("net.py has no function 'nett'", "did you mean 'net'"),
    "net.py:Own": ("net.py has no function 'Own'",),
}
# What a file has in place of the last line of NET, or of another one.
RETURN, PARTS = "return Own(classes, layers, width)", '("main", self.classify)'
DEFINED = "def net(classes, layers, /, *, width: int = 8)"
FILES = {
    (NET, "def net(: pass"): ("net.py: SyntaxError",),
    (NET, "raise RuntimeError('a\\nb')"): ("net.py: RuntimeError: a b",),
    (NET, "import nonexistent_package"): ("nonexistent_package",),
    (RETURN, "return 3"): ("which returned int", r"must return a resjax\.Trunk"),
    (RETURN, "return [classes]"): ("which returned list", r"must return a resjax\.Trunk"),
    (RETURN, "return Own(classes, layers, {width})"): ("fails: TypeError: .*unhashable",),
    (RETURN, "pass"): ("which returned NoneType", r"must return a resjax\.Trunk"),
    (RETURN, "return Own(classes, layers, wide=3)"): ("fails in line 23: TypeError", "wide"),
    (RETURN, "return Own(classes + 1, layers, width)"): (r"shape \(11,\)", "must have 10"),
    (DEFINED, "def net(classes)"): ("must take the number of classes and the layers", "as in def net"),
    (DEFINED, "def net(classes, layers, *, width=8)"): ("must take .* with a type",),
    (DEFINED, "def net(classes, layers, **width)"): ("must take .* by keyword",),
    (DEFINED, "def net(classes, layers, *, width: Width = 8)"): ("types of net .*Width",),
    (DEFINED, "def net(classes, layers, *, norm: str = '')"): ("'norm', a key that every net has",),
    (PARTS, '("logits", self.classify)'): (r"\['hidden', 'logits'\]", "must be 'main'"),
    ("nn.Dense(self.classes,", "nn.Dense(7,"): (r"an array of shape \(7,\)", "must have 10"),
    ("nn.Dense(self.width,", "nn.Dense(self.widht,"): ("fails in line 16: AttributeError", "widht"),
    ("nn.relu(", "self.param('w', nn.initializers.zeros, ()) + ("): ("the parameters w belong to no module",),
}


def refuse_net(tmp_path: Path, capsys: Capture, name: str, said: tuple[str, ...]) -> None:
    recipe_file = write(tmp_path, f"config.model = dict(name='{name}')")
    (tmp_path / "net.txt").write_text(NET)
    refuse_to_train(capsys, recipe_file, tmp_path / "run", said=(rf"config\.model\.name is '{name}'", *said))


@pytest.mark.parametrize("name", NAMES)
def test_a_name_that_leads_to_no_net_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Capture, name: str
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "net.py").write_text(NET)
    refuse_net(tmp_path, capsys, name, NAMES[name])


@pytest.mark.parametrize("change", FILES, ids=lambda change: change[1])
def test_a_net_that_fails_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Capture, change: tuple[str, str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert change[0] in NET
    (tmp_path / "net.py").write_text(NET.replace(*change))
    refuse_net(tmp_path, capsys, "net.py:net", FILES[change])


def test_a_value_that_a_net_refuses_by_its_key_is_told_as_one_of_ours(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    file = recipe(tmp_path)
    refusing = "raise ValueError(f'width is {width}; it must be even')"
    (tmp_path / "net.py").write_text(NET.replace(RETURN, refusing))
    with pytest.raises(UserError, match=r"^config\.model\.width is 5; it must be even$"):
        jobs.preview(configs.load(str(file)))


def test_another_folder_says_where_the_net_is_missing(
    trained: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Capture
) -> None:
    monkeypatch.chdir(tmp_path)
    code = main(["eval", "--workdir", str(trained / "run")])
    check(code, capsys.readouterr().err, r"config\.model\.name is 'net\.py:net'", "there is no file net.py")
