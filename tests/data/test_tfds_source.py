"""Prepared tensorflow-datasets directories: what was written is what is read, without TensorFlow."""

import io
import json
import shutil
import subprocess
import sys
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from resjax.data import sources, tfds_source
from resjax.data import split as split_module
from resjax.data.split import Rows
from resjax.errors import UserError

Examples = list[tuple[np.ndarray, int]]


def draw(count: int, shapes: list[tuple[int, ...]], labels: list[int]) -> Examples:
    rng = np.random.default_rng(count)
    return [
        (rng.integers(0, 256, shapes[i % len(shapes)], np.uint8), labels[i % len(labels)])
        for i in range(count)
    ]


def as_png(image: np.ndarray) -> io.BytesIO:
    png = io.BytesIO()
    Image.fromarray(image.squeeze()).save(png, "PNG")
    return io.BytesIO(png.getvalue())


def write(name: str, folder: Path, splits: dict[str, Examples], **more: Any) -> None:
    """Prepares the data set `name`, with these examples in place of its own."""
    import tensorflow_datasets as tfds

    def records(examples: Examples) -> Iterator[tuple[int, dict[str, Any]]]:
        for i, (image, label) in enumerate(examples):
            extra = {key: value.format(i) for key, value in more.items()}
            yield i, {"image": as_png(image), "label": label, **extra}

    def split_generators(*_: Any) -> dict[str, Any]:
        return {split: records(examples) for split, examples in splits.items()}

    builder: Any = tfds.builder(name, data_dir=folder, file_format="array_record")
    with pytest.MonkeyPatch.context() as patch, warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of tensorflow-datasets' own making
        patch.setattr(type(builder), "_split_generators", split_generators)
        builder.download_and_prepare()


@pytest.fixture(scope="module")
def digits() -> dict[str, Examples]:
    """Random pictures in MNIST's size."""
    return {"train": draw(20, [(28, 28, 1)], list(range(10))), "test": draw(10, [(28, 28, 1)], [9, 4, 0])}


@pytest.fixture(scope="module")
def mnist(digits: dict[str, Examples], tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("tfds")
    write("mnist", folder, digits)
    return folder


@pytest.fixture
def own(mnist: Path, tmp_path: Path) -> Path:
    """A copy of the prepared data set that a test may damage; -> its folder of files."""
    shutil.copytree(mnist, tmp_path / "tfds")
    return tmp_path / "tfds" / "mnist" / "3.0.1"


def load(folder: Path, name: str = "tfds:mnist", **settings: Any) -> sources.Dataset:
    return sources.load(name=name, directory=str(folder), **settings)


def refusal(folder: Path, name: str = "tfds:mnist", **settings: Any) -> str:
    with pytest.raises(UserError) as caught:
        load(folder, name, **settings)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def assert_same(split: sources.Split, written: Examples) -> None:
    """Preparation shuffles, so both sides are sorted by their content."""
    found = sorted((image.tobytes(), label) for image, label in zip(split.images, split.labels, strict=True))
    assert found == sorted((image.tobytes(), label) for image, label in written)


def test_what_was_written_is_what_is_read(mnist: Path, digits: dict[str, Examples]) -> None:
    dataset = load(mnist)
    assert (dataset.image_shape, dataset.classes) == ((28, 28, 1), 10)
    assert_same(dataset.train, digits["train"])
    assert_same(dataset.test, digits["test"])
    assert sources.describe(name="tfds:mnist", directory=str(mnist)) == ((28, 28, 1), 10)


def test_a_large_set_is_decoded_to_files_and_read_by_index(
    own: Path, digits: dict[str, Examples], monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    small = load(own.parent.parent, holdout=5)
    sources._read.cache_clear()
    monkeypatch.setenv("XDG_CACHE_HOME", str(own.parents[2] / "cache"))
    monkeypatch.setattr(split_module, "LARGEST", 10_000)
    monkeypatch.setattr(tfds_source, "AT_ONCE", 3)
    whole, large = load(own.parent.parent), load(own.parent.parent, holdout=5)
    assert_same(whole.train, digits["train"])
    assert_same(whole.test, digits["test"])
    for name in ("train", "validation", "test"):
        assert isinstance(large.split(name).images, Rows)
        np.testing.assert_array_equal(large.split(name).images[:], small.split(name).images)
        np.testing.assert_array_equal(large.split(name).labels, small.split(name).labels)
    assert "tfds:mnist at 28x28x1, train: decoding 20 images, once, to " in capfd.readouterr().err


def test_a_large_set_without_room_is_refused(mnist: Path) -> None:
    said = refusal(mnist, image_size=1_000_000)
    for name in ("tfds:mnist", "27,939.7 GiB", "XDG_CACHE_HOME", "config.data.image_size"):
        assert name in said


def test_reading_imports_no_tensorflow(mnist: Path) -> None:
    read = f"sources.load(name='tfds:mnist', directory={str(mnist)!r})"
    code = (
        f"import sys; from resjax.data import sources; print(len({read}.train), 'tensorflow' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["20", "False"]


def test_grey_images_can_be_resized(mnist: Path) -> None:
    assert load(mnist, image_size=14).train.images.shape == (20, 14, 14, 1)


@pytest.fixture(scope="module")
def imagenet(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Pictures of several sizes under ImageNet's name; as there, the labels of `test` are secret."""
    folder = tmp_path_factory.mktemp("tfds")
    shapes = [(8, 8, 3), (12, 8, 3), (8, 20, 3), (31, 17, 3), (9, 9)]
    splits = {
        "train": draw(10, shapes, [0, 999, 5]),
        "validation": draw(5, shapes, [7]),
        "test": draw(4, shapes, [-1]),
    }
    write("imagenet2012", folder, splits, file_name="{}.JPEG")
    return folder


def test_images_of_many_sizes_become_squares_of_one(imagenet: Path) -> None:
    shape, classes = sources.describe(name="tfds:imagenet2012", directory=str(imagenet), image_size=8)
    assert (shape, classes) == ((8, 8, 3), 1000)
    train, _, _ = tfds_source.read("imagenet2012", str(imagenet), 8)
    assert train.images.shape == (10, 8, 8, 3)
    assert sorted(train.labels) == [0] * 4 + [5] * 3 + [999] * 3
    stored = draw(10, [(8, 8, 3), (12, 8, 3), (8, 20, 3), (31, 17, 3), (9, 9)], [0])
    found = {image.tobytes() for image in train.images}
    assert {stored[0][0].tobytes(), stored[5][0].tobytes()} <= found  # 8 x 8 already: as it was
    assert {stored[1][0][2:10].tobytes(), stored[2][0][:, 6:14].tobytes()} <= found  # only cut


def test_where_the_test_labels_are_secret_validation_is_the_test_set(imagenet: Path) -> None:
    dataset = load(imagenet, "tfds:imagenet2012", image_size=8)
    np.testing.assert_array_equal(dataset.test.labels, [7] * 5)


def test_images_of_many_sizes_need_an_image_size(imagenet: Path) -> None:
    said = refusal(imagenet, "tfds:imagenet2012")
    assert "imagenet2012" in said
    assert "config.data.image_size" in said


@pytest.mark.parametrize(("height", "width"), [(6, 10), (10, 6), (6, 6)])
def test_the_square_is_cut_from_the_middle(height: int, width: int) -> None:
    image = np.random.default_rng(0).integers(0, 256, (height, width, 3), np.uint8)
    top, left = (height - 6) // 2, (width - 6) // 2
    np.testing.assert_array_equal(tfds_source.centre_square(image, 6), image[top : top + 6, left : left + 6])


def test_resizing_averages_over_the_pixels_that_it_merges() -> None:
    """Antialiased: a board of black and white pixels becomes grey; picking pixels would leave it black."""
    board = (np.indices((32, 48)).sum(0) % 2 * 255).astype(np.uint8)
    small = tfds_source.centre_square(np.stack([board] * 3, -1), 8)
    assert small.shape == (8, 8, 3)
    np.testing.assert_allclose(small[1:-1, 1:-1], 127.5, atol=4)


def test_an_unprepared_set_names_the_command_that_prepares_it(tmp_path: Path) -> None:
    said = refusal(tmp_path)
    assert "tfds:mnist" in said
    assert f"resjax prepare tfds:mnist --directory {tmp_path}" in said


def test_an_unknown_name_is_refused(tmp_path: Path) -> None:
    assert "'mnits'" in refusal(tmp_path, "tfds:mnits")


def test_tfrecord_files_name_the_command_that_replaces_them(own: Path) -> None:
    file = own / "dataset_info.json"
    info = json.loads(file.read_text())
    file.write_text(json.dumps(info | {"fileFormat": "tfrecord"}))
    for record in own.glob("*.array_record*"):
        record.rename(str(record).replace("array_record", "tfrecord"))
    said = refusal(own.parent.parent)
    assert str(own) in said
    assert "resjax prepare tfds:mnist" in said
    assert "--overwrite" in said


@pytest.mark.parametrize("keep", [0, 100, -100])
def test_a_truncated_file_is_named_by_its_folder(own: Path, keep: int) -> None:
    (file,) = own.glob("*train.array_record*")
    file.write_bytes(file.read_bytes()[:keep])
    said = refusal(own.parent.parent)
    assert str(own) in said
    assert "prepare" in said


def test_a_missing_file_is_named_by_its_folder(own: Path) -> None:
    next(own.glob("*test.array_record*")).unlink()
    said = refusal(own.parent.parent)
    assert str(own) in said
    assert "prepare" in said
