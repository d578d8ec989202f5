"""Nets that label every pixel: long skips, enlarged logits, mean IoU, and what they refuse."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from refusal import refuse_to_train, transcript, write
from selection import parametrize_sampled

from resjax import config as configs
from resjax import metrics as metric
from resjax.config import Config
from resjax.losses import Term, cross_entropy
from resjax.models import MODELS
from resjax.models.blocks import Layers
from resjax.models.pixels import enlarge
from resjax.training import train

KEY = jax.random.key(5, impl="rbg")


def images() -> jax.Array:
    return jnp.asarray(np.random.default_rng(7).normal(size=(2, 16, 16, 1)), jnp.float32)


def initial(name: str = "unet", **settings: Any) -> tuple[Any, Any]:
    net: Any = MODELS[name](5, Layers(), **settings)
    return net, jax.jit(lambda x: net.init(KEY, x, train=False))(images())


def endpoints(net: Any, variables: Any, x: jax.Array, **settings: Any) -> dict[str, jax.Array]:
    return jax.jit(lambda v, x: net.apply(v, x, train=False, **settings))(variables, x)


SMALL: dict[str, Any] = dict(scales=2, width=4)
LAST = "stage3_block1"  # of an FCN of depth 8


def test_the_planes_are_halved_and_doubled_back_and_every_pixel_has_logits() -> None:
    got = endpoints(*initial(**SMALL), images())
    assert {name: value.shape[1:] for name, value in got.items()} == {
        "down0": (16, 16, 4), "down1": (8, 8, 8), "down2": (4, 4, 16),
        "up1": (8, 8, 8), "up0": (16, 16, 4), "main": (16, 16, 5),
    }  # fmt: skip


@pytest.mark.slow
def test_a_long_skip_lets_a_pixel_through_the_narrow_middle() -> None:
    """With the way from below cut, the logits still follow the image; in the plain twin they do not."""
    x = images()
    for skip in (True, False):
        net, variables = initial(skip=skip, **SMALL)
        up = variables["params"]["up0_up"]
        variables["params"]["up0_up"] = jax.tree.map(jnp.zeros_like, up)
        moved = endpoints(net, variables, x)["main"] - endpoints(net, variables, x + 1)["main"]
        assert (float(jnp.abs(moved).max()) > 1e-3) == skip


@pytest.mark.slow
def test_the_plain_twin_lacks_the_concatenated_inputs_and_nothing_else() -> None:
    (_, with_skips), (_, plain) = initial(**SMALL), initial(skip=False, **SMALL)
    shapes = [jax.tree.map(jnp.shape, tree["params"]) for tree in (with_skips, plain)]
    for scale, width in ((0, 4), (1, 8)):
        first = shapes[0][f"up{scale}_conv1"]
        assert first["kernel"] == (3, 3, 2 * width, width)
        shapes[0][f"up{scale}_conv1"] = {**first, "kernel": (3, 3, width, width)}
    assert shapes[0] == shapes[1]


def test_what_a_long_skip_reads_must_be_run_too() -> None:
    net, variables = initial(**SMALL)
    got = endpoints(net, variables, images())
    with pytest.raises(ValueError, match="after is 'down2'"):
        net.apply(variables, got["down2"], train=False, after="down2")
    plain, own = initial(skip=False, **SMALL)
    whole = endpoints(plain, own, images())
    rest = endpoints(plain, own, whole["down2"], after="down2")
    np.testing.assert_allclose(rest["main"], whole["main"], rtol=0, atol=1e-5)


@pytest.mark.slow
def test_an_isolated_head_cuts_long_skips_too() -> None:
    net, variables = initial(**SMALL)
    rest = {name: tree for name, tree in variables.items() if name != "params"}

    def loss(params: Any) -> jax.Array:
        found = net.apply({"params": params, **rest}, images(), train=False, cut=("down0", "down1"))
        return jnp.square(found["main"]).sum()

    grads = jax.jit(jax.grad(loss))(variables["params"])
    sizes = {
        name: max(float(jnp.abs(x).max()) for x in jax.tree.leaves(part)) for name, part in grads.items()
    }
    assert sizes["down0_conv1"] == sizes["down1_conv2"] == 0
    assert sizes["down2_conv1"] > 0


@parametrize_sampled(("pooled", "first"), [(False, (0, 0)), (True, (0.5, 1.5))], default=1)
def test_a_coarse_plane_is_enlarged_by_straight_lines_between_its_cells(pooled: bool, first: Any) -> None:
    """Cell i is at pixel factor * i, or amid its pixels; beyond the outer cells there are their values."""
    ramp = jnp.asarray(np.arange(4.0)[:, None] + 10 * np.arange(5.0), jnp.float32)[None, :, :, None]
    got = np.asarray(enlarge(ramp, (2, 4), pooled=pooled))[0, :, :, 0]
    rows, columns = (np.arange(8) - first[0]) / 2, (np.arange(20) - first[1]) / 4
    want = np.clip(rows, 0, 3)[:, None] + 10 * np.clip(columns, 0, 4)
    np.testing.assert_allclose(got, want, rtol=0, atol=1e-5)


@pytest.mark.slow
def test_what_a_residual_net_sees_at_a_pixel_is_labelled_there() -> None:
    """A cell of the last plane reads as far to either side of its pixel, and its logits peak there."""
    net, variables = initial("fcn", depth=8, width=4)
    params = variables["params"] | {"classifier": {"kernel": jnp.ones((16, 5)), "bias": jnp.zeros(5)}}
    lit = jnp.zeros((1, 8, 8, 16)).at[:, 3, 4].set(1.0)
    logits = net.apply(variables | {"params": params}, lit, train=False, after=LAST)["main"]
    assert np.unravel_index(np.argmax(logits[0, :, :, 0]), (32, 32)) == (12, 16)

    def cell(x: jax.Array) -> jax.Array:
        found: Any = net.apply(variables, x, train=False, until=LAST)[LAST]
        return jnp.square(found[0, 3, 4]).sum()

    x = jnp.asarray(np.random.default_rng(1).normal(size=(1, 32, 32, 1)), jnp.float32)
    read = np.asarray(jax.jit(jax.grad(cell))(x))[0, :, :, 0] != 0
    for axis, pixel in ((1, 12), (0, 16)):
        places = np.flatnonzero(read.any(axis))
        assert places[0] + places[-1] == 2 * pixel


@pytest.mark.slow
def test_an_fcn_is_the_residual_net_classified_place_by_place() -> None:
    net, variables = initial("fcn", depth=8, width=4)
    got = endpoints(net, variables, images())
    same, _ = initial("cifar_resnet", depth=8, width=4)
    pooled = endpoints(same, variables, images())
    last = got[LAST]
    np.testing.assert_array_equal(last, pooled[LAST])
    classifier = variables["params"]["classifier"]
    assert not classifier["bias"].any()
    want = enlarge(last @ classifier["kernel"], (4, 4), pooled=False)
    np.testing.assert_allclose(got["main"], want, rtol=0, atol=1e-5)


@pytest.mark.slow
def test_mean_iou_is_that_of_the_counts_over_all_examples() -> None:
    rng = np.random.default_rng(3)
    logits, labels = rng.normal(size=(6, 4, 4, 3)).astype(np.float32), rng.integers(0, 2, size=(6, 4, 4))
    logits[..., 2] -= 100  # a class that is neither there nor found does not count
    term = {"main": Term(pixel_classes=3)}
    assert metric.shapes(["main"], term) == {"loss": (), "accuracy": (), "iou": (3,)}
    sums = metric.zeros(metric.shapes(["main"], term))
    for part, counted in (((0, 1, 2), (True, True, True)), ((3, 4, 5), (True, True, False))):
        index = list(part)
        found = metric.measure(
            {"main": jnp.asarray(logits[index])},
            {"labels": jnp.asarray(labels[index])},
            jnp.asarray(counted),
            term,
        )
        sums = metric.merge(sums, found)
    guess, truth = logits[:5].argmax(-1), labels[:5]
    pairs = [(np.sum((guess == k) & (truth == k)), np.sum((guess == k) | (truth == k))) for k in (0, 1)]
    values = metric.values(sums)
    assert values["iou"] == pytest.approx(np.mean([a / b for a, b in pairs]), rel=1e-6)
    assert values["accuracy"] == pytest.approx((guess == truth).mean(), rel=1e-6)
    exact = logits[:5].astype(np.float64)
    chosen = np.take_along_axis(exact, truth[..., None], -1)[..., 0]
    want = (np.log(np.exp(exact).sum(-1)) - chosen).mean()
    assert values["loss"] == pytest.approx(want, rel=1e-5)
    assert metric.values(metric.zeros(metric.shapes(["main"], term)))["iou"] == 0


def test_an_example_s_loss_is_the_mean_of_its_pixels() -> None:
    logits, labels = (
        jnp.asarray(np.random.default_rng(1).normal(size=(2, 3, 3, 4)), jnp.float32),
        jnp.ones((2, 3, 3), int),
    )
    apart = cross_entropy(logits.reshape(18, 4), labels.reshape(18))
    np.testing.assert_allclose(cross_entropy(logits, labels), apart.reshape(2, 9).mean(1), rtol=1e-6)


def canvas(tiny: Config, *flags: str) -> Config:
    own = ("--config.data.name=canvas:digits", "--config.data.holdout=1800", "--config.model.name=unet")
    own += ("--config.model.width=4", "--config.train.batch_size=20", "--config.schedule.length=20")
    own += ("--config.train.eval_every=100", "--config.train.eval_batch_size=250")
    base = {key: section for key, section in tiny.to_dict().items() if key != "model"}
    return configs.override({**base, "model": {"name": "unet"}}, (*own, *flags))


@pytest.mark.slow
def test_a_net_learns_to_label_pixels_and_tells_its_mean_iou(tiny: Config, tmp_path: Path) -> None:
    head = {"name": "aux", "endpoint": "down3", "form": "fcn", "pooled": True, "weight": 0.4}
    config = configs.override({**canvas(tiny).to_dict(), "heads": (head,)}, ())
    found = train(config, tmp_path)
    assert {"test/iou", "test/aux/iou", "train/iou"} <= found["metrics"].keys()
    accuracy, iou = (found["metrics"][f"test/{name}"] for name in ("accuracy", "iou"))
    assert accuracy > 0.8  # as much as where all is background
    assert 0.9 * accuracy / 11 < iou < 1


BAD = {
    "--config.model.name=cifar_resnet": "config.model.name is 'cifar_resnet'",
    "--config.data.name=digits": "config.model.name is 'unet'",
    "--config.input.flip=True": "config.input",
}


@pytest.mark.golden
def test_models_and_labels_that_do_not_fit_are_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], golden: Callable[[str, str], None]
) -> None:
    file = write(tmp_path, 'config.data, config.model = dict(name="canvas:digits"), dict(name="unet")')
    run = tmp_path / "run"
    messages = {flag: refuse_to_train(capsys, file, run, flag, names=name) for flag, name in BAD.items()}
    golden("messages/segmentation.txt", transcript(messages))
