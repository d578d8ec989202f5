"""tensorflow-datasets directories: read array_record files without TensorFlow; prepare them with it."""

import dataclasses
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from resjax.data import decoded
from resjax.data.decoded import Part
from resjax.data.split import Split, is_large
from resjax.errors import UserError

AT_ONCE = 256  # examples that threads may have decoded before the first of them is written


def describe(name: str, directory: str, image_size: int) -> tuple[tuple[int, int, int], int]:
    """-> shape (h, w, c) of the images that `read` gives, and the number of classes."""
    features = _builder(name, directory).info.features
    image, label = _keys(name, features)
    return _shape(name, features[image].shape, image_size), features[label].num_classes


def class_names(name: str, directory: str) -> tuple[str, ...]:
    """-> what the classes are called, in the order of their numbers."""
    features = _builder(name, directory).info.features
    _, label = _keys(name, features)
    return tuple(features[label].names)


def examples(name: str, directory: str) -> tuple[int, int]:
    """-> how many train and test have; 0 where tensorflow-datasets does not know before they are prepared."""
    splits = _builder(name, directory).info.splits
    counts = {split: splits[split].num_examples for split in splits}
    return counts.get("train", 0), counts.get("test", counts.get("validation", 0))


def read(name: str, directory: str, image_size: int) -> tuple[Split, Split, int]:
    """-> train, test and the number of classes of a prepared data set; images of a large one lie in files.

    The test split is `test`, or `validation` for a set whose test labels are secret (ImageNet).

    Raises:
      UserError: unknown name, not prepared, prepared as TFRecord, no room for the files, or not labelled
        images.
    """
    builder = _builder(name, directory)
    prepare = f"python -m resjax prepare tfds:{name}" + (f" --directory {directory}" if directory else "")
    if not builder.is_prepared():
        raise UserError(
            f"tfds:{name} is not prepared in {builder.data_dir}; run '{prepare}', or name its place with"
            " --config.data.directory=DIR"
        )
    if builder.info.file_format.value != "array_record":
        raise UserError(
            f"tfds:{name} in {builder.data_dir} is prepared as {builder.info.file_format.value}, which has"
            f" no random access; run '{prepare} --overwrite' to make array_record files"
        )
    splits = builder.info.splits
    image, label = _keys(name, builder.info.features)
    test = _test_split(builder, label)
    if test is None or "train" not in splits:
        raise UserError(
            f"tfds:{name} has the splits {list(splits)}; it must have train and a labelled test or validation"
        )
    shape = _shape(name, builder.info.features[image].shape, image_size)
    pictures, place = _Pictures(builder, image, label, shape), Path(builder.data_dir)
    counts = {split: splits[split].num_examples for split in ("train", test)}
    if is_large(sum(counts.values()) * int(np.prod(shape))):
        parts = [
            Part(split, (count, *shape), partial(pictures.threaded, split)) for split, count in counts.items()
        ]
        found = decoded.mapped(place, f"tfds:{name} at {'x'.join(map(str, shape))}", parts)
    else:
        found = [decoded.kept(place, (split, shape), partial(pictures.whole, split)) for split in counts]
    return found[0], found[1], builder.info.features[label].num_classes


def prepare(name: str, directory: str, *, overwrite: bool) -> str:
    """Downloads and prepares a data set as array_record files; returns its folder.

    Raises:
      UserError: unknown name, no network, or TensorFlow is needed and absent.
    """
    builder = _builder(name, directory, file_format="array_record", overwrite=overwrite)
    try:
        builder.download_and_prepare()
    except ImportError as error:
        raise UserError(
            f"preparing tfds:{name} needs TensorFlow ({error}); python -m pip install 'resjax[prepare]'"
        ) from error
    except Exception as error:  # download errors have no common type
        reason = (str(error).strip() or type(error).__name__).splitlines()[0]
        raise UserError(f"tfds:{name} could not be prepared in {builder.data_dir}: {reason}") from error
    return str(builder.data_dir)


def _builder(name: str, directory: str, overwrite: bool = False, **settings: Any) -> Any:
    try:
        import tensorflow_datasets as tfds
    except ImportError as error:
        raise UserError(
            f"tfds:{name} needs the package tensorflow-datasets ({error}); python -m pip install"
            " tensorflow-datasets, or use npz:PREFIX"
        ) from error
    try:
        builder = tfds.builder(name, data_dir=directory or None, **settings)
    except tfds.core.DatasetNotFoundError as error:
        raise UserError(f"tensorflow-datasets knows no data set named '{name}'") from error
    except (ValueError, OSError) as error:
        raise UserError(f"tfds:{name}: {str(error).strip().splitlines()[0]}") from error
    if overwrite and builder.is_prepared():
        import shutil

        shutil.rmtree(builder.data_dir)
        builder = tfds.builder(name, data_dir=directory or None, **settings)
    return builder


def _test_split(builder: Any, label: str) -> str | None:
    """-> `test`, or `validation` where the labels of test are secret: tfds gives all of them as -1."""
    for split in (split for split in ("test", "validation") if split in builder.info.splits):
        source = builder.as_data_source(split=split)
        if len(source) and _example(source, builder.data_dir, 0)[label] >= 0:
            return split
    return None


def _keys(name: str, features: Any) -> tuple[str, str]:
    """-> the keys of the one image and of its class label."""
    import tensorflow_datasets as tfds

    images = [key for key, value in features.items() if isinstance(value, tfds.features.Image)]
    labels = [key for key, value in features.items() if isinstance(value, tfds.features.ClassLabel)]
    label = "label" if "label" in labels else (labels[0] if labels else None)
    if len(images) != 1 or label is None:
        raise UserError(
            f"tfds:{name} has the features {list(features)}; it must have one image and a class label"
        )
    return images[0], label


def _shape(name: str, stored: tuple[int | None, ...], image_size: int) -> tuple[int, int, int]:
    height, width, channels = stored
    if image_size:
        return image_size, image_size, channels or 3
    if height is None or width is None or channels is None:
        raise UserError(
            f"the images of tfds:{name} differ in size; set config.data.image_size to the size of the"
            " square that each is resized to, such as 224"
        )
    return height, width, channels


@dataclasses.dataclass(frozen=True)
class _Pictures:
    """The examples of a prepared set; pictures of another size become squares of the size `shape`."""

    builder: Any
    image: str
    label: str
    shape: tuple[int, int, int]

    def whole(self, split: str) -> Split:
        """-> all of them, in memory."""
        count = self.builder.info.splits[split].num_examples
        images, labels = np.empty((count, *self.shape), np.uint8), np.empty(count, np.int64)
        for number, (picture, label) in enumerate(self._decode(split, map)):
            images[number], labels[number] = picture, label
        return Split(images, labels)

    def threaded(self, split: str) -> Iterator[tuple[np.ndarray, int]]:
        """-> one after another; large pictures take so long to decode that threads pay off."""
        with ThreadPoolExecutor() as threads:
            yield from self._decode(split, threads.map)

    def _decode(self, split: str, apply: Callable[..., Any]) -> Iterator[tuple[np.ndarray, int]]:
        source = self.builder.as_data_source(split=split)

        def read(index: int) -> tuple[np.ndarray, int]:
            example = _example(source, self.builder.data_dir, index)
            stored = example[self.image]
            fits = stored.shape == self.shape
            return stored if fits else centre_square(stored, self.shape[0]), example[self.label]

        for first in range(0, len(source), AT_ONCE):
            yield from apply(read, range(first, min(first + AT_ONCE, len(source))))


def centre_square(image: np.ndarray, size: int) -> np.ndarray:
    """Resizes the shorter side to `size`, bilinearly with antialiasing, and cuts out the middle.

    Args:
      image: uint8 array `[height, width, 1 or 3]`.
      size: Side of the square in pixels.

    Returns:
      uint8 array `[size, size, 1 or 3]`.
    """
    from PIL import Image

    picture = Image.fromarray(image if image.shape[-1] == 3 else image[..., 0])
    side = min(picture.size)
    left, top = ((length - side) // 2 for length in picture.size)
    box = (left, top, left + side, top + side)
    return np.asarray(picture.resize((size, size), Image.Resampling.BILINEAR, box=box)).reshape(
        size, size, -1
    )


def _example(source: Any, folder: Any, index: int) -> Any:
    try:
        return source[index]
    except Exception as error:  # array_record, protobuf and image decoders each raise their own
        raise UserError(f"{folder}: example {index} cannot be read ({error}); prepare it again") from error
