"""Constants by which images are normalised: of published nets by name, or as given."""

from typing import Any

import jax.numpy as jnp
import numpy as np
import pytest

from resjax.data.augment import fit


def draw() -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (20, 6, 5, 3), np.uint8)


def test_constants_are_of_images_scaled_to_one() -> None:
    images, mean, std = draw(), (0.4914, 0.4822, 0.4465), (0.2023, 0.1994, 0.2010)
    outputs = fit(images, normalize="constants", mean=mean, std=std).evaluate(jnp.asarray(images))
    np.testing.assert_allclose(outputs, (images / 255 - mean) / std, rtol=1e-5, atol=2e-5)
    outputs = fit(images, normalize="constants", mean=(0.5,), std=(0.25,)).evaluate(jnp.asarray(images))
    np.testing.assert_allclose(outputs, images / 255 * 4 - 2, rtol=1e-5, atol=2e-5)


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        (dict(normalize="constants"), r"mean is \(\); it must be one number, or one for each of 3 channels"),
        (
            dict(normalize="constants", mean=(0.5,), std=(0.1, 0.2)),
            r"std is \(0\.1, 0\.2\); it must be one number",
        ),
        (dict(normalize="constants", mean=(0.5,), std=(0.0,)), r"std is \(0\.0,\)"),
        (dict(normalize="constants", mean=(float("nan"),), std=(0.5,)), "must be finite"),
        (dict(normalize="unit", std=(0.5,)), "std is .* but normalize is 'unit'; it must be 'constants'"),
    ],
)
def test_constants_are_positive_and_fit_the_images(settings: Any, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        fit(draw(), **settings)
