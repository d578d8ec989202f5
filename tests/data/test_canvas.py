"""Canvases: what is drawn is what is labelled, and the splits have no digit in common."""

import numpy as np
import pytest

from resjax.data import canvas, sources
from resjax.data.canvas import INK, compose
from resjax.data.split import Split


def bars() -> Split:
    """Digits that can be told by their intensity: label d is a full square of 100 + d."""
    images = np.full((10, 4, 4, 1), 100, np.uint8) + np.arange(10, dtype=np.uint8)[:, None, None, None]
    return Split(images, np.arange(10))


def test_a_pixel_s_label_is_its_digit_s_and_the_rest_is_background() -> None:
    found = compose(bars(), 50, 16, 0)
    assert found.images.shape == (50, 16, 16, 1)
    assert found.labels.shape == (50, 16, 16)
    want = np.where(found.images[..., 0] >= INK, found.images[..., 0] - 99, 0)
    np.testing.assert_array_equal(found.labels, want)
    assert set(np.unique(found.labels)) == set(range(11))
    sizes = {int((image == value).sum()) for image in found.labels for value in range(1, 11)}
    assert {16, 64} <= sizes  # as large as it is, and twice
    assert max(len(np.unique(image)) for image in found.labels) > 3


def test_the_same_seed_draws_the_same() -> None:
    one, same, other = (compose(bars(), 5, 16, seed) for seed in (0, 0, 1))
    np.testing.assert_array_equal(one.images, same.images)
    assert (one.images != other.images).any()


def test_canvases_of_digits_are_a_data_set() -> None:
    found = sources.load(name="canvas:digits", holdout=100)
    assert (len(found.train), len(found.validation), len(found.test)) == (1900, 100, 500)
    assert found.image_shape == (32, 32, 1)
    assert (found.classes, int(found.test.labels.max()), int(found.train.labels.max())) == (11, 10, 10)
    assert sources.describe(name="canvas:digits") == ((32, 32, 1), 11)
    share = (found.train.labels > 0).mean()
    assert 0.05 < share < 0.5


def test_held_out_canvases_are_of_held_out_digits(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each of 100 digits has an intensity of its own; 40 % of the canvases take 40 % of the digits."""
    images = np.full((100, 4, 4, 1), 100, np.uint8) + np.arange(100, dtype=np.uint8)[:, None, None, None]
    digits = Split(images, np.arange(100) % 10)
    monkeypatch.setitem(canvas.CANVASES, "digits", (16, (100, 10)))
    kept, held = canvas.apart("digits", digits, 40, seed=0)
    assert (len(kept), len(held)) == (60, 40)
    ink = [set(np.unique(each.images)) - {0} for each in (kept, held)]
    assert not ink[0] & ink[1]
    assert 30 < len(ink[1]) <= 40 < len(ink[0]) <= 60
    _, other = canvas.apart("digits", digits, 40, seed=1)
    assert set(np.unique(other.images)) - {0} != ink[1]


@pytest.mark.parametrize("name", ["canvas:letters", "canvas"])
def test_other_canvases_are_named(name: str) -> None:
    with pytest.raises(ValueError, match=f"name is '{name}'"):
        sources.load(name=name)
