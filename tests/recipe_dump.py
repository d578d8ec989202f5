"""Text dumps of recipes: completed keys, phases, and the parameters with their initial values.

The files are in tests/golden/recipes; test_recipe_dumps.py compares them.
"""

import dataclasses
import functools
import math
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
from ml_collections import ConfigDict

from resjax import config as configs
from resjax.assemble import Assembly
from resjax.config import Config
from resjax.data import augment, sources
from resjax.loop import Loop
from resjax.models.heads import parameters_of
from resjax.phases import Stage, init_heads
from resjax.step import split

FOLDER = Path(__file__).parent.parent / "configs"
EXAMPLES = {
    "canvas:digits": 2_000,
    "digits": 1_437,
    "tfds:cifar10": 50_000,
    "tfds:imagenet2012": 1_281_167,
    "tfds:mnist": 60_000,
}
# Endpoints of the teacher of hints_mnist.py, configs/mnist_resnet.py 32 wide: there is no run to load here.
TEACHER = {"stage2_block1": (14, 14, 64), "main": (10,)}
PHASES = "[phases]"  # heading of the second section
HEADER = """\
# configs/{recipe}{overrides}
# Rewrite: python -m pytest -m golden --update-golden
# Statistics: initial values of a run with seed 0, drawn from jax.random.split(jax.random.key(0))[0].
"""
COLUMN = 12  # width of a number
PARAMETER = re.compile(r"\S+ +\S+ +\w+ +(?:decay|no decay|frozen) +(\S+) +(\S+)")


@dataclasses.dataclass(frozen=True)
class Dump:
    """A recipe whose dump is committed.

    Attributes:
      recipe: `FILE[:ARGUMENT]`, a file in configs/.
      overrides: `KEY=VALUE` of keys that differ.
      slow: Whether only `-m slow` compares phases and parameters; the default run compares the keys.
    """

    recipe: str
    overrides: tuple[str, ...] = ()
    slow: bool = False

    def __str__(self) -> str:
        return re.sub(r"[^\w.-]+", "_", "_".join([self.recipe.replace(".py", ""), *self.overrides]))

    @property
    def file(self) -> str:
        """Name of the committed file in tests/golden."""
        return f"recipes/{self}.txt"

    @functools.cached_property
    def config(self) -> Config:
        """The completed config."""
        return configs.load(f"{FOLDER / self.recipe}", [f"--config.{text}" for text in self.overrides])

    def stages(self) -> tuple[Stage, ...]:
        """Builds all phases without reading the data."""
        image, classes = sources.describe(**self.config.data.to_dict())
        return Assembly(
            config=self.config,
            loop=Loop(**self.config.train.to_dict()),
            image_shape=augment.shape_read(image, **self.config.input.to_dict()),
            classes=classes,
            examples=EXAMPLES[self.config.data.name] - self.config.data.holdout,
            varied=True,
            teacher=TEACHER,
        ).stages()


def render(dump: Dump) -> str:
    """Returns the text of a dump."""
    return render_keys(dump) + "\n".join(_phases_and_parameters(dump.stages()))


def render_keys(dump: Dump) -> str:
    """Returns the text up to the phases, which takes milliseconds."""
    keys = configs.difference(ConfigDict(), dump.config)  # leaves out where the data are on this machine
    lines = [f"{key} = {keys[key][1]!r}" for key in sorted(keys, key=_natural)]
    header = HEADER.format(recipe=dump.recipe, overrides="".join(f" {text}" for text in dump.overrides))
    return "\n".join([header, "[config]", *lines, "", ""])


def same_line(committed: str, line: str) -> bool:
    """Compares two lines whose mean and standard deviation differ between processors in their last digits.

    Args:
      committed: Line of the committed file.
      line: Line of the new text.

    Returns:
      Whether both describe a parameter, all else is the same text, and each number is within 0.2 % of the
      standard deviation; a mean may also differ by 0.1 % of itself, except that of a constant.
    """
    old, new = PARAMETER.fullmatch(committed), PARAMETER.fullmatch(line)
    if old is None or new is None or committed[: -2 * COLUMN] != line[: -2 * COLUMN]:
        return False
    (old_mean, old_std), (mean, std) = map(float, old.groups()), map(float, new.groups())
    tolerance = 2e-3 * old_std
    close = math.isclose(old_mean, mean, rel_tol=1e-3 if old_std else 0, abs_tol=tolerance)
    return close and math.isclose(old_std, std, rel_tol=0, abs_tol=tolerance)


def _natural(key: str) -> list[Any]:
    """Sorts heads[2] before heads[10]."""
    return [int(part) if part.isdigit() else part for part in re.split(r"(\d+)", key)]


def _phases_and_parameters(stages: tuple[Stage, ...]) -> Iterator[str]:
    key, _ = jax.random.split(jax.random.key(0))  # as training derives it from seed 0
    last, trunk = stages[-1], stages[-1].init_trunk(key)["params"]
    tables: list[str] = []
    yield PHASES
    for number, stage in enumerate(stages, 1):
        shapes: Any = trunk
        if stage.net.trunk != last.net.trunk:
            shapes = jax.eval_shape(stage.init_trunk, key)["params"]
        heads = init_heads(stage.net, key, stage.shapes).get("params", {})
        params = {**shapes, **heads}
        yield from _phase(f"phase {number} of {len(stages)}: {stage.name}", stage, params)
        if stage is last:
            tables += _parameters(f"[parameters of phase {stage.name}]", stage, params, params)
        elif heads:
            title = f"[parameters of the heads of phase {stage.name}]"
            tables += _parameters(title, stage, params, heads)
    yield from tables


def _phase(title: str, stage: Stage, params: Any) -> Iterator[str]:
    modules, trained = sorted(params["trunk"]), stage.task.trained
    frozen = [name for name in modules if name not in trained]
    learning, _ = split(params, trained)
    yield title
    yield f"  steps = {stage.steps:,}"
    yield f"  reads = {stage.net.after or 'image'}"
    yield f"  trunk ends at = {stage.net.until}"
    names = ", ".join(name for name in modules if name in trained) if frozen else "all"
    yield f"  trained modules of the trunk = {names} ({len(modules) - len(frozen)} of {len(modules)})"
    yield f"  parameters of the trunk = {_size(params['trunk']):,}, trained {_size(learning['trunk']):,}"
    for head in stage.heads:
        yield f"  parameters of head {head.name} = {_size(params.get(parameters_of(head.name), {})):,}"
    yield ""


def _parameters(title: str, stage: Stage, params: Any, listed: Any) -> Iterator[str]:
    decays = _decays(stage, params)
    rows = [(_path(path), leaf) for path, leaf in jax.tree_util.tree_leaves_with_path(listed)]
    # A multiple of 8, so that a longer name rarely moves the columns of all other lines.
    width = 8 * math.ceil((max(len(name) for name, _ in rows) + 1) / 8)
    yield title
    yield f"{'path':<{width}}{'shape':<16}{'dtype':<10}{'decay':<10}{'mean':>{COLUMN}}{'std':>{COLUMN}}"
    for name, leaf in rows:
        values = np.asarray(leaf).astype(np.float64)
        shape = "x".join(map(str, leaf.shape)) or "scalar"
        decay = {True: "decay", False: "no decay", None: "frozen"}[decays.get(name)]
        numbers = f"{_number(values.mean()):>{COLUMN}}{_number(values.std()):>{COLUMN}}"
        yield f"{name:<{width}}{shape:<16}{leaf.dtype!s:<10}{decay:<10}{numbers}"
    yield ""


def _decays(stage: Stage, params: Any) -> dict[str, bool]:
    """Finds the trained parameters that the optimizer changes if all gradients are zero."""
    # One element for each array, because a mask depends on names and axes, and updates of ones are cheap.
    ones = jax.tree.map(lambda leaf: np.ones((1,) * len(leaf.shape), leaf.dtype), params)
    learning, _ = split(stage.pack(ones), stage.task.trained)
    state = stage.task.optimizer.init(learning)
    # Half of the phase is done: after a warm-up from 0 on, updates at step 0 would be zero.
    state = optax.tree.set(state, count=jnp.asarray(stage.steps // 2, jnp.int32))
    zeros = jax.tree.map(np.zeros_like, learning)
    with jax.numpy_dtype_promotion("standard"):  # Adam in Optax raises a float to the power of an integer
        updates, _ = stage.task.optimizer.update(zeros, state, learning)
    leaves = jax.tree_util.tree_leaves_with_path(stage.unpack(updates))
    return {_path(path): bool(np.any(np.asarray(leaf))) for path, leaf in leaves}


def _path(path: Any) -> str:
    return jax.tree_util.keystr(path, simple=True, separator="/")


def _number(value: float) -> str:
    return f"{value + 0.0:.4g}"  # without the sign of -0.0


def _size(tree: Any) -> int:
    return sum(math.prod(leaf.shape) for leaf in jax.tree.leaves(tree))
