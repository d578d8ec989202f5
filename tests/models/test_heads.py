"""Heads hang on a trunk without touching it, and come off without a trace."""

import re
from collections import Counter
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from reference import assert_close, random_like, wide

from resjax.data.augment import Pipeline
from resjax.device import Images
from resjax.losses import Objective, Term
from resjax.models import MODELS
from resjax.models.blocks import BoundLayers, Layers
from resjax.models.forms import FORMS
from resjax.models.heads import Head, Net, attach
from resjax.models.mlp import ResidualMLP
from resjax.models.trunk import MAIN, Part, Trunk
from resjax.programs import TrainProgram
from resjax.step import Task, init_state

KEY = jax.random.key(5, impl="rbg")  # threefry takes seconds to compile on the CPU
HEADS = (Head(name="early", endpoint="stem"), Head(name="middle", endpoint="block1"))
NO_IMAGE = jnp.zeros((1, 4, 4, 1))


def trunk(order: str = "original") -> Trunk:
    return MODELS["residual_mlp"](3, Layers(), depth=6, width=4, order=order)


def headed(*heads: Head, on: Trunk | None = None) -> Net:
    return attach(on or trunk(), [(head, FORMS[head.form]((3,))) for head in heads])


def images() -> jax.Array:
    return jnp.asarray(np.random.default_rng(3).normal(size=(5, 4, 4, 1)), jnp.float32)


def initial(net: Net) -> Any:
    return net.init(KEY, NO_IMAGE, train=False)


def forward(net: Net, output: str) -> Callable[..., jax.Array]:
    def call(variables: Any, x: jax.Array) -> jax.Array:
        return net.apply(variables, x, train=False)[output]  # pyright: ignore

    return call


def optimised(net: Net, variables: Any) -> str:
    """-> the compiled program of the main logits, without names of source lines."""
    text = jax.jit(forward(net, MAIN)).lower(variables, images()).compile().as_text() or ""
    text = re.sub(r", metadata=\{[^}]*\}", "", text)
    return re.sub(r"\n+(FileNames|FunctionNames|FileLocations|StackFrames)\n(?:\d+ .*\n)*", "\n", text)


def test_attaching_heads_leaves_every_bit_of_the_trunk_s_start_and_logits() -> None:
    bare, full = headed(), headed(*HEADS)
    without, with_heads = initial(bare), initial(full)
    assert with_heads["params"].keys() == {"trunk", "head_early", "head_middle"}
    for kind in ("params", "batch_stats"):
        jax.tree.map(np.testing.assert_array_equal, without[kind]["trunk"], with_heads[kind]["trunk"])
    drawn = random_like(with_heads)
    dropped = {kind: {"trunk": values["trunk"]} for kind, values in drawn.items()}
    expected = jax.jit(forward(bare, MAIN))(dropped, images())
    np.testing.assert_array_equal(jax.jit(forward(full, MAIN))(drawn, images()), expected)


def test_one_head_leaves_the_start_of_the_others_alone() -> None:
    both, one = initial(headed(*HEADS)), initial(headed(*HEADS[1:]))
    jax.tree.map(np.testing.assert_array_equal, both["params"]["head_middle"], one["params"]["head_middle"])


def test_the_program_of_the_main_logits_is_that_of_a_net_which_never_had_heads() -> None:
    bare, full = headed(), headed(*HEADS)
    without = optimised(bare, initial(bare))
    assert optimised(full, initial(full)) == without
    # What is compared has the net in it, and would show a difference.
    assert without.count("dot(") == 6
    other = headed(on=trunk("preactivation"))
    assert optimised(other, initial(other)) != without


def test_outputs_are_named_as_the_heads_and_have_one_logit_a_class() -> None:
    net = headed(*HEADS)
    outputs: Any = net.apply(initial(net), images(), train=False)
    assert list(outputs) == net.output_names == ["main", "early", "middle"]
    assert {value.shape for value in outputs.values()} == {(5, 3)}


def test_a_head_is_a_linear_classifier_of_the_averaged_image() -> None:
    maps = jnp.asarray(np.random.default_rng(0).normal(size=(2, 4, 5, 6)), jnp.float32)
    head = FORMS["pooled_linear"]((7,))
    variables = random_like(head.init(KEY, maps, train=False))
    exact = wide(variables)["params"]["classifier"]
    pooled = wide(maps).sum((1, 2)) / 20
    assert_close(head.apply(variables, maps, train=False), pooled @ exact["kernel"] + exact["bias"])


def test_each_head_reads_its_own_endpoint() -> None:
    net = headed(*HEADS)
    variables = random_like(initial(net))
    own = {kind: values["trunk"] for kind, values in variables.items()}
    endpoints: Any = net.trunk.apply(own, images(), train=False)
    for head in HEADS:
        exact = wide(variables["params"][f"head_{head.name}"]["classifier"])
        want = wide(endpoints[head.endpoint]) @ exact["kernel"] + exact["bias"]
        assert_close(forward(net, head.name)(variables, images()), want)


def test_an_unknown_endpoint_is_refused_with_the_nearest_name() -> None:
    net = headed(Head(name="early", endpoint="blok1"))
    with pytest.raises(ValueError, match="endpoint is 'blok1'"):
        initial(net)


@pytest.mark.parametrize("names", [("a", "a"), ("main",), ("",), ("a b",), ("a/b",), ("1st",)])
def test_a_name_that_is_taken_or_cannot_be_a_key_is_refused(names: tuple[str, ...]) -> None:
    with pytest.raises(ValueError, match=f"^name is '{names[-1]}'"):
        headed(*(Head(name=name, endpoint="stem") for name in names))


class Watched(ResidualMLP):
    """A trunk that tells when it is traced."""

    note: Callable[[], None] = print

    def parts(self, layers: BoundLayers) -> list[tuple[str, Part]]:
        self.note()
        return super().parts(layers)


def test_a_change_of_a_loss_s_weight_compiles_nothing_and_counts() -> None:
    traces = Counter()
    net = headed(
        *HEADS, on=Watched(3, Layers(), 2, 4, "original", True, note=lambda: traces.update(["trunk"]))
    )
    modules = frozenset(initial(net)["params"]["trunk"])
    task = Task(net, Objective(dict.fromkeys(net.output_names, Term())), optax.sgd(0.1), modules)
    chunk = TrainProgram(1, task)
    stored = np.random.default_rng(0).integers(0, 256, (6, 4, 4, 1), np.uint8)
    pipeline = Pipeline(jnp.zeros((1, 1, 1, 1)), jnp.full((1, 1, 1, 1), 1 / 255))
    data = Images(jnp.asarray(stored), jnp.arange(6) % 3, pipeline)
    index, count = jnp.arange(6)[None], jnp.int32(1)
    states = [init_state(task, initial(net)) for _ in range(3)]
    start = jax.tree.map(np.asarray, states[0].params["head_early"])
    traces.clear()
    moved = []
    for state, weight in zip(states, (0.3, 0.1, 0.0), strict=True):
        weights = {"main": jnp.ones(1), "early": jnp.float32([weight]), "middle": jnp.float32([0.3])}
        after, _ = chunk(state, index, count, data, KEY, weights)
        change = jax.tree.map(lambda a, b: np.abs(a - b).max(), start, after.params["head_early"])
        moved.append(max(jax.tree.leaves(change)))
    assert traces["trunk"] == 1
    assert moved[0] > 0
    np.testing.assert_allclose(moved, [moved[0], moved[0] / 3, 0], rtol=1e-4)
