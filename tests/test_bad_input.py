"""Bad configs and command lines: each is refused with a one-line error that names the key or file."""

from collections.abc import Callable
from pathlib import Path

import pytest
from refusal import CONFIG, refuse, refuse_to_train, transcript, write

Capture = pytest.CaptureFixture[str]
Golden = Callable[[str, str], None]
CIFAR = "--config.model.name=cifar_resnet"
STEP = "--config.schedule.name=step"

OVERRIDES = {
    # unknown names
    "--config.modle.depth=4": "config.modle",
    "--config.sede=4": "config.sede",
    "--config.model.dpeth=4": "config.model",
    "--config.heads[0].weight=1": "config.heads",
    "--config.model.name=residual_mpl": "config.model.name",
    "--config.optim.name=sdg": "config.optim.name",
    "--config.schedule.name=cosinus": "config.schedule.name",
    "--config.data.name=digit": "config.data.name",
    "--config.input.normalize=chanel": "config.input.normalize",
    "--config.model.dtype=float16": "config.model.dtype",
    # wrong types and forms
    "--config.seed=x": "config.seed",
    "--config.model.depth=deep": "config.model.depth",
    "--config.model.depth=4.5": "config.model.depth",
    "--config.model.skip=maybe": "config.model.skip",
    "--config.schedule.length=long": "config.schedule.length",
    f"{STEP} --config.schedule.drops=late": "config.schedule.drops",
    f"{STEP} --config.schedule.drops=(1,'a')": "config.schedule.drops",
    "--config.model=1": "config.model",
    "--config.model.depth": "config.model.depth",
    "--noconfig.model.depth": "config.model.depth",
    "--config.heads=(1,)": "config.heads",
    "depth=3": "'depth=3'",
    "--fast": "--fast",
    "--workdr=here": "--workdr",
    # impossible values
    "--config.seed=-1": "config.seed",
    f"--config.seed={2**64}": "config.seed",
    "--config.data.holdout_seed=-1": "config.data.holdout_seed",
    "--config.model.depth=5": "config.model.depth",
    f"{CIFAR} --config.model.depth=21": "config.model.depth",
    f"{CIFAR} --config.model.block=bottleneck --config.model.depth=8": "config.model.depth",
    "--config.model.name=imagenet_resnet --config.model.depth=19": "config.model.depth",
    f"{CIFAR} --config.model.depth=8 --config.model.survival=0.5 --config.model.skip=False": (
        "config.model.survival"
    ),
    "--config.model.width=0": "config.model.width",
    "--config.model.norm=group --config.model.width=4": "config.model.",
    "--config.model.norm_momentum=1": "config.model.norm_momentum",
    "--config.model.norm_examples=-1": "config.model.norm_examples",
    "--config.model.norm_examples=30": "config.model.norm_examples",
    "--config.model.norm_examples=50 --config.model.norm=group": "config.model.norm_examples",
    "--config.train.batch_size=0": "config.train.batch_size",
    "--config.train.batch_size=1401": "config.train.batch_size",
    "--config.train.label_smoothing=1": "config.train.label_smoothing",
    "--config.train.ema_decay=-0.1": "config.train.ema_decay",
    "--config.train.eval_every=0": "config.train.eval_every",
    "--config.train.eval_every=inf": "config.train.eval_every",
    "--config.train.scan_from=-1": "config.train.scan_from",
    "--config.train.scan_from=2.5": "config.train.scan_from",
    "--config.train.remat=all": "config.train.remat",
    "--config.train.accumulate=0": "config.train.accumulate",
    "--config.train.accumulate=2.5": "config.train.accumulate",
    "--config.train.accumulate=3": "config.train.accumulate",
    "--config.train.accumulate=4 --config.model.norm_examples=50": "config.model.norm_examples",
    "--config.model.name=googlenet": "config.model.name",
    "--config.data.holdout=1437": "config.data.holdout",
    "--config.data.image_size=8": "config.data.image_size",
    "--config.data.hold=disk": "config.data.hold",
    "--config.input.pad=-1": "config.input.pad",
    "--config.input.pad=8 --config.input.pad_mode=reflect": "config.input.pad",
    "--config.input.normalize=imagenet": "config.input.normalize",
    "--config.optim.weight_decay=-1": "config.optim.weight_decay",
    "--config.optim.momentum=1": "config.optim.momentum",
    "--config.schedule.length=0": "config.schedule.length",
    "--config.schedule.length=0.4": "config.schedule.length",
    "--config.schedule.length=inf": "config.schedule.length",
    "--config.schedule.length=nan": "config.schedule.length",
    "--config.schedule.warmup=12": "config.schedule.warmup",
    "--config.schedule.warmup=inf": "config.schedule.warmup",
    f"{STEP} --config.schedule.drops=(8,4)": "config.schedule.drops",
    f"{STEP} --config.schedule.drops=(4,12)": "config.schedule.drops",
    "--config.schedule.learning_rate=0": "config.schedule.learning_rate",
    "--config.schedule.learning_rate=nan": "config.schedule.learning_rate",
    "--config.schedule.learning_rate=inf": "config.schedule.learning_rate",
    # other options
    "--mesh=dta=8": "--mesh",
    "--mesh=8": "--mesh",
    "--mesh=": "--mesh",
    "--mesh=data=many": "--mesh",
    "--mesh=data=0": "--mesh",
    "--mesh=data=2,data=4": "--mesh",
    "--mesh=data=2": "--mesh",
    "--track=mlfow": "--track",
    "--track=tensorboard": "--track",
}

LINES = {
    "config.modle = dict(depth=4)": "config.modle",
    "config.model.dpeth = 4": "config.model.dpeth",
    "config.model = dict(name='residual_mlp', depth='deep')": "config.model.depth",
    "config.model.depth = 4.5": "depth",
    "config.model.depth = True": "config.model.depth",
    "config.model.depth = None": "config.model.depth",
    "config.model = dict(name='residual_mpl')": "config.model.name",
    "config.optim = dict(name='sdg')": "config.optim.name",
    "config.input = dict(normalize='chanel')": "config.input.normalize",
    "config.optim = 'sgd'": "config.optim",
    "config.seed = 'x'": "config.seed",
    "del config.schedule['length']": "config.schedule.length",
    "config.heads = dict(name='a', endpoint='stem')": "config.heads",
    "config.heads = ('a',)": "config.heads[0]",
    "config.heads = (dict(name='a'),)": "config.heads[0].endpoint",
    "config.heads = (dict(name='a', endpoint='stm'),)": "config.heads[0].endpoint",
    "config.heads = (dict(name='a', endpoint='stem', form='pool'),)": "config.heads[0].form",
    "config.heads = (dict(name='a', endpoint='stem'),) * 2": "config.heads[1].name",
    "config.heads = (dict(name='main', endpoint='stem'),)": "config.heads[0].name",
    "config.probes = (dict(name='gradients'),) * 2": "config.probes[1].name",
    "config.probes = (dict(name='gradients', every=0),)": "config.probes[0].every",
    "config.probes = (dict(name='lesion'),)": "config.probes[0].name",
    "config.probes = (dict(every=3),)": "config.probes[0].name",
    "config.probes = (dict(name='gradients', evry=3),)": "config.probes[0].evry",
}

FILES = {
    "def get_config(:": "SyntaxError",
    "import nonexistent_package": "nonexistent_package",
    "def get_config(): return {}['x']": "KeyError",
    "def get_config(): raise ValueError('a\\nb')": "ValueError: a b",
    "raise SystemExit(3)": "SystemExit",
    "x = 1": "get_config",
    "get_config = 1": "broken.py",
    "def get_config(): return dict(seed=1)": "ConfigDict",
    "def get_config(): pass": "ConfigDict",
}

COMMANDS = {
    "trian": "trian",
    "": "VERB",
    "train --config recipe.py": "--workdir",
    "eval --workdir absent --split tset": "--split",
    "eval --workdir absent --fast": "--fast",
    "eval --workdir absent --config.model.depth=6": "--config FILE",
    "table table.py --fast": "--fast",
    "table table.py --seed x": "--seed",
    "prepare mnist": "'mnist'",
    "prepare tfds:": "'tfds:'",
    "prepare tfds:mnits --directory absent": "'mnits'",
}


@pytest.mark.golden
def test_bad_overrides_are_refused(tmp_path: Path, capsys: Capture, golden: Golden) -> None:
    file = write(tmp_path)
    messages = {
        flags: refuse_to_train(capsys, file, tmp_path / "run", *flags.split(), names=name)
        for flags, name in OVERRIDES.items()
    }
    golden("messages/overrides.txt", transcript(messages, FOLDER=tmp_path))


@pytest.mark.golden
def test_bad_lines_in_config_files_are_refused(tmp_path: Path, capsys: Capture, golden: Golden) -> None:
    messages = {
        line: refuse_to_train(capsys, write(tmp_path, line), tmp_path / "run", names=name)
        for line, name in LINES.items()
    }
    golden("messages/config_lines.txt", transcript(messages, FOLDER=tmp_path))


@pytest.mark.golden
def test_broken_config_files_are_refused(tmp_path: Path, capsys: Capture, golden: Golden) -> None:
    messages = {}
    file = tmp_path / "broken.py"
    for text, name in FILES.items():
        file.write_text(text)
        messages[text] = refuse_to_train(capsys, file, tmp_path / "run", names=name)
        assert str(file) in messages[text]
    (tmp_path / "recipe.txt").write_text(CONFIG)
    for argument in ("absent.py", "", "recipe.txt", f"{write(tmp_path).name}:56"):
        path = tmp_path / argument
        messages[argument] = refuse_to_train(capsys, path, tmp_path / "run", names=str(path).split(":")[0])
    golden("messages/config_files.txt", transcript(messages, FOLDER=tmp_path))


@pytest.mark.golden
def test_bad_command_lines_are_refused(capsys: Capture, golden: Golden) -> None:
    messages = {command: refuse(capsys, *command.split(), names=name) for command, name in COMMANDS.items()}
    golden("messages/commands.txt", transcript(messages))
