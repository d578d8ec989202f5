"""Published parameter counts; only shapes are traced, nothing is computed."""

import dataclasses
import math
from typing import Any, get_args

import jax
import jax.numpy as jnp
import pytest
from selection import parametrize_sampled

from resjax.models import MODELS
from resjax.models.blocks import Layers
from resjax.models.units import Order

CIFAR, IMAGENET, MNIST = (32, 32, 3), (224, 224, 3), (28, 28, 1)
BASIC: dict[str, Any] = dict(bottleneck=False, compression=1.0)  # DenseNet without -BC
# He et al. 2015 (1512.03385), option A: 0.27M to 19.4M, the first five as fb.resnet.torch's models count.
CIFAR_COUNTS = {20: 269_722, 32: 464_154, 44: 658_586, 56: 853_018, 110: 1_727_962, 1202: 19_421_274}
# torchvision's resnet18 to resnet152.
IMAGENET_COUNTS = {18: 11_689_512, 34: 21_797_672, 50: 25_557_032, 101: 44_549_160, 152: 60_192_808}
# Zagoruyko and Komodakis 2016 (1605.07146), tables 4 and 5: 0.6M, 2.2M, 2.7M, 8.9M, 11.0M, 17.2M, 36.5M.
WIDE_COUNTS = {
    (40, 1): 563_930, (40, 2): 2_243_546, (16, 4): 2_748_890, (40, 4): 8_949_210, (16, 8): 10_961_370,
    (22, 8): 17_158_106, (28, 10): 36_479_194,
}  # fmt: skip
# Huang et al. 2017 (1608.06993), their README: 1.0M, 7.0M, 27.2M; with bottlenecks 0.8M, 15.3M, 25.6M.
DENSE_COUNTS = {(40, 12): 1_019_722, (100, 12): 6_979_642, (100, 24): 27_249_082}
DENSE_BC_COUNTS = {(100, 12): 769_162, (250, 24): 15_324_406, (190, 40): 25_624_430}
# torchvision's densenet121 to densenet201.
DENSE_IMAGENET_COUNTS = {
    (121, 32): 7_978_856, (161, 48): 28_681_000, (169, 32): 14_149_480, (201, 32): 20_013_928,
}  # fmt: skip
# Of ours, with skips and without, as the notes of experiments/families.py and segmentation.py say.
TWINS: list[tuple[str, int, tuple[int, int, int], dict[str, Any], tuple[int, int]]] = [
    ("wide_resnet", 10, CIFAR, dict(depth=10, widen=2), (303_706, 292_954)),
    ("cifar_resnext", 10, CIFAR, dict(depth=20, cardinality=4, group_width=4, width=16), (147_802, 104_922)),
    ("densenet", 10, CIFAR, dict(depth=22, growth=12), (71_686, 53_914)),
    ("highway", 10, (8, 8, 1), dict(norm="none", width=16), (37_450, 18_890)),
    ("highway", 10, (8, 8, 1), dict(norm="none", width=23), (77_014, 38_742)),
    ("unet", 11, (32, 32, 1), {}, (482_619, 434_235)),
]
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
    # timm's resnet18d, resnet26d and resnet50d.
    imagenet(11_708_744, depth=18, stem="deep", shortcut="D"),
    imagenet(16_014_408, depth=26, stem="deep", shortcut="D"),
    imagenet(25_576_264, depth=50, stem="deep", shortcut="D"),
    *(imagenet(count, depth=depth, stride_in="1x1") for depth, count in IMAGENET_COUNTS.items()),
    # A number for each of 9 units, or for each channel that they put out.
    cifar(269_722 + 9, depth=20, learned_scale="scalar"),
    cifar(269_722 + 3 * (16 + 32 + 64), depth=20, learned_scale="channels"),
    # Squeeze-and-excitation of c channels by 16: 2 c c / 16 + c / 16 + c. SE-ResNet-50 as others count it.
    cifar(269_722 + 3 * (49 + 162 + 580), depth=20, excitation=16),
    imagenet(28_088_024, depth=50, excitation=16),
    *(
        Golden("wide_resnet", 10, CIFAR, dict(depth=depth, widen=widen), count)
        for (depth, widen), count in WIDE_COUNTS.items()
    ),
    Golden("wide_resnet", 10, CIFAR, dict(depth=28, widen=10, dropout=0.3), WIDE_COUNTS[28, 10]),
    # Xie et al. 2017 (1611.05431): 34.4M, 68.1M (cut off, not rounded); torchvision's ResNeXt-50 and 101.
    Golden("cifar_resnext", 10, CIFAR, dict(depth=29, cardinality=8, group_width=64), 34_426_698),
    Golden("cifar_resnext", 10, CIFAR, dict(depth=29, cardinality=16, group_width=64), 68_155_210),
    Golden("imagenet_resnext", 1000, IMAGENET, dict(depth=50), 25_028_904),
    Golden("imagenet_resnext", 1000, IMAGENET, dict(depth=101, group_width=8), 88_791_336),
    *(
        Golden("densenet", 10, CIFAR, dict(depth=depth, growth=growth, **BASIC), count)
        for (depth, growth), count in DENSE_COUNTS.items()
    ),
    *(
        Golden("densenet", 10, CIFAR, dict(depth=depth, growth=growth), count)
        for (depth, growth), count in DENSE_BC_COUNTS.items()
    ),
    *(
        Golden("imagenet_densenet", 1000, IMAGENET, dict(depth=depth, growth=growth), count)
        for (depth, growth), count in DENSE_IMAGENET_COUNTS.items()
    ),
    *(
        Golden(name, classes, shape, settings | dict(skip=skip), counts[not skip])
        for name, classes, shape, settings, counts in TWINS
        for skip in (True, False)
    ),
    # Srivastava et al. 2015 (1507.06228): 39K and 151K. Stem, 8 units of two convolutions, 3 x 3 pixels.
    Golden("highway", 10, MNIST, dict(norm="none", width=16), 160 + 8 * 2 * 2_320 + 1_450),
    Golden("highway", 10, MNIST, dict(norm="none", width=32), 320 + 8 * 2 * 9_248 + 2_890),
    # No norms, 2 * 16 + 36 * 224 less; four shifts and a scale in each of 54 units, and two shifts more.
    Golden("fixup_resnet", 10, CIFAR, dict(norm="none", depth=110), 1_727_962 - 8_096 + 5 * 54 + 2),
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


def runs_by_default(golden: Golden) -> bool:
    """Selects one model of each family: tracing 1,202 layers takes seconds."""
    return golden is next(other for other in GOLDEN if other.name == golden.name)


@parametrize_sampled("golden", GOLDEN, ids=str, default=runs_by_default)
def test_the_parameters_are_as_many_as_published(golden: Golden) -> None:
    found = parameters(golden.name, golden.classes, golden.image_shape, **golden.settings)
    assert count(found) == golden.parameters


def test_no_model_lacks_a_golden_count() -> None:
    assert {golden.name for golden in GOLDEN} == set(MODELS)


@pytest.mark.parametrize("skip", [True, False])
@pytest.mark.parametrize("order", ["original", "preactivation"])
@pytest.mark.parametrize(("norm", "extra"), [("batch", 2), ("group", 2), ("none", 1)])
@parametrize_sampled(("depth", "width"), [(4, 8), (44, 16)], default=1)
def test_a_dense_net_s_parameters_follow_the_formula(
    depth: int, width: int, norm: Any, extra: int, order: str, skip: bool
) -> None:
    """Every layer but the classifier has `extra` numbers a unit: scale and shift, or a bias alone."""
    settings = dict(norm=norm, depth=depth, width=width, order=order, skip=skip)
    found = parameters("residual_mlp", 7, (5, 3, 2), **settings)
    inner = (depth - 2) * (width * width + extra * width)
    assert count(found) == (30 * width + extra * width) + inner + (7 * width + 7)


@parametrize_sampled(
    ("depth", "projections"), [(18, 3), (34, 3), (50, 4), (101, 4), (152, 4)], default=[(18, 3), (50, 4)]
)
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
