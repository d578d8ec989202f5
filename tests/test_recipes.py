"""What the recipes of papers promise: phases, what each trains and for how long, heads, and their losses."""

import functools
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from resjax import config as configs
from resjax.assemble import Assembly
from resjax.config import Config
from resjax.data import sources
from resjax.loop import Loop
from resjax.phases import Stage
from resjax.training import train
from resjax.transfer import transfer

FOLDER = Path(__file__).parent.parent / "configs"
EXAMPLES = {"tfds:cifar10": 50_000, "tfds:mnist": 60_000, "tfds:imagenet2012": 1_281_167}
TEACHER = {"stage2_block1": (14, 14, 64), "main": (10,)}  # 32 wide


def load(recipe: str, *flags: str) -> Config:
    return configs.load(f"{FOLDER / recipe}", [f"--config.{flag}" for flag in flags])


@functools.cache
def stages(recipe: str) -> tuple[Stage, ...]:
    config = load(recipe)
    shape, classes = sources.describe(**config.data.to_dict())
    examples, loop = EXAMPLES[config.data.name], Loop(**config.train.to_dict())
    return Assembly(config, loop, shape, classes, examples, varied=True, teacher=TEACHER).stages()


@functools.cache
def parameters(recipe: str, number: int = -1) -> dict[str, Any]:
    """-> shapes of the first state of a phase, by module: `trunk`, `head_NAME`."""
    stage = stages(recipe)[number]
    shapes: Any = jax.eval_shape(stage.init_state, jax.random.key(0)).params
    return jax.tree.map(lambda leaf: leaf.shape, shapes)


def size(tree: Any) -> int:
    return sum(int(np.prod(shape)) for shape in jax.tree.leaves(tree, is_leaf=lambda x: isinstance(x, tuple)))


def rates(stage: Stage, *steps: int) -> list[float]:
    return [float(jnp.asarray(stage.schedule(step))) for step in steps]


@pytest.mark.parametrize(("k", "depth"), [(1, 5), (2, 4), (3, 4)])
def test_layerwise_each_phase_trains_one_layer_and_the_last_one_its_problem_too(k: int, depth: int) -> None:
    found = stages(f"layerwise_cifar.py:{k}")
    names = ["conv", "norm"] if k > 1 else ["conv"]
    expected = [{f"{name}{layer}" for name in names} for layer in range(1, depth + 1)]
    expected[-1].add("problem")
    assert [set(stage.task.trained) for stage in found] == expected
    assert set().union(*expected) == parameters(f"layerwise_cifar.py:{k}")["trunk"].keys()
    assert [stage.net.after for stage in found] == ["", *(f"layer{n}" for n in range(1, depth))]
    assert [stage.net.until for stage in found] == [*(f"layer{n}" for n in range(1, depth)), "main"]


@pytest.mark.parametrize("k", [1, 2, 3])
def test_layerwise_every_problem_is_of_one_kind_and_gets_the_paper_s_fifty_epochs(k: int) -> None:
    recipe = f"layerwise_cifar.py:{k}"
    found = stages(recipe)
    for number, stage in enumerate(found[:-1]):
        (head,) = stage.heads
        problem = parameters(recipe, number)[f"head_{head.name}"]
        convs = [problem[f"conv{i}"]["kernel"] for i in range(1, k)]
        assert [shape[-1] for shape in convs] == [256] * (k - 1)
        assert ("norm1" in problem) == (k > 1)
        width = 256 if k > 1 else (256, 256, 512, 512)[number]
        assert problem["classifier"]["kernel"] == (4 * width, 10)
        assert (head.endpoint, head.weight, head.loss) == (f"layer{number + 1}", 1.0, "cross_entropy")
    assert not found[-1].heads
    epoch = 390.625
    for stage in found:
        assert stage.epochs == pytest.approx(50, abs=1e-3)
        drops = rates(stage, *(round(at * epoch) + 1 for at in (0, 15, 30, 45)))
        assert drops == pytest.approx([0.1, 0.02, 0.004, 0.0008], rel=1e-5)


@pytest.mark.parametrize("name", ["paper", "released", "mnist"])
def test_dsn_every_loss_is_a_squared_hinge_and_companions_see_all_of_three_layers(name: str) -> None:
    recipe = f"dsn.py:{name}"
    first, config = stages(recipe)[0], load(recipe)
    assert {term.loss for term in first.task.objective.terms.values()} == {"squared_hinge"}
    assert [head.endpoint for head in first.heads] == ["conv1", "conv2", "conv3"]
    kernels = [parameters(recipe, 0)[f"head_at_conv{n}"]["classifier"]["kernel"] for n in (1, 2, 3)]
    side, width = (28, (104, 112, 112)) if name == "mnist" else (32, (192, 192, 192))
    assert kernels == [((side >> n) ** 2 * width[n], 10) for n in range(3)]
    assert (config.train.batch_size, config.optim.momentum) == (100, 0.9)


def test_dsn_the_trunks_have_their_size() -> None:
    assert size(parameters("dsn.py:paper")["trunk"]) == 966_986
    assert size(parameters("dsn.py:released")) == 966_986  # no companion is left in the last phase
    assert size(parameters("dsn.py:mnist")["trunk"]) == pytest.approx(350_000, rel=0.02)


def test_dsn_the_released_protocol_has_three_phases_and_companions_in_the_first() -> None:
    found = stages("dsn.py:released")
    assert [stage.steps for stage in found] == [50_000, 120_000, 30_000]
    assert [len(stage.heads) for stage in found] == [3, 0, 0]
    expected = [0.025, 0.025, 1e-4]
    assert [rates(stage, 0)[0] for stage in found] == pytest.approx(expected)
    assert [rates(stage, stage.steps - 1)[0] for stage in found] == pytest.approx(expected)
    whole = set(parameters("dsn.py:released")["trunk"])
    assert all(stage.task.trained >= whole for stage in found)
    for head in found[0].heads:
        assert (head.rate, head.weight, head.gamma, head.schedule) == (0.001, 1.0, 0.0, "constant")


@pytest.mark.parametrize("name", ["paper", "mnist"])
def test_dsn_the_paper_s_companions_have_a_threshold_and_fade(name: str) -> None:
    (stage,) = stages(f"dsn.py:{name}")
    assert all(head.gamma > 0 and head.penalty > 0 for head in stage.heads)
    first, last = stage.loss_weights(0, 1), stage.loss_weights(stage.steps - 1, 1)
    for head in stage.heads:
        assert first[head.name] == pytest.approx(0.1)
        assert 0 < last[head.name] < 0.003
    assert first["main"] == last["main"] == 1
    if name == "paper":
        assert stage.steps == stages("dsn.py:released")[-1].end
        assert rates(stage, 169_999, 170_001) == pytest.approx([0.025, 1e-4], rel=1e-4)


@pytest.mark.slow
def test_googlenet_the_heads_are_the_paper_s() -> None:
    found = parameters("googlenet.py")
    assert size(found["trunk"]) == 6_998_552
    for name, channels in (("4a", 512), ("4d", 528)):
        head = found[f"head_at_{name}"]
        assert head["conv"]["kernel"] == (1, 1, channels, 128)
        assert head["hidden"]["kernel"] == (4 * 4 * 128, 1024)
        assert head["classifier"]["kernel"] == (1024, 1000)
    assert load("googlenet.py").heads[0].dropout == 0.7


@pytest.mark.slow
@pytest.mark.parametrize("name", ["imagenet", "cifar"])
def test_googlenet_each_head_counts_three_tenths_to_the_end(name: str) -> None:
    (stage,) = stages(f"googlenet.py:{name}")
    for step in (0, stage.steps - 1):
        weights = {output: float(weight[0]) for output, weight in stage.loss_weights(step, 1).items()}
        assert weights == pytest.approx({"main": 1.0, "at_4a": 0.3, "at_4d": 0.3})


def test_googlenet_the_rate_falls_by_four_hundredths_every_eight_epochs() -> None:
    (stage,) = stages("googlenet.py")
    epoch = EXAMPLES["tfds:imagenet2012"] / 32
    found = rates(stage, *(round(8 * drop * epoch) + 1 for drop in range(32)))
    assert found == pytest.approx([0.01 * 0.96**drop for drop in range(32)], rel=1e-4)
    assert stage.epochs == pytest.approx(250, abs=1e-3)


def test_googlenet_for_32_pixels_has_norms_and_heads_that_read_2_by_2() -> None:
    found = parameters("googlenet.py:cifar")
    for name in ("4a", "4d"):
        head = found[f"head_at_{name}"]
        assert head["hidden"]["kernel"] == (2 * 2 * 128, 1024)
        assert {"conv_norm", "hidden_norm"} <= head.keys()
    assert "conv1x1_norm" in found["trunk"]["inception3a"]


def initial(stage: Stage) -> Any:
    return jax.eval_shape(stage.init_trunk, jax.random.key(0))


def leaves(variables: Any, module: str) -> list[Any]:
    return [leaf for tree in variables.values() for leaf in jax.tree.leaves(tree["trunk"].get(module, {}))]


@pytest.mark.slow
def test_growing_every_layer_of_the_shallow_net_goes_into_the_deep_one() -> None:
    shallow, deep = (
        jax.tree.map(lambda leaf, value=value: np.full(leaf.shape, value, np.float32), shapes)
        for value, shapes in enumerate(map(initial, stages("growing_cifar10.py")))
    )
    grown, found = transfer(shallow, deep)
    assert not found.left
    new = {name.split("/")[2] for name in found.new}
    assert new == {f"stage{stage}_block{block}" for stage in (1, 2, 3) for block in range(4, 10)}
    assert not any(leaf.any() for name in shallow["params"]["trunk"] for leaf in leaves(grown, name))
    assert all(leaf.all() for name in new for leaf in leaves(grown, name))


def test_growing_adds_to_the_recipe_without_pretraining_a_twelfth_of_its_cost() -> None:
    grown, plain = load("growing_cifar10.py:56"), load("cifar10_resnet.py:56")
    assert all(key.startswith("phases") for key in configs.difference(plain, grown))
    first, last = stages("growing_cifar10.py")
    assert first.multiply_adds / last.multiply_adds == pytest.approx(0.08, abs=0.005)


def test_hints_train_the_lower_half_by_the_teacher_and_then_all_by_labels_and_teacher() -> None:
    hint, last = stages("hints_mnist.py")
    (head,) = hint.heads
    assert (hint.net.until, head.endpoint) == ("stage2_block2", "stage2_block2")
    assert (head.target_name, head.loss) == ("teacher/stage2_block1", "squared_error")
    blocks = {"stage1_block1", "stage1_block2", "stage1_block3", "stage2_block1", "stage2_block2"}
    assert hint.task.trained == {"stem_conv", "stem_norm", *blocks}
    assert last.task.trained == parameters("hints_mnist.py")["trunk"].keys()
    assert parameters("hints_mnist.py", 0)["head_hint"]["regressor"]["kernel"] == (1, 1, 10, 64)
    (head,) = last.heads
    assert (head.target_name, head.loss, head.temperature) == ("teacher/main", "distillation", 3.0)
    start, end = (last.loss_weights(step, 1)["softened"] for step in (0, last.steps - 1))
    assert start == 4
    assert 0 < end < 0.01


@pytest.mark.parametrize(("depth", "middle"), [(8, 1), (14, 1), (20, 2), (32, 3), (44, 4)])
def test_hints_go_to_the_middle_block(depth: int, middle: int) -> None:
    (phase,) = load(f"hints_mnist.py:{depth}").phases
    assert phase.until == phase.heads[0].endpoint == f"stage2_block{middle}"


def test_hints_student_is_thin_and_reads_what_its_teacher_reads() -> None:
    student, teacher = load("hints_mnist.py"), load("mnist_resnet.py", "model.width=32")
    assert student.data == teacher.data
    assert student.input == teacher.input
    assert size(parameters("hints_mnist.py")) == 26_785
    assert teacher.model.depth < student.model.depth
    assert teacher.model.width > student.model.width


@pytest.fixture
def pixels(tmp_path: Path) -> str:
    """Sixty images of 8 x 8 pixels, whose classes differ in brightness."""
    rng = np.random.default_rng(0)
    for split, count in (("train", 60), ("test", 20)):
        labels = np.arange(count) % 4
        images = (labels[:, None, None] * 60 + rng.integers(0, 50, (count, 8, 8))).astype(np.uint8)
        np.savez(tmp_path / f"tiny-{split}.npz", image=images, label=labels)
    return f"npz:{tmp_path / 'tiny'}"


@pytest.mark.slow
def test_a_teacher_s_net_teaches_a_student_of_the_recipe(pixels: str, tmp_path: Path) -> None:
    short = ["train.batch_size=20", f"data.name={pixels}", "schedule.unit=steps"]
    teacher = load("mnist_resnet.py", *short, "model.width=4", "schedule.length=2")
    train(teacher, tmp_path / "teacher")
    phase = [f"phases[0].schedule.{setting}" for setting in ("unit=steps", "length=8")]
    run = [f"teacher.run={tmp_path / 'teacher'}", "schedule.length=4", "train.log_every=2"]
    result = train(load("hints_mnist.py:8", *short, *phase, *run, "model.width=2"), tmp_path / "student")
    hints = [row["train/hint/loss"] for row in result["curve"] if "train/hint/loss" in row]
    assert hints[-1] < hints[0]
    assert {"train/softened/loss", "test/accuracy"} <= result["metrics"].keys()
    assert jnp.isfinite(result["metrics"]["train/loss"])
