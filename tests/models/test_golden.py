"""Published parameter counts and multiply-adds; only shapes are traced, nothing is computed."""

import dataclasses
import math
from typing import Any, get_args

import jax
import jax.numpy as jnp
import pytest

from resjax.anatomy import summarize
from resjax.models import MODELS
from resjax.models.blocks import Layers
from resjax.models.heads import Net
from resjax.models.units import Order

CIFAR, IMAGENET, MNIST = (32, 32, 3), (224, 224, 3), (28, 28, 1)
# He et al. 2015 (1512.03385), option A: 0.27M to 19.4M, the first five as fb.resnet.torch's models count.
CIFAR_COUNTS = {20: 269_722, 32: 464_154, 44: 658_586, 56: 853_018, 110: 1_727_962, 1202: 19_421_274}
# torchvision's resnet18 to resnet152.
IMAGENET_COUNTS = {18: 11_689_512, 34: 21_797_672, 50: 25_557_032, 101: 44_549_160, 152: 60_192_808}
ORDERS = get_args(Order)
V2: dict[str, Any] = dict(
    block="bottleneck", order="preactivation", shortcut="B"
)  # He et al. 2016 (1603.05027)
VIT_B16: dict[str, Any] = dict(norm="layer", blocks=12, width=768, heads=12, patch=16, pool="class")
MIXER_S16: dict[str, Any] = dict(
    norm="layer", blocks=8, width=512, hidden_tokens=256, hidden_channels=2048, patch=16
)
MIXER_B16 = MIXER_S16 | dict(blocks=12, width=768, hidden_tokens=384, hidden_channels=3072)


@dataclasses.dataclass(frozen=True)
class Golden:
    name: str
    classes: int
    image_shape: tuple[int, int, int]
    settings: dict[str, Any]
    parameters: int

    def __str__(self) -> str:
        return "-".join([self.name, str(self.classes), *map(str, self.settings.values())])


def cifar(parameters: int, classes: int = 10, **settings: Any) -> Golden:
    return Golden("cifar_resnet", classes, CIFAR, settings, parameters)


def imagenet(parameters: int, **settings: Any) -> Golden:
    return Golden("imagenet_resnet", 1000, IMAGENET, settings, parameters)


GOLDEN = [
    *(cifar(count, depth=depth) for depth, count in CIFAR_COUNTS.items()),
    *(cifar(count, depth=depth, skip=False) for depth, count in CIFAR_COUNTS.items()),
    # Two projections, 16 -> 32 and 32 -> 64, each with scale and shift: 512 + 64 + 2,048 + 128.
    cifar(269_722 + 2_752, depth=20, shortcut="B"),
    cifar(853_018 + 2_752, depth=56, shortcut="B"),
    # No norm behind the projection where the unit begins with one.
    cifar(269_722 + 2_560, depth=20, shortcut="B", order="preactivation"),
    # Each norm stands one layer earlier, the stem's at the end: the widths are those of the original.
    cifar(269_722, depth=20, order="preactivation"),
    cifar(269_722 + 5_850, classes=100, depth=20),  # 90 more classes, each 64 weights and a bias
    cifar(1_727_962 + 5_850, classes=100, depth=110),
    # He et al. 2016, table 2: the orders only move norms, but where one stands before the addition, the
    # projections have one too, 2 * (64 + 128 + 256) more.
    *(cifar(1_727_962, depth=110, order=order) for order in ORDERS),
    cifar(1_703_258, depth=164, **{**V2, "order": "norm_after_addition"}),
    *(cifar(1_703_258 + 896, depth=164, **{**V2, "order": order}) for order in ORDERS[:1] + ORDERS[2:4]),
    # Table 1: gates of 1 x 1 convolutions with bias, in 18 units of each stage: 18 * 272; 544 + 17 * 1,056;
    # 2,112 + 17 * 4,160. Projections have the scale and shift of a norm, not a bias: 18 * 112 more.
    *(cifar(1_727_962 + 96_224, depth=110, gate=gate) for gate in ("exclusive", "shortcut")),
    cifar(1_727_962 + 96_224 + 2_016, depth=110, shortcut="C"),
    cifar(1_727_962, depth=110, shortcut_scale=0.5, branch_scale=0.5),
    cifar(1_727_962, depth=110, shortcut_dropout=0.5),
    cifar(1_727_962, depth=110, survival=0.5),
    cifar(1_703_258, depth=164, **V2),
    cifar(1_726_388, classes=100, depth=164, **V2),
    cifar(10_327_706, depth=1001, **V2),
    *(imagenet(count, depth=depth, stride_in="3x3") for depth, count in IMAGENET_COUNTS.items()),
    *(imagenet(count, depth=depth, stride_in="1x1") for depth, count in IMAGENET_COUNTS.items()),
    # First layer 64 * 64 + 2 * 64, nine units of 2 * (64 * 64 + 2 * 64), classifier 64 * 10 + 10.
    Golden("residual_mlp", 10, (8, 8, 1), dict(depth=20, width=64), 4_224 + 9 * 8_448 + 650),
    # BVLC's bvlc_googlenet.caffemodel, and torchvision's googlenet, both without the auxiliary heads.
    Golden("googlenet", 1000, IMAGENET, dict(norm="none"), 6_998_552),
    Golden("googlenet", 1000, IMAGENET, dict(norm="batch", five_as_three=True), 6_624_904),
    # Page 2018 counts 6,573,120, for its classifier has no bias.
    Golden("resnet9", 10, CIFAR, {}, 6_573_120 + 10),
    # The Network in Network that the CIFAR-10 trunk of Lee et al. 2014 is.
    Golden("dsn", 10, CIFAR, dict(norm="none"), 966_986),
    # Belilovsky et al. 2019, k = 1 and 3, counted in test_layerwise.py; the paper prints no number.
    Golden("layerwise_cnn", 10, CIFAR, dict(norm="none"), 26_592_522),
    # Torchvision's vit_b_16; timm's vit_small_patch16_224, mixer_s16_224 and mixer_b16_224.
    Golden("vit", 1000, IMAGENET, VIT_B16, 86_567_656),
    Golden("vit", 1000, IMAGENET, VIT_B16 | dict(width=384, heads=6), 22_050_664),
    Golden("mixer", 1000, IMAGENET, MIXER_S16, 18_528_264),
    Golden("mixer", 1000, IMAGENET, MIXER_B16, 59_880_472),
    # W of 28 x u and its bias, U and V of u x u each, classifier; LSTM and GRU have four and three of each.
    Golden("recurrent", 10, MNIST, dict(width=64), 28 * 64 + 64 + 64 * 64 + 650),
    Golden("recurrent", 10, MNIST, dict(width=64, delay=5), 28 * 64 + 64 + 2 * 64 * 64 + 650),
    Golden("recurrent", 10, MNIST, dict(width=64, cell="lstm"), 4 * (28 * 64 + 64 + 64 * 64) + 650),
    Golden("recurrent", 10, MNIST, dict(width=64, cell="gru"), 3 * (28 * 64 + 64 + 64 * 64) + 650),
    # Chen et al. 2018, table 1: 0.60M. Their ODE-Net has 0.22M there; by their example's code, it is what
    # the residual net is without six units of 73,984, and with a block of 64 * 65 * 9 + 64 twice and 3 norms.
    Golden("ode_net", 10, MNIST, dict(norm="group"), 601_482),
    *(
        Golden("ode_net", 10, MNIST, dict(norm="group", solver=solver), 601_482 - 6 * 73_984 + 75_392)
        for solver in ("euler", "dopri5")
    ),
    # Ronneberger et al. 2015, figure 1, counted layer by layer: the paper prints no number.
    Golden("unet", 2, (64, 64, 1), dict(norm="none", scales=4, width=64), 31_030_658),
    Golden("fcn", 10, CIFAR, dict(depth=20), CIFAR_COUNTS[20]),
    Golden("layerwise_cnn", 10, CIFAR, dict(k=3, depth=4, width=128, downsample=(3,)), 3_112_842),
]


def parameters(name: str, classes: int, image_shape: tuple[int, ...], **settings: Any) -> dict[str, Any]:
    """-> the parameters' shapes, by module."""
    net = MODELS[name](classes, Layers(norm=settings.pop("norm", "batch")), **settings)
    image = jax.ShapeDtypeStruct((1, *image_shape), jnp.float32)
    return dict(jax.eval_shape(lambda x: net.init(jax.random.key(0), x, train=False), image)["params"])


def count(params: Any) -> int:
    return sum(math.prod(leaf.shape) for leaf in jax.tree.leaves(params))


def multiply_adds(name: str, classes: int, image_shape: tuple[int, int, int], **settings: Any) -> int:
    return summarize(Net(MODELS[name](classes, Layers(), **settings)), image_shape).multiply_adds


@pytest.mark.parametrize("golden", GOLDEN, ids=str)
def test_the_parameters_are_as_many_as_published(golden: Golden) -> None:
    found = parameters(golden.name, golden.classes, golden.image_shape, **golden.settings)
    assert count(found) == golden.parameters


def test_no_model_lacks_a_golden_count() -> None:
    assert {golden.name for golden in GOLDEN} == set(MODELS)


@pytest.mark.parametrize("skip", [True, False])
@pytest.mark.parametrize("order", ["original", "preactivation"])
@pytest.mark.parametrize(("norm", "extra"), [("batch", 2), ("group", 2), ("none", 1)])
@pytest.mark.parametrize(("depth", "width"), [(4, 8), (44, 16)])
def test_a_dense_net_s_parameters_follow_the_formula(
    depth: int, width: int, norm: Any, extra: int, order: str, skip: bool
) -> None:
    """Every layer but the classifier has `extra` numbers a unit: scale and shift, or a bias alone."""
    settings = dict(norm=norm, depth=depth, width=width, order=order, skip=skip)
    found = parameters("residual_mlp", 7, (5, 3, 2), **settings)
    inner = (depth - 2) * (width * width + extra * width)
    assert count(found) == (30 * width + extra * width) + inner + (7 * width + 7)


@pytest.mark.parametrize(("depth", "projections"), [(18, 3), (34, 3), (50, 4), (101, 4), (152, 4)])
def test_only_units_that_change_the_shape_project(depth: int, projections: int) -> None:
    """Scenic's basic units compare with four times the width, so every one of its ResNet-18 projects."""
    found = parameters("imagenet_resnet", 1000, IMAGENET, depth=depth)
    projecting = [name for name, unit in found.items() if "shortcut" in unit]
    first = [f"stage{stage}_block1" for stage in (1, 2, 3, 4)]
    assert sorted(projecting) == first[-projections:]


def test_option_c_projects_in_every_unit() -> None:
    found = parameters("imagenet_resnet", 1000, IMAGENET, depth=34, shortcut="C")
    assert sum("shortcut" in unit for unit in found.values()) == 3 + 4 + 6 + 3


@pytest.mark.parametrize("depth", [18, 50])
def test_a_plain_twin_lacks_the_projections_and_nothing_else(depth: int) -> None:
    residual = parameters("imagenet_resnet", 1000, IMAGENET, depth=depth)
    plain = parameters("imagenet_resnet", 1000, IMAGENET, depth=depth, skip=False)
    for unit in residual.values():
        unit.pop("shortcut", None)
    assert jax.tree.map(lambda leaf: leaf.shape, residual) == jax.tree.map(lambda leaf: leaf.shape, plain)


@pytest.mark.parametrize("depth", [18, 50])
def test_option_a_has_the_parameters_of_the_plain_twin(depth: int) -> None:
    padded = parameters("imagenet_resnet", 1000, IMAGENET, depth=depth, shortcut="A")
    plain = parameters("imagenet_resnet", 1000, IMAGENET, depth=depth, skip=False)
    assert jax.tree.map(lambda leaf: leaf.shape, padded) == jax.tree.map(lambda leaf: leaf.shape, plain)


@pytest.mark.parametrize("skip", [True, False])
@pytest.mark.parametrize(
    ("depth", "millions"), [(20, 40.6), (32, 68.9), (44, 97.2), (56, 125.5), (110, 252.9)]
)
def test_the_cifar_nets_cost_the_known_multiply_adds(depth: int, millions: float, skip: bool) -> None:
    found = multiply_adds("cifar_resnet", 10, CIFAR, depth=depth, skip=skip)
    assert round(found / 1e6, 1) == millions


@pytest.mark.parametrize(("depth", "billions"), [(18, 1.8), (34, 3.6), (50, 3.8), (101, 7.6), (152, 11.3)])
def test_with_the_stride_first_the_imagenet_nets_cost_what_the_paper_s_table_says(
    depth: int, billions: float
) -> None:
    """Table 1 of He et al. 2015 prints two digits, some of them cut off instead of rounded."""
    found = multiply_adds("imagenet_resnet", 1000, IMAGENET, depth=depth, stride_in="1x1")
    assert billions - 0.05 < found / 1e9 < billions + 0.1


@pytest.mark.parametrize(
    ("depth", "billions"), [(18, 1.814), (34, 3.664), (50, 4.089), (101, 7.801), (152, 11.514)]
)
def test_with_the_stride_in_the_middle_they_cost_what_torchvision_says(depth: int, billions: float) -> None:
    found = multiply_adds("imagenet_resnet", 1000, IMAGENET, depth=depth, stride_in="3x3")
    assert round(found / 1e9, 3) == billions


def test_a_transformer_costs_what_torchvision_says() -> None:
    """Its 17.56 * 10^9 count the two products of attention too."""
    found = multiply_adds("vit", 1000, IMAGENET, **{k: v for k, v in VIT_B16.items() if k != "norm"})
    assert round(found / 1e9, 2) == 17.56
