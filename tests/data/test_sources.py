"""Digits, a person's own arrays, and the slice that is held out of train."""

import hashlib
import os
from pathlib import Path

import numpy as np
import pytest

from resjax import config as configs
from resjax import job as jobs
from resjax.config import Config
from resjax.data import sources
from resjax.data.sources import Dataset, Split
from resjax.errors import UserError

# Published statistics of the real sets: size, shape, mean of train by channel, examples of each class.
REAL = {
    "cifar10": (50_000, 10_000, (32, 32, 3), (125.3069, 122.9504, 113.8654), [5000] * 10),
    "mnist": (60_000, 10_000, (28, 28, 1), (33.3184,),
              [5923, 6742, 5958, 6131, 5842, 5421, 5918, 6265, 5851, 5949]),
}  # fmt: skip


def checksum(split: Split) -> str:
    return hashlib.sha256(split.images.tobytes() + split.labels.astype("<i8").tobytes()).hexdigest()[:16]


def contents(split: Split) -> set[bytes]:
    return {image.tobytes() for image in split.images}


def write(folder: Path, shape: tuple[int, ...], classes: int = 5, count: int = 40) -> str:
    """-> npz:PREFIX of random images in which no two are alike."""
    rng = np.random.default_rng(0)
    for split, size in (("train", count), ("test", 10)):
        images = rng.integers(0, 256, (size, *shape), np.uint8)
        np.savez(folder / f"own-{split}.npz", image=images, label=np.arange(size, dtype=np.uint8) % classes)
    return f"npz:{folder / 'own'}"


def test_digits_are_split_as_ever() -> None:
    """The checksums pin the order of examples too: another one would change every number made before."""
    dataset = sources.load(name="digits")
    assert (len(dataset.train), len(dataset.validation), len(dataset.test)) == (1437, 0, 360)
    assert (dataset.image_shape, dataset.classes) == ((8, 8, 1), 10)
    assert checksum(dataset.train) == "eb74d277158d6e8b"
    assert checksum(dataset.test) == "77babbc3eaad2e34"


def test_digits_are_scikit_learn_s_with_none_lost_or_doubled() -> None:
    from sklearn.datasets import load_digits

    images, labels = load_digits(return_X_y=True)
    dataset = sources.load(name="digits")
    found = [
        ((image.ravel() / 15).tolist(), label)
        for split in (dataset.train, dataset.test)
        for image, label in zip(split.images, split.labels, strict=True)
    ]
    assert sorted(found) == sorted(zip(images.tolist(), labels, strict=True))


def test_the_held_out_slice_is_as_ever() -> None:
    dataset = sources.load(name="digits", holdout=37)
    assert checksum(dataset.train) == "e157e05d02690697"
    assert checksum(dataset.validation) == "5c8cd5448e0728ee"


@pytest.mark.parametrize("holdout", [1, 13, 39])
def test_the_held_out_slice_and_the_rest_are_train(tmp_path: Path, holdout: int) -> None:
    name = write(tmp_path, (6, 7, 3))
    whole, split = sources.load(name=name), sources.load(name=name, holdout=holdout)
    assert len(split.validation) == holdout
    assert contents(split.train).isdisjoint(contents(split.validation))
    assert contents(split.train) | contents(split.validation) == contents(whole.train)
    assert checksum(split.test) == checksum(whole.test)


def test_held_out_examples_keep_their_labels(tmp_path: Path) -> None:
    name = write(tmp_path, (6, 7, 3))
    whole, split = sources.load(name=name), sources.load(name=name, holdout=13)
    label_of = {
        image.tobytes(): label for image, label in zip(whole.train.images, whole.train.labels, strict=True)
    }
    for part in (split.train, split.validation):
        assert [label_of[image.tobytes()] for image in part.images] == part.labels.tolist()


def test_another_holdout_seed_holds_out_others() -> None:
    chosen = [contents(sources.load(name="digits", holdout=100, holdout_seed=s).validation) for s in (0, 1)]
    assert len(chosen[0] & chosen[1]) < 50


def test_a_larger_slice_holds_the_smaller_one() -> None:
    small, large = (sources.load(name="digits", holdout=size).validation for size in (50, 100))
    assert contents(small) < contents(large)


def test_what_is_held_out_depends_on_neither_the_run_s_seed_nor_numpy_s(tiny: Config) -> None:
    found = set()
    for seed in (0, 1):
        np.random.seed(seed)
        config = configs.override(tiny, [f"--config.seed={seed}", f"--config.train.batch_size={10 + seed}"])
        found.add(checksum(jobs.build(config).dataset.validation))
    assert found == {"5c8cd5448e0728ee"}


def test_an_empty_split_says_how_to_fill_it() -> None:
    with pytest.raises(UserError, match=r"config\.data\.holdout"):
        sources.load(name="digits").split("validation")


@pytest.mark.parametrize(
    ("stored", "shape"), [((6, 7), (6, 7, 1)), ((6, 7, 3), (6, 7, 3)), ((6, 7, 1), (6, 7, 1))]
)
def test_a_person_s_own_arrays_are_read_as_they_are(
    tmp_path: Path, stored: tuple[int, ...], shape: tuple[int, ...]
) -> None:
    name = write(tmp_path, stored)
    dataset = sources.load(name=name)
    with np.load(tmp_path / "own-train.npz") as written:
        np.testing.assert_array_equal(dataset.train.images, written["image"].reshape(-1, *shape))
        np.testing.assert_array_equal(dataset.train.labels, written["label"])
    assert (dataset.image_shape, dataset.classes, len(dataset.test)) == (shape, 5, 10)
    assert dataset.train.labels.dtype == np.int64
    assert sources.describe(name=name) == (shape, 5)


def test_describe_agrees_with_load_and_takes_a_whole_section(tiny: Config) -> None:
    dataset = sources.load(name="digits")
    assert sources.describe(**tiny.data.to_dict()) == (dataset.image_shape, dataset.classes)


def test_describe_knows_sets_that_are_not_on_this_machine(tmp_path: Path) -> None:
    known = {"cifar10": ((32, 32, 3), 10), "cifar100": ((32, 32, 3), 100), "mnist": ((28, 28, 1), 10)}
    for name, expected in known.items():
        assert sources.describe(name=f"tfds:{name}", directory=str(tmp_path)) == expected
    shape = sources.describe(name="tfds:imagenet2012", directory=str(tmp_path), image_size=64)
    assert shape == ((64, 64, 3), 1000)
    assert not list(tmp_path.iterdir())


def real(name: str) -> Dataset:
    folder = os.environ.get("RESJAX_TEST_DATA", "")
    if not (Path(folder) / f"{name}-train.npz").is_file():
        pytest.skip(f"RESJAX_TEST_DATA names no folder with {name}-train.npz and {name}-test.npz")
    return sources.load(name=f"npz:{Path(folder) / name}")


@pytest.mark.parametrize("name", REAL)
def test_real_images_are_the_published_ones(name: str) -> None:
    train, test, shape, mean, counts = REAL[name]
    dataset = real(name)
    assert (len(dataset.train), len(dataset.test), dataset.image_shape) == (train, test, shape)
    np.testing.assert_allclose(dataset.train.images.mean((0, 1, 2)), mean, atol=1e-3)
    np.testing.assert_array_equal(np.bincount(dataset.train.labels), counts)
