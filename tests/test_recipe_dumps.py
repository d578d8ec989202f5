"""Committed text dumps of recipes, in which every changed default, mask or initial value shows as a diff."""

from collections.abc import Callable

import pytest
from recipe_dump import FOLDER, PHASES, Dump, render, render_keys, same_line

from resjax.models import MODELS
from resjax.optim import OPTIMIZERS, SCHEDULES

# Deep nets are listed with fewer layers if more of them only repeat lines.
DUMPS = (
    Dump("canvas.py", slow=True),
    Dump("canvas.py:fcn", slow=True),
    Dump("cifar10_resnet.py"),
    Dump(
        "cifar10_resnet.py:164", ("model.block=bottleneck", "model.shortcut=B", "model.depth=20"), slow=True
    ),
    Dump("cifar10_speed.py", slow=True),
    Dump("denoising_mnist.py", slow=True),
    Dump("densenet.py", ("model.depth=40",), slow=True),
    Dump("digits.py"),
    Dump("digits.py:8", ("optim.name=adadelta",)),
    Dump("digits.py:8", ("optim.name=adagrad",)),
    Dump("digits.py:8", ("optim.name=lion",)),
    Dump("dsn.py", slow=True),
    Dump("dsn.py:released", slow=True),
    Dump("googlenet.py", slow=True),
    Dump("googlenet.py:cifar", slow=True),
    Dump("growing_cifar10.py", slow=True),
    Dump("highway.py"),
    Dump("hints_mnist.py", slow=True),
    Dump("identity_start.py", ("model.depth=20",)),
    Dump("identity_start.py:skipinit", slow=True),
    Dump("imagenet_densenet.py", slow=True),
    Dump("imagenet_resnet.py", slow=True),
    Dump("layerwise_cifar.py", slow=True),
    Dump("mixer.py", slow=True),
    Dump("mnist_ode.py", slow=True),
    Dump("mnist_recurrent.py", slow=True),
    Dump("mnist_resnet.py"),
    Dump("mnist_resnet18.py", slow=True),
    Dump("mnist_resnet18.py:rmsprop", slow=True),
    Dump("resnext.py", slow=True),
    Dump("resnext.py:50-32x4d", slow=True),
    Dump("shattered.py", slow=True),
    Dump("shattered.py:looks_linear", ("model.depth=10",), slow=True),
    Dump("stochastic_depth.py", ("model.depth=20",), slow=True),
    Dump("supervision.py:cifar10,20,heads", slow=True),
    Dump("supervision.py:digits,8,greedy"),
    Dump("supervision.py:mnist_conv,8,denoising", slow=True),
    Dump("vit.py", slow=True),
    Dump("vit.py:b16", slow=True),
    Dump("wide_resnet.py", slow=True),
)
LINE = f"{'trunk/conv/kernel':<24}{'3x3x3x16':<16}{'float32':<10}{'decay':<10}{{:>12}}{{:>12}}"


@pytest.mark.golden
@pytest.mark.parametrize("dump", DUMPS, ids=str)
def test_recipe_dump_is_unchanged(
    dump: Dump, golden: Callable[..., None], pytestconfig: pytest.Config
) -> None:
    if dump.slow and not pytestconfig.getoption("--update-golden"):
        file = FOLDER.parent / "tests" / "golden" / dump.file
        _, heading, after = file.read_text().partition(PHASES) if file.exists() else ("", "", "")
        golden(dump.file, render_keys(dump) + heading + after)
    else:
        golden(dump.file, render(dump), same=same_line)


@pytest.mark.slow
@pytest.mark.parametrize("dump", [dump for dump in DUMPS if dump.slow], ids=str)
def test_slow_recipe_dump_is_unchanged(dump: Dump, golden: Callable[..., None]) -> None:
    golden(dump.file, render(dump), same=same_line)


def test_recipe_dumps_cover_every_config() -> None:
    assert {dump.recipe.partition(":")[0] for dump in DUMPS} == {file.name for file in FOLDER.glob("*.py")}


def test_recipe_dumps_cover_every_model_and_optimizer() -> None:
    configs = [dump.config for dump in DUMPS]
    assert {config.model.name for config in configs} == set(MODELS)
    assert {config.optim.name for config in configs} == set(OPTIMIZERS)
    sections = [section for config in configs for section in (config, *config.phases)]
    assert {section.schedule.name for section in sections} == set(SCHEDULES)


def test_recipe_dumps_leave_no_file_over() -> None:
    folder = FOLDER.parent / "tests" / "golden" / "recipes"
    assert {file.name for file in folder.iterdir()} == {f"{dump}.txt" for dump in DUMPS}


@pytest.mark.parametrize(
    ("mean", "std", "same"),
    [
        ("0.001", "0.1", True),
        ("0.00119", "0.1001", True),
        ("0.0013", "0.1", False),
        ("0.001", "0.1003", False),
    ],
)
def test_same_line_tolerates_a_share_of_the_std(mean: str, std: str, same: bool) -> None:
    assert same_line(LINE.format("0.001", "0.1"), LINE.format(mean, std)) == same


@pytest.mark.parametrize(
    ("old", "new"), [("decay ", "frozen"), ("float32 ", "bfloat16"), ("3x3x3x16", "3x3x3x32")]
)
def test_same_line_compares_the_other_columns_as_text(old: str, new: str) -> None:
    line = LINE.format("0.001", "0.1")
    assert not same_line(line, line.replace(old, new))


def test_same_line_compares_constants_and_keys_exactly() -> None:
    assert not same_line(LINE.format("1", "0"), LINE.format("1.0005", "0"))
    assert not same_line("optim.momentum = 0.9", "optim.momentum = 0.9001")
