"""Configs: completed with defaults, overridden in ml_collections' way, compared, kept as JSON."""

import json
from pathlib import Path
from typing import Any

import pytest
from ml_collections import ConfigDict

from resjax import config as configs
from resjax.config import Config
from resjax.errors import UserError
from resjax.schema import SECTIONS


@pytest.fixture
def headed(tiny: Config) -> Config:
    heads = [dict(name="early", endpoint="stem"), dict(name="late", endpoint="block1", weight=1)]
    return configs.override({**tiny.to_dict(), "heads": heads}, ())


def minimal() -> Config:
    """What must be given; all else has a default."""
    config: Config = ConfigDict()
    config.data = dict(name="digits")
    config.model = dict(name="cifar_resnet")
    config.schedule = dict(name="step", length=3, learning_rate=1)
    return config


def value(config: Config, *flags: str, key: str) -> Any:
    """-> what `key` is after the overrides."""
    found = configs.override(config, flags)
    for part in key.split("."):
        found = found[part]
    return found


def test_a_config_is_completed_with_the_defaults_of_signatures() -> None:
    config = configs.override(minimal(), ())
    assert set(config) == {*SECTIONS, "seed", "heads", "phases", "probes"}
    assert (config.seed, config.heads, config.phases, config.train.batch_size) == (0, (), (), 128)
    assert (config.optim.name, config.optim.momentum, config.optim.weight_decay) == ("sgd", 0.9, 0.0)
    assert (config.model.depth, config.model.block, config.model.norm) == (20, "basic", "batch")
    assert (config.schedule.factor, config.schedule.drops, config.schedule.unit) == (0.1, (), "epochs")
    assert (config.input.normalize, config.input.pad) == ("channel_mean_std", 0)


def test_completing_twice_changes_nothing() -> None:
    once = configs.override(minimal(), ())
    assert configs.to_json(configs.override(once, ())) == configs.to_json(once)


def test_a_completed_config_takes_no_unknown_key(tiny: Config) -> None:
    with pytest.raises(AttributeError, match="dpeth"):
        tiny.model.dpeth = 3


def test_whole_numbers_become_floats_where_floats_are_due() -> None:
    config = configs.override(minimal(), ())
    assert isinstance(config.schedule.learning_rate, float)
    assert value(config, "--config.schedule.learning_rate=0.25", key="schedule.learning_rate") == 0.25


@pytest.mark.parametrize(
    ("flags", "key", "expected"),
    [
        ("--config.model.depth=56", "model.depth", 56),
        ("--config.model.depth 56", "model.depth", 56),
        ("--config.seed=7", "seed", 7),
        ("--config.model.depth=8 --config.model.depth=14", "model.depth", 14),
        ("--config.schedule.learning_rate=1e-3", "schedule.learning_rate", 0.001),
        ("--config.schedule.length=5", "schedule.length", 5.0),
        ("--config.model.skip=False", "model.skip", False),
        ("--config.model.skip=false", "model.skip", False),
        ("--config.optim.nesterov=1", "optim.nesterov", True),
        ("--noconfig.model.skip", "model.skip", False),
        ("--config.input.flip", "input.flip", True),
        ("--config.input.flip --config.seed 3", "seed", 3),
        ("--config.schedule.drops=(32,48)", "schedule.drops", (32.0, 48.0)),
        ("--config.schedule.drops=(0.5,2)", "schedule.drops", (0.5, 2.0)),
        ("--config.schedule.drops=()", "schedule.drops", ()),
        ("--config.schedule.drops=2", "schedule.drops", (2.0,)),
        ("--config.model.block=bottleneck", "model.block", "bottleneck"),
        ("--config.data.directory=/a=b", "data.directory", "/a=b"),
        ("--config.data.directory=3", "data.directory", "3"),
        ("--config.data.directory=", "data.directory", ""),
    ],
)
def test_an_override_has_the_type_of_its_key(flags: str, key: str, expected: object) -> None:
    found = value(minimal(), *flags.split(" "), key=key)
    assert found == expected
    assert type(found) is type(expected)


def test_a_head_s_key_can_be_overridden(headed: Config) -> None:
    config = configs.override(headed, ["--config.heads[0].weight=0.1", "--config.heads[1].endpoint=stem"])
    assert [head.weight for head in config.heads] == [0.1, 1.0]
    assert [head.endpoint for head in config.heads] == ["stem", "stem"]


@pytest.mark.parametrize("flags", [["--config.optim.name=adam"], ["--config.optim.name", "adam"]], ids=str)
def test_another_name_drops_the_keys_that_only_the_former_choice_had(tiny: Config, flags: list[str]) -> None:
    given = configs.override(tiny, ["--config.optim.momentum=0.5", "--config.optim.weight_decay=0.1"])
    config = configs.override(given, flags)
    assert (config.optim.name, config.optim.b2) == ("adam", 0.999)
    assert "momentum" not in config.optim
    assert config.optim.weight_decay == 0.1  # every optimizer has it


def test_another_name_keeps_what_both_choices_have() -> None:
    flags = ["--config.model.name=residual_mlp", "--config.model.width=7"]
    config = configs.override(configs.override(minimal(), ["--config.model.depth=8"]), flags)
    assert (config.model.depth, config.model.width) == (8, 7)
    assert "block" not in config.model


def test_the_order_of_a_name_and_its_keys_does_not_matter(tiny: Config) -> None:
    flags = ["--config.optim.b1=0.5", "--config.optim.name=adam"]
    assert configs.override(tiny, flags).optim.b1 == configs.override(tiny, flags[::-1]).optim.b1 == 0.5


def test_a_name_can_be_overridden_in_a_section_that_the_file_leaves_out() -> None:
    assert value(minimal(), "--config.optim.name=adam", key="optim.b1") == 0.9


def test_difference_names_the_leaves_that_differ(headed: Config) -> None:
    flags = ["--config.model.depth=8", "--config.heads[1].weight=0.5", "--config.train.batch_size=7"]
    assert configs.difference(headed, configs.override(headed, flags)) == {
        "heads[1].weight": (1.0, 0.5),
        "model.depth": (4, 8),
        "train.batch_size": (100, 7),
    }


def test_difference_shows_none_where_a_side_lacks_the_key(tiny: Config) -> None:
    found = configs.difference(tiny, configs.override(tiny, ["--config.optim.name=lion"]))
    assert found["optim.name"] == ("sgd", "lion")
    assert found["optim.momentum"] == (0.9, None)
    assert found["optim.b1"] == (None, 0.9)


def test_what_moved_with_a_name_is_told_by_the_new_one_s_keys_alone(headed: Config) -> None:
    other = configs.override(headed, ["--config.optim.name=lion", "--config.model.depth=8"])
    moved = configs.recipe_difference(headed, other)
    assert {"optim.name: sgd → lion", "optim.b1: 0.9", "model.depth: 4 → 8"} <= {*moved}
    assert not [text for text in moved if "momentum" in text or "None" in text]


def test_equal_configs_do_not_differ_wherever_their_data_lie(headed: Config) -> None:
    flags = ["--config.data.directory=/elsewhere", "--config.data.hold=host"]
    assert configs.difference(headed, configs.override(headed, flags)) == {}


def test_json_holds_all_and_comes_back_as_it_was(headed: Config) -> None:
    config = configs.override(headed, ["--config.schedule.name=step", "--config.schedule.drops=(4,8)"])
    again = configs.from_json(configs.to_json(config))
    assert configs.difference(config, again) == {}
    assert again.to_dict() == config.to_dict()
    assert again.schedule.drops == (4.0, 8.0)
    assert isinstance(again.heads[0], ConfigDict)


def test_defaults_newer_than_the_stored_json_are_filled_in(headed: Config) -> None:
    """A run's folder stays usable when a key is added to the program."""
    stored = json.loads(configs.to_json(headed))
    del stored["train"]["ema_decay"], stored["heads"][0]["form"], stored["input"]
    assert configs.difference(configs.from_json(json.dumps(stored)), headed) == {}


def test_a_portable_config_says_nothing_about_places(headed: Config) -> None:
    config = configs.override(headed, ["--config.data.directory=/home/someone"])
    portable = configs.portable(config)
    assert "someone" not in json.dumps(portable)
    assert configs.difference(configs.override(portable, ()), config) == {}


@pytest.mark.parametrize("kind", ["ConfigDict", "dict", "completed"])
def test_the_given_config_is_never_changed(headed: Config, kind: str) -> None:
    given = headed if kind == "completed" else ConfigDict(headed.to_dict())
    given = given.to_dict() if kind == "dict" else given
    before = repr(given)
    flags = ["--config.heads[0].weight=0.9", "--config.optim.name=adam", "--config.schedule.name=step"]
    changed = configs.override(given, [*flags, "--config.schedule.drops=(4,)", "--config.seed=3"])
    assert repr(given) == before
    assert (changed.heads[0].weight, changed.optim.name, changed.seed) == (0.9, "adam", 3)


def test_results_of_one_config_share_nothing(headed: Config) -> None:
    first, second = (configs.override(headed, ()) for _ in range(2))
    first.heads[0].weight = 0.9
    first.model.depth = 8
    assert configs.difference(second, headed) == {}


def test_a_file_is_loaded_with_its_argument_and_overrides(tmp_path: Path) -> None:
    file = tmp_path / "recipe.py"
    file.write_text(
        "from ml_collections import ConfigDict\n"
        "def get_config(depth='8'):\n"
        "    model = dict(name='residual_mlp', depth=int(depth))\n"
        "    schedule = dict(length=3, learning_rate=0.1)\n"
        "    return ConfigDict(dict(data=dict(name='digits'), model=model, schedule=schedule))\n"
    )
    assert configs.load(str(file)).model.depth == 8
    assert configs.load(f"{file}:14").model.depth == 14
    assert configs.load(f"{file}:14", ["--config.model.depth=20"]).model.depth == 20


def test_every_wrong_item_of_a_tuple_is_found() -> None:
    """Type checkers that sample an item would find this one once in 64 times."""
    config = minimal()
    config.schedule.drops = (*range(1, 64), "late")
    with pytest.raises(UserError, match=r"config\.schedule\.drops"):
        configs.override(config, ())
