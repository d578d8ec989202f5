"""Published multiply-adds; only shapes are traced, nothing is computed."""

from typing import Any

import pytest
from selection import parametrize_sampled

from resjax.anatomy import summarize
from resjax.models import MODELS
from resjax.models.blocks import Layers
from resjax.models.heads import Net

CIFAR, IMAGENET = (32, 32, 3), (224, 224, 3)


def multiply_adds(name: str, classes: int, image_shape: tuple[int, int, int], **settings: Any) -> int:
    return summarize(Net(MODELS[name](classes, Layers(), **settings)), image_shape).multiply_adds


@pytest.mark.parametrize("skip", [True, False])
@parametrize_sampled(
    ("depth", "millions"),
    [(20, 40.6), (32, 68.9), (44, 97.2), (56, 125.5), (110, 252.9)],
    default=[(20, 40.6)],
)
def test_the_cifar_nets_cost_the_known_multiply_adds(depth: int, millions: float, skip: bool) -> None:
    found = multiply_adds("cifar_resnet", 10, CIFAR, depth=depth, skip=skip)
    assert round(found / 1e6, 1) == millions


@parametrize_sampled(
    ("depth", "billions"), [(18, 1.8), (34, 3.6), (50, 3.8), (101, 7.6), (152, 11.3)], default=[(18, 1.8)]
)
def test_with_the_stride_first_the_imagenet_nets_cost_what_the_paper_s_table_says(
    depth: int, billions: float
) -> None:
    """Table 1 of He et al. 2015 prints two digits, some of them cut off instead of rounded."""
    found = multiply_adds("imagenet_resnet", 1000, IMAGENET, depth=depth, stride_in="1x1")
    assert billions - 0.05 < found / 1e9 < billions + 0.1


@parametrize_sampled(
    ("depth", "billions"),
    [(18, 1.814), (34, 3.664), (50, 4.089), (101, 7.801), (152, 11.514)],
    default=[(50, 4.089)],
)
def test_with_the_stride_in_the_middle_they_cost_what_torchvision_says(depth: int, billions: float) -> None:
    found = multiply_adds("imagenet_resnet", 1000, IMAGENET, depth=depth, stride_in="3x3")
    assert round(found / 1e9, 3) == billions


def test_a_transformer_costs_what_torchvision_says() -> None:
    """Its 17.56 * 10^9 count the two products of attention too."""
    found = multiply_adds("vit", 1000, IMAGENET, blocks=12, width=768, heads=12, patch=16, pool="class")
    assert round(found / 1e9, 2) == 17.56


def test_resnext_50_costs_what_torchvision_says() -> None:
    """The paper's table 1 prints 4.2 billion."""
    assert round(multiply_adds("imagenet_resnext", 1000, IMAGENET, depth=50) / 1e9, 2) == 4.23


@pytest.mark.slow
def test_densenet_161_costs_what_torchvision_says() -> None:
    found = multiply_adds("imagenet_densenet", 1000, IMAGENET, depth=161, growth=48)
    assert round(found / 1e9, 3) == 7.728


def test_squeeze_and_excitation_costs_its_two_dense_layers() -> None:
    plain, excited = (
        multiply_adds("imagenet_resnet", 1000, IMAGENET, depth=50, excitation=r) for r in (0, 16)
    )
    units = {256: 3, 512: 4, 1024: 6, 2048: 3}
    assert excited - plain == sum(n * 2 * width * width // 16 for width, n in units.items())


@pytest.mark.parametrize(("solver", "times"), [("euler", 5), ("dopri5", 1)])
def test_a_block_costs_as_often_as_it_is_applied_and_in_a_solver_that_chooses_once(
    solver: str, times: int
) -> None:
    """Its two convolutions of 9 to 8 channels on a plane of 2 x 2; parameters are there once."""
    if solver == "dopri5":
        pytest.importorskip("diffrax")
    trunk = MODELS["ode_net"](10, Layers(norm="group"), width=8, solver=solver, steps=5)
    rows = [row for row in summarize(Net(trunk), (10, 10, 1)).layers if row.part == "flow"]
    assert sum(row.multiply_adds for row in rows) == times * 2 * 2 * 2 * 9 * 9 * 8
    assert sum(row.parameters for row in rows) == 2 * (9 * 9 * 8 + 8) + 3 * 2 * 8
