"""Constants by which images are normalised: of published nets by name, or as given."""

import jax.numpy as jnp
import numpy as np

from resjax.data.augment import fit


def draw() -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (20, 6, 5, 3), np.uint8)


def test_constants_are_of_images_scaled_to_one() -> None:
    images, mean, std = draw(), (0.4914, 0.4822, 0.4465), (0.2023, 0.1994, 0.2010)
    outputs = fit(images, normalize="constants", mean=mean, std=std).evaluate(jnp.asarray(images))
    np.testing.assert_allclose(outputs, (images / 255 - mean) / std, rtol=1e-5, atol=2e-5)
    outputs = fit(images, normalize="constants", mean=(0.5,), std=(0.25,)).evaluate(jnp.asarray(images))
    np.testing.assert_allclose(outputs, images / 255 * 4 - 2, rtol=1e-5, atol=2e-5)
