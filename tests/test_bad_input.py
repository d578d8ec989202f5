"""Bad configs and command lines: one sentence that names the key or file and says what would do."""

from pathlib import Path

import pytest
from refusal import CONFIG, refuse, refuse_to_train, write

Capture = pytest.CaptureFixture[str]
CIFAR = "--config.model.name=cifar_resnet"
STEP = "--config.schedule.name=step"

OVERRIDES = {
    # unknown names
    "--config.modle.depth=4": ("modle", "did you mean 'model'"),
    "--config.sede=4": ("sede", "did you mean 'seed'"),
    "--config.model.dpeth=4": (r"config\.model", "did you mean 'depth'"),
    "--config.heads[0].weight=1": (r"config\.heads has 0", "0"),
    "--config.model.name=residual_mpl": (r"config\.model\.name", "did you mean 'residual_mlp'"),
    "--config.optim.name=sdg": (r"config\.optim\.name", "did you mean 'sgd'"),
    "--config.schedule.name=cosinus": (r"config\.schedule\.name", "did you mean 'cosine'"),
    "--config.data.name=digit": (r"config\.data\.name", "'digits', 'tfds:NAME', 'npz:PREFIX' or"),
    "--config.input.normalize=chanel": (r"config\.input\.normalize", "one of 'channel_mean_std'"),
    "--config.model.dtype=float16": (r"config\.model\.dtype", "'float32', 'bfloat16'"),
    # wrong types and forms
    "--config.seed=x": (r"config\.seed", "a whole number"),
    "--config.model.depth=deep": (r"config\.model\.depth", "a whole number"),
    "--config.model.depth=4.5": (r"config\.model\.depth", "a whole number"),
    "--config.model.skip=maybe": (r"config\.model\.skip", "True or False"),
    "--config.schedule.length=long": (r"config\.schedule\.length", "a number"),
    f"{STEP} --config.schedule.drops=late": (r"config\.schedule\.drops", "number|float"),
    f"{STEP} --config.schedule.drops=(1,'a')": (r"config\.schedule\.drops", "number|float"),
    "--config.model=1": (r"config\.model is a section", "depth"),
    "--config.model.depth": (r"config\.model\.depth", "missing|whole number"),
    "--noconfig.model.depth": (r"config\.model\.depth", "[Dd]id you mean|whole number"),
    "--config.heads=(1,)": (r"config\.heads", "dictionary"),
    "depth=3": ("'depth=3'", r"--config\.model\.depth=56"),
    "--fast": ("--fast", r"--config\.model\.depth=56|--help"),
    "--workdr=here": ("--workdr", r"--config\.model\.depth=56|--help"),
    # impossible values
    "--config.seed=-1": (r"config\.seed is -1", "must"),
    f"--config.seed={2**64}": (r"config\.seed is 18446744073709551616", "must"),
    "--config.data.holdout_seed=-1": (r"config\.data\.holdout_seed is -1", "must"),
    "--config.model.depth=5": (r"config\.model\.depth is 5", "even .* 6"),
    f"{CIFAR} --config.model.depth=21": (r"config\.model\.depth is 21", "20 or 26"),
    f"{CIFAR} --config.model.block=bottleneck --config.model.depth=8": ("depth is 8", "11 or 20"),
    "--config.model.name=imagenet_resnet --config.model.depth=19": ("depth is 19", "18, 26, 34, 50, 101"),
    f"{CIFAR} --config.model.depth=8 --config.model.survival=0.5 --config.model.skip=False": (
        r"config\.model\.survival is 0\.5, but skip is False",
        "leave survival out or set skip to True",
    ),
    "--config.model.width=0": (r"config\.model\.width is 0", "at least 1"),
    "--config.model.norm=group --config.model.width=4": (r"config\.model\.(norm|width) is", "8"),
    "--config.model.norm_momentum=1": (r"config\.model\.norm_momentum is 1", "below 1"),
    "--config.model.norm_examples=-1": (r"config\.model\.norm_examples is -1", "at least 0"),
    "--config.model.norm_examples=30": (r"config\.model\.norm_examples is 30", "batch_size, 100"),
    "--config.model.norm_examples=50 --config.model.norm=group": ("norm_examples is 50", "must be 0"),
    "--config.train.batch_size=0": (r"config\.train\.batch_size is 0", "at least 1"),
    "--config.train.batch_size=1401": (r"config\.train\.batch_size is 1401", "1400"),
    "--config.train.label_smoothing=1": (r"config\.train\.label_smoothing is 1", "below 1"),
    "--config.train.ema_decay=-0.1": (r"config\.train\.ema_decay is -0\.1", "from 0"),
    "--config.train.eval_every=0": (r"config\.train\.eval_every is 0", "above 0"),
    "--config.train.eval_every=inf": (r"config\.train\.eval_every is inf", "must"),
    "--config.model.name=googlenet": (
        r"'googlenet', of whose images of 8 x 8 pixels nothing is left",
        "stem",
    ),
    "--config.data.holdout=1437": (r"config\.data\.holdout is 1437", "0 to 1436"),
    "--config.data.image_size=8": (r"config\.data\.image_size is 8", "tfds:NAME"),
    "--config.input.pad=-1": (r"config\.input\.pad is -1", "at least 0"),
    "--config.input.pad=8 --config.input.pad_mode=reflect": (r"config\.input\.pad is 8", "below 8"),
    "--config.input.normalize=imagenet": (r"config\.input\.normalize is 'imagenet'", "3 channels"),
    "--config.optim.weight_decay=-1": (r"config\.optim\.weight_decay is -1", "at least 0"),
    "--config.optim.momentum=1": (r"config\.optim\.momentum is 1", "below 1"),
    "--config.schedule.length=0": (r"config\.schedule\.length is 0", "above 0|longer"),
    "--config.schedule.length=0.4": (r"config\.schedule\.length is 0\.4", "step"),
    "--config.schedule.length=inf": (r"config\.schedule\.length is inf", "must"),
    "--config.schedule.length=nan": (r"config\.schedule\.length is nan", "must"),
    "--config.schedule.warmup=12": (r"config\.schedule\.warmup is 12", "below length"),
    "--config.schedule.warmup=inf": (r"config\.schedule\.warmup is inf", "must"),
    f"{STEP} --config.schedule.drops=(8,4)": (r"config\.schedule\.drops is \(8", "must rise"),
    f"{STEP} --config.schedule.drops=(4,12)": (r"config\.schedule\.drops is \(4", "between 0 and length"),
    "--config.schedule.learning_rate=0": (r"config\.schedule\.learning_rate is 0", "above 0"),
    "--config.schedule.learning_rate=nan": (r"config\.schedule\.learning_rate is nan", "above 0"),
    "--config.schedule.learning_rate=inf": (r"config\.schedule\.learning_rate is inf", "must"),
}

LINES = {
    "config.modle = dict(depth=4)": (r"config\.modle", "did you mean 'model'"),
    "config.model.dpeth = 4": (r"config\.model\.dpeth", "did you mean 'depth'"),
    "config.model = dict(name='residual_mlp', depth='deep')": (r"config\.model\.depth", "a whole number"),
    "config.model.depth = 4.5": (r"recipe\.py", "depth", "int"),
    "config.model.depth = True": (r"config\.model\.depth is True", "a whole number"),
    "config.model.depth = None": (r"config\.model\.depth is None", "a whole number"),
    "config.model = dict(name='residual_mpl')": (r"config\.model\.name", "did you mean 'residual_mlp'"),
    "config.optim = dict(name='sdg')": (r"config\.optim\.name", "did you mean 'sgd'"),
    "config.input = dict(normalize='chanel')": (r"config\.input\.normalize", "'channel_mean_std'"),
    "config.optim = 'sgd'": (r"config\.optim is 'sgd'", "dictionary"),
    "config.seed = 'x'": (r"config\.seed is 'x'", "a whole number"),
    "del config.schedule['length']": (r"config\.schedule\.length is missing", "a number"),
    "config.heads = dict(name='a', endpoint='stem')": (r"config\.heads", "tuple"),
    "config.heads = ('a',)": (r"config\.heads\[0\] is 'a'", "dictionary"),
    "config.heads = (dict(name='a'),)": (r"config\.heads\[0\]\.endpoint is missing", "a text"),
    "config.heads = (dict(name='a', endpoint='stm'),)": (r"config\.heads.*endpoint is 'stm'", "'stem'"),
    "config.heads = (dict(name='a', endpoint='stem', form='pool'),)": (r"heads\[0\]\.form", "pooled_linear"),
    "config.heads = (dict(name='a', endpoint='stem'),) * 2": (r"config\.heads.*name is 'a'", "of its own"),
    "config.heads = (dict(name='main', endpoint='stem'),)": (r"config\.heads.*name is 'main'", "other than"),
}

FILES = {
    "def get_config(:": ("SyntaxError",),
    "import nonexistent_package": ("nonexistent_package",),
    "def get_config(): return {}['x']": ("KeyError", "'x'"),
    "def get_config(): raise ValueError('a\\nb')": ("ValueError", "a b"),
    "raise SystemExit(3)": ("SystemExit",),
    "x = 1": ("get_config",),
    "get_config = 1": ("get_config|callable",),
    "def get_config(): return dict(seed=1)": ("dict", "ConfigDict"),
    "def get_config(): pass": ("NoneType", "ConfigDict"),
}


@pytest.mark.parametrize("flags", OVERRIDES)
def test_a_bad_override_is_named(tmp_path: Path, capsys: Capture, flags: str) -> None:
    refuse_to_train(capsys, write(tmp_path), tmp_path / "run", *flags.split(), said=OVERRIDES[flags])


@pytest.mark.parametrize("line", LINES)
def test_a_bad_line_in_a_config_file_is_named(tmp_path: Path, capsys: Capture, line: str) -> None:
    refuse_to_train(capsys, write(tmp_path, line), tmp_path / "run", said=LINES[line])


@pytest.mark.parametrize("text", FILES)
def test_a_broken_config_file_is_named(tmp_path: Path, capsys: Capture, text: str) -> None:
    file = tmp_path / "broken.py"
    file.write_text(text)
    refuse_to_train(capsys, file, tmp_path / "run", said=(str(file), *FILES[text]))


@pytest.mark.parametrize("name", ["absent.py", "", "recipe.txt"])
def test_a_config_that_is_no_python_file_is_named(tmp_path: Path, capsys: Capture, name: str) -> None:
    (tmp_path / "recipe.txt").write_text(CONFIG)
    refuse_to_train(capsys, tmp_path / name, tmp_path / "run", said=(str(tmp_path / name), r"Python|\.py"))


def test_an_argument_that_the_config_does_not_take_is_named(tmp_path: Path, capsys: Capture) -> None:
    file = write(tmp_path)
    refuse_to_train(capsys, f"{file}:56", tmp_path / "run", said=(str(file), "'56'"))


COMMANDS = {
    "trian": ("trian", "train"),
    "": ("VERB",),
    "train --config recipe.py": ("--workdir",),
    "eval --workdir absent --split tset": ("--split", "'tset'", "test"),
    "eval --workdir absent --fast": ("--fast", "--config|--help"),
    "eval --workdir absent --config.model.depth=6": ("--config FILE",),
    "table table.py --fast": ("--fast", "--help"),
    "table table.py --seed x": ("--seed", "'x'"),
    "prepare mnist": ("'mnist'", "tfds:cifar10"),
    "prepare tfds:": ("'tfds:'", "tfds:cifar10"),
    "prepare tfds:mnits --directory absent": ("'mnits'",),
}


@pytest.mark.parametrize("command", COMMANDS)
def test_a_bad_command_line_is_refused(capsys: Capture, command: str) -> None:
    refuse(capsys, *command.split(), said=COMMANDS[command])
