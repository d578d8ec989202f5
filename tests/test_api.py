"""What `import resjax` offers: the names, that they do what the verbs do, and the README's lines on them."""

import inspect
import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import small_table
from recipe import head, phase, with_phases

import resjax
from resjax import config as configs
from resjax import table
from resjax.checkpoint import Checkpoints
from resjax.config import Config
from resjax.data import sources
from resjax.probes import findings

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text()
CODE = """
import sys
import resjax
assert {"train", "load", "UserError"} <= set(dir(resjax))
assert not {"jax", "numpy", "flax"} & sys.modules.keys(), "before anything is asked for"
assert resjax.UserError.exit_code == 2
assert "jax" not in sys.modules
"""


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run with a head, a moving average, and logits that are means over mirror images."""
    settings = {
        "data": {"name": "digits"},
        "model": {"name": "residual_mlp", "depth": 4, "width": 8},
        "heads": (head("stem"),),
        "schedule": {"name": "constant", "unit": "steps", "length": 6, "learning_rate": 0.1},
        "train": {"batch_size": 100, "ema_decay": 0.5, "eval_mirrored": True},
    }
    folder = tmp_path_factory.mktemp("api") / "run"
    resjax.train(resjax.load_config(settings), str(folder))
    return folder


@pytest.fixture(scope="module")
def images() -> np.ndarray:
    return np.asarray(sources.load(name="digits").test.images[:])


def section(title: str) -> str:
    return README.partition(f"\n## {title}\n")[2].partition("\n## ")[0]


def test_importing_it_imports_nothing_that_takes_long() -> None:
    subprocess.run([sys.executable, "-c", CODE], check=True, cwd=ROOT, timeout=300)


def test_every_name_is_there_and_told_of_in_the_docstring_and_the_readme() -> None:
    told = re.findall(r"`(\w+)", "".join(re.findall(r"^\| (`.*?) \|", section("From Python"), re.MULTILINE)))
    listed = (resjax.__doc__ or "").partition("`resjax.NAME`")[2]
    assert sorted(told) == sorted(resjax.__all__)
    for name in resjax.__all__:
        found = getattr(resjax, name)
        assert found.__name__ == name
        assert re.search(rf"^    (\w+, )*{name}\b", listed, re.MULTILINE), name
        assert not (ROOT / "resjax" / f"{name}.py").exists()  # such a module would take its place


@pytest.mark.parametrize("name", [name for name in resjax.__all__ if name.islower()])
def test_a_function_s_docstring_has_a_line_to_run_and_says_what_is_raised(name: str) -> None:
    text = inspect.getdoc(getattr(resjax, name)) or ""
    assert re.search(rf"^    .*resjax\.{name}\(", text, re.MULTILINE)
    assert "Raises:\n  UserError: " in text


def test_another_name_is_none() -> None:
    with pytest.raises(AttributeError, match="trian"):
        _ = resjax.trian  # pyright: ignore[reportAttributeAccessIssue]


def test_a_config_is_the_same_from_a_file_and_from_a_dictionary(tmp_path: Path) -> None:
    small_table.write(tmp_path)
    wider = "--config.model.width=9"
    found = resjax.load_config(tmp_path / "config.py", wider)
    assert configs.difference(found, resjax.load_config(f"{tmp_path}/config.py:4", wider)) == {}
    assert configs.difference(found, resjax.load_config(json.loads(configs.to_json(found)))) == {}
    with pytest.raises(resjax.UserError, match=r"config\.model\.dpeth"):
        resjax.load_config({"data": {"name": "digits"}, "model": {"name": "residual_mlp", "dpeth": 4}})


def test_a_net_is_built_without_its_data(tmp_path: Path) -> None:
    flags = [f"--config.data.directory={tmp_path}", "--config.model.width=2"]
    config = resjax.load_config(ROOT / "configs/cifar10_resnet.py", *flags)
    headed = {**config.to_dict(), "heads": (head("stage1_block1"),)}
    net = resjax.build(resjax.load_config(headed, "--config.model.depth=8"))
    images = jnp.zeros((3, 32, 32, 3))
    found: Any = jax.eval_shape(lambda x: net.init_with_output(jax.random.key(0), x, train=False)[0], images)
    assert {name: each.shape for name, each in found.items()} == dict.fromkeys(
        ("main", "at_stage1_block1"), (3, 10)
    )


def test_a_run_s_net_gives_the_logits_of_its_evaluation(run: Path, images: np.ndarray) -> None:
    net, labels = resjax.load(run), sources.load(name="digits").test.labels
    logits = np.asarray(net(images))
    assert (net.step, logits.shape, logits.dtype, net.config.model.width) == (6, (360, 10), np.float32, 8)
    report = resjax.evaluate(str(run))
    assert np.mean(logits.argmax(-1) == labels) == pytest.approx(report["accuracy"], abs=1e-6)
    inputs = net.pipeline.evaluate(jnp.asarray(images))
    outputs: Any = net.net.apply(net.variables, inputs, train=False)
    mirrored: Any = net.net.apply(net.variables, inputs[:, :, ::-1], train=False)
    np.testing.assert_allclose(logits, (outputs["main"] + mirrored["main"]) / 2, atol=1e-5)
    early = np.asarray(outputs["at_stem"] + mirrored["at_stem"]).argmax(-1)
    assert np.mean(early == labels) == pytest.approx(report["at_stem/accuracy"], abs=1e-6)


OTHER_IMAGES = {
    "float": np.zeros((2, 8, 8, 1), np.float32),
    "shape": np.zeros((2, 28, 28, 1), np.uint8),
    "one": np.zeros((8, 8, 1), np.uint8),
}


def test_other_images_are_refused(run: Path) -> None:
    model = resjax.load(run)
    for images in OTHER_IMAGES.values():
        with pytest.raises(resjax.UserError, match=f"{images.dtype} .*shape"):
            model(images)


def test_a_checkpoint_of_pretraining_is_refused(
    tiny: Config, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    save = Checkpoints.save

    def save_then_die(self: Checkpoints, *rest: Any) -> None:
        save(self, *rest)
        raise KeyboardInterrupt

    monkeypatch.setattr(Checkpoints, "save", save_then_die)
    with pytest.raises(KeyboardInterrupt):
        resjax.train(with_phases(tiny, phase("first", head("stem"), until="stem")), tmp_path / "run")
    with pytest.raises(resjax.UserError, match="phase 'first'"):
        resjax.load(tmp_path / "run")
    with pytest.raises(resjax.UserError, match="phase 'first'"):
        resjax.export(tmp_path / "run", tmp_path / "out")
    with pytest.raises(resjax.UserError, match="checkpoint '3'"):
        resjax.load(tmp_path / "run", 3)


def test_what_is_exported_gives_its_probabilities(run: Path, tmp_path: Path, images: np.ndarray) -> None:
    resjax.export(str(run), str(tmp_path / "out"))
    found = resjax.Predictor(str(tmp_path / "out"))(images[:4])
    np.testing.assert_allclose(found, jax.nn.softmax(resjax.load(run)(images[:4])), atol=1e-5)


def test_a_probe_is_what_the_verb_measures(run: Path, tmp_path: Path) -> None:
    found = resjax.probe("gradients", f"own={run}", out=str(tmp_path), examples=16)
    written = (tmp_path / "gradients.json").read_text()
    measured, kept = (json.loads(text)["findings"] for text in (findings.to_json(found), written))
    assert measured == kept
    assert (found.labels, found.settings["examples"]) == (["own"], 16)
    with pytest.raises(resjax.UserError, match="exmples"):
        resjax.probe("gradients", str(run), out=tmp_path, exmples=16)
    with pytest.raises(resjax.UserError):
        resjax.probe("gradients", out=tmp_path)


def test_a_table_is_run_by_its_file_and_as_it_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    file = small_table.write(tmp_path, steps=2)
    text = resjax.run_table(file, seed=0, quiet=True)
    assert sorted(path.name for path in small_table.records(tmp_path)) == [
        "plain-4-seed0.json", "residual-4-seed0.json"
    ]  # fmt: skip
    assert (tmp_path / "results" / "small" / "small.md").exists()
    assert re.search(r"^residual 4 +\d.* 1 ", text, re.MULTILINE)
    before = [path.stat().st_mtime_ns for path in small_table.records(tmp_path)]
    assert resjax.run_table(table.load(str(file)), seed=0, quiet=True) == text
    assert [path.stat().st_mtime_ns for path in small_table.records(tmp_path)] == before
    with pytest.raises(resjax.UserError, match="--row"):
        resjax.run_table(str(file), row="x")


def test_the_readme_s_lines_do_what_they_say(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (code,) = re.findall(r"```python\n(.*?)```", section("From Python"), re.DOTALL)
    monkeypatch.chdir(tmp_path)
    (tmp_path / "configs").symlink_to(ROOT / "configs")
    exec(code, {})
    result = json.loads((tmp_path / "runs" / "plain8" / "result.json").read_text())
    assert result["config"]["model"]["skip"] is False
    assert f"{result['metrics']['test/accuracy']}" in capsys.readouterr().out


def test_no_module_here_imports_what_is_offered_elsewhere() -> None:
    """They import each other by their own names; `from resjax import train` would hide which one it is."""
    for path in (ROOT / "resjax").rglob("*.py"):
        if path.name != "__init__.py":
            found = re.findall(r"^ *from resjax import (.+)$", path.read_text(), re.MULTILINE)
            names = {name.strip().partition(" as ")[0] for line in found for name in line.split(",")}
            assert names.isdisjoint(resjax.__all__), path
