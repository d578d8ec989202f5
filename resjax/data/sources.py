"""Data sets as checked arrays, by one name; a large one of tfds stays in files, which are read by index.

digits        scikit-learn's bundled handwritten digits, 1,797 images of 8 x 8
tfds:NAME     a prepared tensorflow-datasets directory of array_record files, read without TensorFlow
npz:PREFIX    a person's own arrays: PREFIX-train.npz and PREFIX-test.npz with `image` and `label`
canvas:NAME   digits, or mnist, several on an image whose every pixel is labelled
"""

import dataclasses
import functools
import zipfile
import zlib
from pathlib import Path
from typing import Any, Literal

import numpy as np

from resjax import checks
from resjax.data import canvas, tfds_source
from resjax.data.split import Labels, Split, is_large
from resjax.errors import UserError

DIGITS_TEST = 360  # a fifth of the 1,797


@dataclasses.dataclass(frozen=True)
class Dataset:
    """The splits of one data set; `validation` is empty unless a slice of train is held out."""

    name: str
    classes: int
    train: Split
    validation: Split
    test: Split

    @property
    def image_shape(self) -> tuple[int, int, int]:
        return self.train.images.shape[1:]

    def is_streamed(self, hold: str) -> bool:
        """-> whether the devices are brought examples as they need them, by the key `hold` of `load`."""
        size = sum(split.images.nbytes for split in (self.train, self.validation, self.test))
        return is_large(size) if hold == "auto" else hold == "host"

    def split(self, name: str) -> Split:
        found = {"train": self.train, "validation": self.validation, "test": self.test}[name]
        if not len(found):
            raise UserError(
                f"the {name} split of {self.name} is empty; set config.data.holdout above 0 to hold out"
                " a slice of train"
            )
        return found


def load(
    *,
    name: str,
    directory: str = "",
    image_size: int = 0,
    holdout: int = 0,
    holdout_seed: int = 0,
    hold: Literal["auto", "device", "host"] = "auto",
) -> Dataset:
    """Loads a data set and holds `holdout` examples out of train by a rule that `holdout_seed` fixes.

    Args:
      name: `digits`, `tfds:NAME`, `npz:PREFIX` or `canvas:NAME`.
      directory: where tfds keeps its data sets; "" is TFDS_DATA_DIR or ~/tensorflow_datasets.
      image_size: for tfds sets whose images differ in size: the shorter side is resized to this and the
        square in the middle kept; 0: images as stored.
      holdout_seed: of the choice of held-out examples, apart from the run's own seed.
      hold: where images lie while a net is trained (`job` heeds it): `device`, whole on each of them;
        `host`, from where each step's examples are brought, read by index; `auto`, on the device up to 4 GiB
        of all splits. Where features of a frozen part could be kept, it moves results by rounding; elsewhere
        not by a bit.

    Raises:
      UserError: the data set is missing, damaged, or not one of images with class labels.
      ValueError: an impossible name, size or holdout.
    """
    kind, rest = _parse(name, image_size)
    checks.at_least(0, holdout_seed=holdout_seed)
    train, test, classes = _read(kind, rest, directory, image_size)
    if not 0 <= holdout < len(train):
        raise ValueError(f"holdout is {holdout}; it must be from 0 to {len(train) - 1}, for {name}")
    if kind == "canvas" and holdout:
        kept, held = canvas.apart(rest, _of_canvases(rest, directory)[0], holdout, holdout_seed)
    else:
        kept, held = train.apart(holdout, holdout_seed)
    return Dataset(name, classes, kept, held, test)


def describe(
    *, name: str, directory: str = "", image_size: int = 0, **_: Any
) -> tuple[tuple[int, int, int], int]:
    """-> shape (h, w, c) and number of classes; tfds sets that are not on this machine are known too."""
    kind, rest = _parse(name, image_size)
    if kind == "tfds":
        return tfds_source.describe(rest, directory, image_size)
    train, _test, classes = _read(kind, rest, directory, image_size)
    return train.images.shape[1:], classes


def class_names(*, name: str, directory: str = "", **_: Any) -> tuple[str, ...]:
    """-> what the classes are called, in the order of their numbers; empty where a set does not say."""
    kind, rest = _parse(name, 0)
    return tfds_source.class_names(rest, directory) if kind == "tfds" else ()


def outline(
    *, name: str, directory: str = "", image_size: int = 0, holdout: int = 0, **rest: Any
) -> Dataset | None:
    """-> a data set of the right shapes and sizes whose images are zeros and take no memory; for plans.

    None where the sizes are not known. Sets other than those of tfds are read, for they are small or a user's
    own; raises as `load` does.
    """
    kind, dataset = _parse(name, image_size)
    if kind != "tfds":
        return load(name=name, holdout=holdout, **rest)
    shape, classes = tfds_source.describe(dataset, directory, image_size)
    train, test = tfds_source.examples(dataset, directory)
    if not train:
        return None
    sizes = (train - holdout, holdout, test)
    return Dataset(name, classes, *(zeros(size, shape) for size in sizes))


def zeros(examples: int, shape: tuple[int, int, int]) -> Split:
    black = np.broadcast_to(np.zeros((), np.uint8), (examples, *shape))
    return Split(black, np.zeros(examples, np.int64))


def _parse(name: str, image_size: int) -> tuple[str, str]:
    kind, _, rest = name.partition(":")
    if kind not in ("digits", "tfds", "npz", "canvas") or (kind == "digits") == bool(rest):
        raise ValueError(f"name is {name!r}; it must be 'digits', 'tfds:NAME', 'npz:PREFIX' or 'canvas:NAME'")
    if kind == "canvas" and rest not in canvas.CANVASES:
        raise ValueError(f"name is {name!r}; canvases are of {' or '.join(canvas.CANVASES)}")
    if image_size < 0 or (image_size and kind != "tfds"):
        raise ValueError(f"image_size is {image_size}; it must be at least 0, and 0 but for tfds:NAME")
    return kind, rest


@functools.lru_cache(maxsize=2)  # a table runs many cells on one data set
def _read(kind: str, rest: str, directory: str, image_size: int) -> tuple[Split, Split, int]:
    if kind == "digits":
        train, test, classes = *_digits(), 10
    elif kind == "npz":
        train, test = (_npz(Path(f"{rest}-{split}.npz")) for split in ("train", "test"))
        classes = _count_classes(train.labels, f"{rest}-train.npz")
    elif kind == "canvas":
        train, test, classes = *_canvases(rest, directory), canvas.CLASSES
    else:
        train, test, classes = tfds_source.read(rest, directory, image_size)
    for split_name, split in (("train", train), ("test", test)):
        _check_labels(split, classes, f"{kind}:{rest}" if rest else kind, split_name)
    if train.images.shape[1:] != test.images.shape[1:]:
        raise UserError(
            f"{kind}:{rest}: train images are {train.images.shape[1:]}, test images"
            f" {test.images.shape[1:]}; both must have one size"
        )
    return train, test, classes


def _digits() -> tuple[Split, Split]:
    """The last 360 of a fixed permutation are the test set; intensities 0..16 become 0..240."""
    from sklearn.datasets import load_digits  # a second to import

    bunch: Any = load_digits()
    images = (np.asarray(bunch.images) * 15).astype(np.uint8)[..., None]
    everything = Split(images, np.asarray(bunch.target).astype(np.int64))
    order = np.random.default_rng(0).permutation(len(everything))
    return everything.take(order[:-DIGITS_TEST]), everything.take(order[-DIGITS_TEST:])


def _canvases(name: str, directory: str) -> tuple[Split, Split]:
    side, sizes = canvas.CANVASES[name]
    digits = _of_canvases(name, directory)
    train, test = (canvas.compose(digits[i], sizes[i], side, i) for i in (0, 1))
    return train, test


def _of_canvases(name: str, directory: str) -> tuple[Split, Split]:
    return _digits() if name == "digits" else tfds_source.read(name, directory, 0)[:2]


def labels_pixels(name: str) -> bool:
    """-> whether labels are of pixels."""
    return name.startswith("canvas:")


def _npz(path: Path) -> Split:
    """Reads `image` (n, h, w) or (n, h, w, c) uint8 and `label` (n,) integers, checking everything."""
    if not path.is_file():
        raise UserError(f"there is no file {path}; npz:PREFIX reads PREFIX-train.npz and PREFIX-test.npz")
    try:
        with path.open("rb") as file:  # numpy leaves the file open where it is damaged
            arrays = np.load(file, allow_pickle=False)
            if not isinstance(arrays, np.lib.npyio.NpzFile):
                raise ValueError("one array, not an archive of arrays")
            missing = {"image", "label"} - set(arrays.files)
            if missing:
                raise UserError(f"{path} has the keys {arrays.files}; it must have 'image' and 'label'")
            images, labels = arrays["image"], arrays["label"]
    except (zipfile.BadZipFile, zlib.error, EOFError, OSError, ValueError, AttributeError) as error:
        raise UserError(f"{path} is damaged or not an .npz file ({error}); write it again") from error
    if images.ndim == 3:
        images = images[..., None]
    if images.dtype != np.uint8 or images.ndim != 4 or not images.size:
        raise UserError(
            f"{path}: image is {images.dtype} of shape {images.shape}; it must be uint8 of shape"
            " (n, height, width) or (n, height, width, channels), n above 0"
        )
    if labels.ndim != 1 or not np.issubdtype(labels.dtype, np.integer) or len(labels) != len(images):
        raise UserError(
            f"{path}: label is {labels.dtype} of shape {labels.shape}; it must be integers of shape"
            f" ({len(images)},), one for each image"
        )
    return Split(images, labels.astype(np.int64))


def _count_classes(labels: Labels, file: str) -> int:
    """-> how many classes there are; a gap in the labels is a mistake, and may mean a billion classes."""
    found = np.unique(labels)
    gaps = np.flatnonzero(found != np.arange(len(found)))
    if len(gaps):
        first = int(gaps[0])
        raise UserError(
            f"{file}: the labels are {found[0]} to {found[-1]}, {len(found)} different ones, but none is"
            f" {first}; they must be 0, 1, 2, ... without a gap"
        )
    return len(found)


def _check_labels(split: Split, classes: int, name: str, split_name: str) -> None:
    outside = np.flatnonzero((split.labels < 0) | (split.labels >= classes))
    if len(outside):
        first = int(outside[0])
        raise UserError(
            f"{name}: the label of {split_name} example {first} is {split.labels[first]}; labels must be"
            f" from 0 to {classes - 1} ({len(outside)} are not)"
        )
