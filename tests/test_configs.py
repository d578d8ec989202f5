"""Every file in configs/ is a sound recipe: it loads, explains itself, and its net is built without data."""

import ast
from pathlib import Path

import numpy as np
import pytest
from ml_collections import ConfigDict
from selection import parametrize_sampled

from resjax import config as configs
from resjax import job as jobs
from resjax import optim
from resjax.__main__ import main
from resjax.config import Config
from resjax.data import sources

FOLDER = Path(__file__).parent.parent / "configs"
FILES = sorted(FOLDER.glob("*.py"))
# Another argument for each, and the parameters of the net with the heads of the last phase, but for a
# teacher's: a file that is not named here fails.
OTHER = {
    "canvas.py": ("fcn", 269_787 - 288 + 32 * 9 * 64 + 2 * 64 + 64 * 11 + 11),
    "cifar10_resnet.py": ("56", 853_018),
    "cifar10_speed.py": ("94", 6_573_130 + 9 * 9 * 64),
    "denoising_mnist.py": ("none", 2_797_010),
    "densenet.py": ("40-12", 1_019_722),
    "digits.py": ("8", 30_218),
    "dsn.py": ("released", 966_986),
    "googlenet.py": ("cifar", 7_078_718),
    "growing_cifar10.py": ("110", 1_727_962),
    "highway.py": ("32", 151_178),
    "hints_mnist.py": ("32", 45_965),
    "identity_start.py": ("rezero", 853_018 + 27),
    "imagenet_densenet.py": ("161", 28_681_000),
    "imagenet_resnet.py": ("18", 11_689_512),
    "layerwise_cifar.py": ("3", 3_112_842),
    "mixer.py": ("b16", 59_880_472),
    "mnist_ode.py": ("euler", 232_970),
    "mnist_recurrent.py": ("pixels", 17_930),
    "mnist_resnet.py": ("14", 172_218),
    "mnist_resnet18.py": ("rmsprop", 11_175_370),
    "resnext.py": ("50-32x4d", 25_028_904),
    "shattered.py": ("residual_norm", 1_954_410),
    "stochastic_depth.py": ("56", 853_018),
    "supervision.py": ("digits,8", 30_218),
    "vit.py": ("cifar10", 2_693_194),
    "wide_resnet.py": ("16-8", 10_961_370),
}
# The argument is not the depth.
NAMED = (
    "canvas.py", "cifar10_speed.py", "denoising_mnist.py", "densenet.py", "dsn.py", "googlenet.py",
    "highway.py", "identity_start.py", "layerwise_cifar.py", "mixer.py", "mnist_ode.py", "mnist_recurrent.py",
    "mnist_resnet18.py", "resnext.py", "shattered.py", "supervision.py", "vit.py", "wide_resnet.py",
)  # fmt: skip
CONSTANT = ("mnist_resnet18.py",)  # the learning rate
DEPTHS = [file for file in FILES if file.name not in NAMED]


# Models of these are built by default; tests/golden/recipes has keys and counts of all.
SMALL = ("digits.py", "dsn.py", "highway.py", "hints_mnist.py", "mnist_recurrent.py", "supervision.py")


@pytest.fixture(params=FILES, ids=lambda file: file.stem)
def file(request: pytest.FixtureRequest) -> Path:
    return request.param


def alone(config: Config) -> Config:
    """-> the config without what needs another run."""
    if not config.teacher.run:
        return config
    heads = tuple(head for head in config.heads if head.target != "teacher")
    return configs.override({**config, "heads": heads, "phases": (), "teacher": ConfigDict()}, [])


def test_there_is_another_argument_for_each() -> None:
    assert [file.name for file in FILES] == sorted(OTHER)


def test_it_says_what_it_is_and_which_command_runs_it(file: Path) -> None:
    text = ast.get_docstring(ast.parse(file.read_text())) or ""
    assert f"resjax train --config configs/{file.name}" in text
    assert "--workdir runs/" in text


def test_it_is_completed_and_needs_no_more(file: Path) -> None:
    config = configs.load(str(file))
    assert configs.difference(configs.from_json(configs.to_json(config)), config) == {}


@parametrize_sampled("file", FILES, default=lambda file: file.name in SMALL, ids=lambda file: file.stem)
def test_its_net_is_built_without_the_data(file: Path, tmp_path: Path) -> None:
    config = configs.load(str(file), [f"--config.data.directory={tmp_path}"])
    _, classes = sources.describe(**config.data.to_dict())
    net, found, _ = jobs.preview(alone(config))
    assert net.output_names[0] == "main"
    assert found.layers[-1].shape[-1] == classes
    assert not list(tmp_path.iterdir())


def test_its_learning_rate_reaches_the_peak_and_falls(file: Path) -> None:
    config = configs.load(str(file))
    rate, total = optim.make_schedule(390.625, **config.schedule.to_dict())
    rates = rate(np.linspace(0, total - 1, 2_000, dtype=int))  # ImageNet's have half a million steps
    assert float(rates.max()) == pytest.approx(config.schedule.learning_rate, rel=1e-3)
    if file.name not in CONSTANT:
        assert float(rates[-1]) < 0.3 * float(rates.max())


@parametrize_sampled("file", FILES, default=lambda file: file.name in SMALL, ids=lambda file: file.stem)
def test_its_argument_makes_another_net(file: Path) -> None:
    argument, parameters = OTHER[file.name]
    config = configs.load(f"{file}:{argument}")
    assert configs.difference(config, configs.load(str(file)))
    if file in DEPTHS:
        assert config.model.depth == int(argument) != configs.load(str(file)).model.depth
    _, found, _ = jobs.preview(alone(config))
    assert found.parameters == parameters


@pytest.mark.parametrize("argument", ["deep", "2.5"])
def test_a_bad_argument_gives_one_sentence(
    file: Path, argument: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["show", "--config", f"{file}:{argument}"]) == 2
    said = capsys.readouterr().err
    assert said.startswith("resjax: ")
    assert said.count("\n") == 1
    assert str(file) in said
    assert f"'{argument}'" in said


@pytest.mark.parametrize("file", DEPTHS, ids=lambda file: file.stem)
def test_a_depth_that_the_family_lacks_gives_one_sentence(
    file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["show", "--config", f"{file}:3", "--config.teacher.run="]) == 2
    said = capsys.readouterr().err
    assert said.startswith("resjax: config.model.depth is 3; ")
    assert said.count("\n") == 1
