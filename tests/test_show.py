"""What `resjax show` counts and prints."""

import re
from pathlib import Path
from typing import Any

import jax
import pytest
from selection import parametrize_sampled

from resjax.__main__ import main
from resjax.anatomy import summarize
from resjax.models import MODELS
from resjax.models.blocks import Layers
from resjax.models.forms import FORMS
from resjax.models.heads import Head, Net, attach

SHAPE = (16, 16, 3)
HEADS = (Head(name="early", endpoint="stem"),)
NETS = [
    ("cifar_resnet", dict(depth=8, width=4), HEADS),
    ("cifar_resnet", dict(depth=11, block="bottleneck", order="preactivation", shortcut="B"), ()),
    ("cifar_resnet", dict(depth=8, skip=False), ()),
    ("imagenet_resnet", dict(depth=18, width=8, shortcut="C"), HEADS),
    ("residual_mlp", dict(depth=6, width=8), HEADS),
    ("cifar_resnet", dict(depth=8, order="relu_preactivation", gate="exclusive", survival=0.5), ()),
]


def net_of(name: str, settings: dict[str, Any], heads: tuple[Head, ...], norm: Any = "batch") -> Net:
    pairs = [(head, FORMS[head.form]((10,))) for head in heads]
    return attach(MODELS[name](10, Layers(norm=norm), **settings), pairs)


def traced(net: Net) -> tuple[Any, Any]:
    """-> the variables' shapes, and the endpoints'."""
    image = jax.ShapeDtypeStruct((1, *SHAPE), "float32")
    variables: Any = jax.eval_shape(lambda x: net.init(jax.random.key(0), x, train=False), image)
    own = {kind: values["trunk"] for kind, values in variables.items()}
    endpoints = jax.eval_shape(lambda v, x: net.trunk.apply(v, x, train=False), own, image)
    return variables, endpoints


@parametrize_sampled("norm", ["batch", "group", "none"], default=["group"])
@pytest.mark.parametrize(("name", "settings", "heads"), NETS)
def test_the_total_is_the_sum_of_all_parameters(name: str, settings: Any, heads: Any, norm: str) -> None:
    net = net_of(name, settings | {"width": 8}, heads, norm)
    variables, _ = traced(net)
    assert summarize(net, SHAPE).parameters == sum(leaf.size for leaf in jax.tree.leaves(variables["params"]))


@pytest.mark.parametrize(("name", "settings", "heads"), NETS)
def test_the_endpoints_are_those_that_the_model_returns(name: str, settings: Any, heads: Any) -> None:
    net = net_of(name, settings, heads)
    _, endpoints = traced(net)
    found = summarize(net, SHAPE).endpoints
    assert found == {name: value.shape[1:] for name, value in endpoints.items()}


def test_a_layer_s_line_has_its_shape_parameters_and_multiply_adds() -> None:
    found = {layer.name: layer for layer in summarize(net_of(*NETS[0]), SHAPE).layers}
    second = found["trunk/stage2_block1/conv1"]
    assert (second.kind, second.shape) == ("Conv", (8, 8, 8))
    assert second.parameters == 3 * 3 * 4 * 8
    assert second.multiply_adds == 8 * 8 * second.parameters
    norm = found["trunk/stage2_block1/norm1"]
    assert (norm.parameters, norm.multiply_adds) == (2 * 8, 0)
    head = found["head_early/classifier"]
    assert (head.shape, head.parameters, head.multiply_adds) == ((10,), 50, 40)


def test_a_bias_costs_no_multiply_adds() -> None:
    with_bias, without = (summarize(net_of(*NETS[4], norm=norm), SHAPE) for norm in ("none", "batch"))
    assert with_bias.multiply_adds == without.multiply_adds
    assert with_bias.multiply_adds == 768 * 8 + 4 * 8 * 8 + 8 * 10 + 8 * 10


def printed(capsys: pytest.CaptureFixture[str], *argv: str) -> str:
    assert main(["show", *argv]) == 0
    return capsys.readouterr().out


def test_the_command_prints_every_layer_and_the_totals(
    root: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    text = printed(capsys, "--config", f"{root / 'configs' / 'digits.py'}:8")
    # 64 -> 64 seven times, each with scale and shift, and the classifier of 10.
    assert f"{7 * (64 * 64 + 2 * 64) + 650:,}" in text
    assert f"{7 * 64 * 64 + 640:,}" in text
    assert "trunk/block3/dense2" in text
    assert "10 classes" in text


def test_the_command_needs_no_data_set(
    root: Path, capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TFDS_DATA_DIR", str(tmp_path))
    config = str(root / "configs" / "cifar10_resnet.py")
    text = printed(capsys, "--config", config, f"--config.data.directory={tmp_path}")
    assert "input 32x32x3, 10 classes" in text
    assert "269,722" in text
    assert "40,551,040" in text
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("columns", ["40", "80", "200"])
def test_no_name_or_number_is_cut_whatever_the_width(
    root: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, columns: str
) -> None:
    """A pipe is 80 columns wide to Rich, and the names are what a head's endpoint is copied from."""
    monkeypatch.setenv("COLUMNS", columns)
    config = str(root / "configs" / "cifar10_resnet.py")
    text = printed(capsys, "--config", f"{config}:8")
    assert "…" not in text
    assert "trunk/stage3_block1/norm2" in text
    assert text.count("36,864") == 1


def test_overrides_change_what_is_shown(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    config = str(root / "configs" / "digits.py")
    text = printed(capsys, "--config", config, "--config.model.depth=4", "--config.model.width=8")
    assert f"{(64 * 8 + 16) + 2 * (64 + 16) + 90:,}" in text


def test_a_net_that_cannot_be_built_is_told_and_not_shown(
    root: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    config = str(root / "configs" / "digits.py")
    assert main(["show", "--config", config, "--config.model.depth=5"]) == 2
    found = capsys.readouterr()
    assert found.out == ""
    assert found.err.startswith("resjax: config.model.depth is 5; it must be even")


@pytest.mark.parametrize("heads", ["()", "({'name': 'early', 'endpoint': 'stem'},)"])
def test_a_width_that_groups_do_not_divide_is_told_by_its_key(
    tmp_path: Path, heads: str, capsys: pytest.CaptureFixture[str]
) -> None:
    config = tmp_path / "config.py"
    config.write_text(
        "from ml_collections import ConfigDict\n"
        "def get_config():\n"
        "    config = ConfigDict({'data': {'name': 'digits'}, 'model': {'name': 'residual_mlp'}})\n"
        "    config.schedule = {'length': 1, 'learning_rate': 0.1}\n"
        f"    config.heads = {heads}\n"
        "    config.model.update(norm='group', width=12)\n"
        "    return config\n"
    )
    assert main(["show", "--config", str(config)]) == 2
    assert re.match(r"resjax: config\.model\.(width|norm) is ", capsys.readouterr().err)
