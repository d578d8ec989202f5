"""Normalisation against NumPy in float64; crops and flips against the padded image itself."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from numpy.lib.stride_tricks import sliding_window_view

from resjax.data import augment, whitening
from resjax.data.augment import Pipeline, fit, shape_read

NORMALIZE = ("channel_mean_std", "pixel_mean", "pixel_mean_scalar_std", "imagenet", "unit")
KEY = jax.random.key(0)


def draw(count: int, height: int = 6, width: int = 5, channels: int = 3) -> np.ndarray:
    """Images whose channels, rows and columns all have means of their own."""
    rng = np.random.default_rng(0)
    top = np.linspace(60, 250, height * width * channels).reshape(height, width, channels)
    return rng.uniform(0, top, (count, height, width, channels)).astype(np.uint8)


def expected(images: np.ndarray, normalize: str) -> np.ndarray:
    """The definitions, word for word, in float64."""
    x = images.astype(np.float64)
    centred = x - x.mean(0)
    return {
        "channel_mean_std": (x - x.mean((0, 1, 2))) / x.std((0, 1, 2)),
        "pixel_mean": centred / 255,
        "pixel_mean_scalar_std": centred / centred.std(),
        "imagenet": (x / 255 - [0.485, 0.456, 0.406]) / [0.229, 0.224, 0.225],
        "unit": x / 255,
    }[normalize]


def windows(padded: np.ndarray, like: np.ndarray) -> np.ndarray:
    """-> (n, rows, columns, h, w, c): every window of the padded images."""
    _, height, width, _ = like.shape
    return sliding_window_view(padded, (height, width), (1, 2)).transpose(0, 1, 2, 4, 5, 3)


def corners(outputs: Any, padded: np.ndarray, images: np.ndarray) -> list[tuple[int, int]]:
    """-> for each output the corner of the one window that it is."""
    found = []
    for output, candidates in zip(np.asarray(outputs), windows(padded, images), strict=True):
        hits = np.argwhere(np.isclose(candidates, output, atol=1e-5).all((-3, -2, -1)))
        assert len(hits) == 1
        found.append(tuple(hits[0].tolist()))
    return found


@pytest.mark.parametrize("normalize", NORMALIZE)
@pytest.mark.parametrize("count", [3, 5000])
def test_inputs_are_normalised_as_defined(normalize: Any, count: int) -> None:
    images = draw(count)
    outputs = fit(images, normalize=normalize).evaluate(jnp.asarray(images))
    np.testing.assert_allclose(outputs, expected(images, normalize), rtol=1e-5, atol=2e-5)


class Read:
    """Images that note how many of them are read at a time, as from a file."""

    def __init__(self, images: np.ndarray):
        self.images, self.shape, self.read = images, images.shape, []

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, at: Any) -> np.ndarray:
        self.read.append(len(self.images[at]))
        return self.images[at]


@pytest.mark.parametrize("normalize", NORMALIZE)
def test_statistics_are_taken_of_few_images_at_a_time(
    normalize: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    images, whole = Read(draw(50)), fit(draw(50), normalize=normalize)
    monkeypatch.setattr(augment, "PIECE", 7 * images.images[0].nbytes)
    found = fit(images, normalize=normalize)
    assert max(images.read, default=0) <= 7
    np.testing.assert_array_equal(found.mean, whole.mean)
    np.testing.assert_array_equal(found.scale, whole.scale)


def test_statistics_are_of_the_training_images_not_of_those_evaluated() -> None:
    train, other = draw(100), draw(100) // 2
    pipeline = fit(train, normalize="channel_mean_std")
    scaled = (other - train.mean((0, 1, 2))) / train.std((0, 1, 2))
    np.testing.assert_allclose(pipeline.evaluate(jnp.asarray(other)), scaled, rtol=1e-5, atol=2e-5)


@pytest.mark.parametrize("normalize", ["channel_mean_std", "pixel_mean_scalar_std"])
def test_a_constant_image_becomes_zeros_not_nan(normalize: Any) -> None:
    images = np.full((4, 3, 3, 1), 7, np.uint8)
    np.testing.assert_array_equal(fit(images, normalize=normalize).evaluate(jnp.asarray(images)), 0)


@pytest.mark.parametrize("pad_when", ["before", "after"])
@pytest.mark.parametrize(("pad", "pad_mode"), [(1, "zeros"), (3, "zeros"), (3, "reflect")])
def test_a_crop_is_a_window_of_the_padded_image(pad: int, pad_mode: Any, pad_when: Any) -> None:
    images = draw(400)
    pipeline = fit(images, pad=pad, pad_mode=pad_mode, pad_when=pad_when)
    border = ((0, 0), (pad, pad), (pad, pad), (0, 0))
    mode: Any = {"zeros": "constant", "reflect": "reflect"}[pad_mode]
    if pad_when == "before":
        mean, std = images.mean((0, 1, 2)), images.std((0, 1, 2))
        padded = (np.pad(images, border, mode).astype(np.float64) - mean) / std
    else:
        padded = np.pad(expected(images, "channel_mean_std"), border, mode)
    found = np.asarray(corners(pipeline.train(KEY, jnp.asarray(images)), padded, images))
    assert found.min() == 0
    assert found.max() == 2 * pad
    np.testing.assert_allclose(found.mean(0), pad, atol=0.15 * pad)


@pytest.mark.parametrize(("pad_when", "border"), [("after", 0.0), ("before", -1.0)])
def test_the_border_is_the_mean_colour_after_and_black_before(pad_when: str, border: float) -> None:
    mean, scale = jnp.full((1, 1, 1, 1), 100.0), jnp.full((1, 1, 1, 1), 0.01)
    pipeline = Pipeline(mean, scale, pad=2, pad_when=pad_when)
    outputs = pipeline.train(KEY, jnp.full((50, 4, 4, 1), 255, jnp.uint8))
    np.testing.assert_allclose(np.unique(outputs), [border, 1.55], rtol=1e-6)


def test_reflection_brings_in_no_new_value() -> None:
    images = draw(50)
    pipeline = fit(images, normalize="unit", pad=3, pad_mode="reflect")
    for image, output in zip(images, pipeline.train(KEY, jnp.asarray(images)), strict=True):
        assert set((np.asarray(output) * 255).round().ravel()) <= set(image.ravel().astype(np.float32))


def test_half_of_the_images_are_mirrored_exactly_and_none_is_changed_else() -> None:
    images = draw(1000)
    pipeline = fit(images, flip=True)
    plain, outputs = pipeline.evaluate(jnp.asarray(images)), pipeline.train(KEY, jnp.asarray(images))
    kept = np.asarray((outputs == plain).all((1, 2, 3)))
    mirrored = np.asarray((outputs == plain[:, :, ::-1]).all((1, 2, 3)))
    assert (kept ^ mirrored).all()
    assert 450 < mirrored.sum() < 550  # three standard deviations


def test_crop_and_flip_are_drawn_apart() -> None:
    """Were they drawn from one key, mirrored images would have corners of their own."""
    images = draw(600)
    outputs = fit(images, normalize="unit", pad=1, flip=True).train(KEY, jnp.asarray(images))
    padded = np.pad(images / 255, ((0, 0), (1, 1), (1, 1), (0, 0)))
    both = np.stack([windows(padded, images), windows(padded, images)[..., ::-1, :]], 1)
    hits = np.isclose(both, np.asarray(outputs)[:, None, None, None], atol=1e-5).all((-3, -2, -1))
    share = hits.mean(0)  # of (mirrored, row, column)
    assert (hits.sum((1, 2, 3)) == 1).all()
    np.testing.assert_allclose(share, 1 / 18, atol=0.035)


def test_without_crop_and_flip_training_sees_what_evaluation_sees() -> None:
    images = jnp.asarray(draw(20))
    pipeline = fit(draw(20))
    np.testing.assert_array_equal(pipeline.train(KEY, images), pipeline.evaluate(images))


def test_the_same_key_gives_the_same_bits_and_another_step_other_crops() -> None:
    images = jnp.asarray(draw(50))
    pipeline = fit(draw(50), pad=2, flip=True)
    first, again, other = (pipeline.train(jax.random.fold_in(KEY, step), images) for step in (3, 3, 4))
    np.testing.assert_array_equal(first, again)
    assert np.asarray((first != other).any((1, 2, 3))).mean() > 0.8


def test_evaluation_neither_crops_nor_flips() -> None:
    images = draw(50)
    bare, full = fit(images), fit(images, pad=2, flip=True)
    np.testing.assert_array_equal(bare.evaluate(jnp.asarray(images)), full.evaluate(jnp.asarray(images)))


@pytest.mark.parametrize("normalize", NORMALIZE)
def test_one_trace_serves_every_key_and_all_statistics(normalize: Any) -> None:
    traces = []

    @jax.jit
    def train(pipeline: Pipeline, key: jax.Array, images: jax.Array) -> jax.Array:
        traces.append(1)
        return pipeline.train(key, images)

    for number, images in enumerate((draw(8), draw(8) // 2)):
        pipeline = fit(images, normalize=normalize, pad=1, flip=True)
        compiled = train(pipeline, jax.random.key(number), jnp.asarray(images))
        eager = pipeline.train(jax.random.key(number), jnp.asarray(images))
        np.testing.assert_allclose(compiled, eager, rtol=1e-5, atol=1e-6)
    assert len(traces) == 1


@pytest.mark.parametrize("normalize", NORMALIZE)
@pytest.mark.parametrize("pad_when", ["before", "after"])
def test_inputs_are_float32_under_strict_promotion(normalize: Any, pad_when: Any) -> None:
    images = draw(4)
    pipeline = fit(images, normalize=normalize, pad=1, pad_when=pad_when, flip=True)
    with jax.numpy_dtype_promotion("strict"), jax.numpy_rank_promotion("raise"):
        assert pipeline.train(KEY, jnp.asarray(images)).dtype == jnp.float32
        assert pipeline.evaluate(jnp.asarray(images)).dtype == jnp.float32


def test_whitened_patches_are_uncorrelated_and_of_one_variance() -> None:
    images = draw(4000, 6, 5, 2)
    pipeline = fit(images, whiten=2)
    outputs = np.asarray(pipeline.evaluate(jnp.asarray(images)), np.float64)
    assert outputs.shape == (4000, 6, 5, 8) == (4000, *shape_read((6, 5, 2), whiten=2))
    inside = outputs[:, :-1, :-1].reshape(-1, 8)
    np.testing.assert_allclose(np.cov(inside, rowvar=False), np.eye(8), atol=2e-3)


def test_a_whitened_patch_is_the_pixels_from_its_place_on_turned_and_scaled() -> None:
    images = draw(50)
    plain, pipeline = fit(images), fit(images, whiten=2)
    x, filters = np.asarray(plain.evaluate(jnp.asarray(images))), np.asarray(pipeline.filters)
    padded = np.pad(x, ((0, 0), (0, 1), (0, 1), (0, 0)))
    expected = np.einsum("nhwcpq,pqcd->nhwd", sliding_window_view(padded, (2, 2), (1, 2)), filters)
    np.testing.assert_allclose(pipeline.evaluate(jnp.asarray(images)), expected, atol=1e-4)


def test_what_is_whitened_has_been_cropped_and_mirrored_before() -> None:
    images = jnp.asarray(draw(60))
    plain, pipeline = (fit(np.asarray(images), pad=1, flip=True, whiten=side) for side in (0, 2))
    assert pipeline.filters is not None
    expected = whitening.apply(pipeline.filters, plain.train(KEY, images))
    np.testing.assert_allclose(pipeline.train(KEY, images), expected, atol=1e-5)
