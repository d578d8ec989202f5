"""Squeeze-and-excitation: it scales channels by what they are on average, behind the branch alone."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from reference import Reference, assert_close, random_like, wide
from small_units import BASIC, BASIC_DOWN, build

from resjax.models import MODELS
from resjax.models.blocks import Layers
from resjax.models.excitation import SqueezeExcitation
from resjax.models.units import UNITS
from resjax.probes import surgery

EVALUATING = Layers().bind(train=False)
X = jnp.asarray(np.random.default_rng(1).normal(size=(2, 6, 5, 4)), jnp.float32)


def factors(params: Any, y: np.ndarray) -> np.ndarray:
    """-> (b, 1, 1, c), by the paper's equations 2 and 3."""
    squeezed, excited = params["squeeze"], params["excite"]
    narrow = np.maximum(y.mean((1, 2)) @ squeezed["kernel"] + squeezed["bias"], 0)
    wide_again = narrow @ excited["kernel"] + excited["bias"]
    return (1 / (1 + np.exp(-wide_again)))[:, None, None]


def test_channels_are_scaled_by_their_means_through_two_layers() -> None:
    module = SqueezeExcitation(2, EVALUATING)
    variables = random_like(jax.eval_shape(lambda: module.init(jax.random.key(0), X)))
    shapes = jax.tree.map(jnp.shape, variables["params"])
    assert (shapes["squeeze"]["kernel"], shapes["excite"]["kernel"]) == ((4, 2), (2, 4))
    want = wide(X) * factors(wide(variables)["params"], wide(X))
    assert_close(module.apply(variables, X), want)


@pytest.mark.parametrize("order", UNITS)
@pytest.mark.parametrize(("convs", "shortcut"), [(BASIC, "identity"), (BASIC_DOWN, "pad")])
def test_the_branch_alone_is_scaled_before_the_addition(order: str, convs: Any, shortcut: str) -> None:
    """The plain unit's branch, up to the addition, is what is scaled; what follows it stays behind."""
    unit = build(order, convs, shortcut, EVALUATING).clone(excitation=SqueezeExcitation(2, EVALUATING))
    variables = random_like(jax.eval_shape(lambda: unit.init(jax.random.key(0), X)))
    exact = wide(variables)
    reference = Excited(exact, order, tuple(conv[2] for conv in convs), shortcut)
    assert_close(unit.apply(variables, X), reference(wide(X)))


class Excited(Reference):
    def join(self, x: np.ndarray, y: np.ndarray) -> np.ndarray:
        return super().join(x, y * factors(self.variables["params"]["excitation"], y))


def net(**settings: Any) -> tuple[Any, Any, jax.Array]:
    trunk: Any = MODELS["cifar_resnet"](10, Layers(), depth=8, width=4, excitation=2, **settings)
    images = jnp.asarray(np.random.default_rng(7).normal(size=(2, 8, 8, 3)), jnp.float32)
    return (
        trunk,
        random_like(jax.eval_shape(lambda: trunk.init(jax.random.key(0), images, train=False))),
        images,
    )


@pytest.mark.slow
@pytest.mark.parametrize("order", ["original", "preactivation"])
def test_lesions_take_the_scaled_branch_out(order: str) -> None:
    trunk, variables, images = net(order=order)
    endpoints: Any = trunk.apply(variables, images, train=False)
    kept = surgery.logits(trunk, variables, images, kept=jnp.ones(3, bool))
    np.testing.assert_array_equal(kept, endpoints["main"])
    gone = surgery.logits(trunk, variables, images, kept=jnp.asarray([True, True, False]))
    silent = dict(variables["params"]["stage3_block1"])
    silent["excitation"] = jax.tree.map(lambda leaf: jnp.full_like(leaf, -200.0), silent["excitation"])
    silenced = {**variables, "params": {**variables["params"], "stage3_block1": silent}}
    assert_close(gone, wide(trunk.apply(silenced, images, train=False)["main"]))


@pytest.mark.slow
@pytest.mark.parametrize("train", [True, False])
def test_it_goes_with_stochastic_depth_and_with_a_plain_net(train: bool) -> None:
    for settings in (dict(survival=0.5), dict(skip=False)):
        trunk, variables, images = net(**settings)
        found, _ = trunk.apply(
            variables, images, train=train, mutable=["batch_stats"], rngs={"dropout": jax.random.key(0)}
        )
        assert bool(jnp.isfinite(found["main"]).all())
