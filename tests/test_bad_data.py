"""Missing, damaged and impossible data: one sentence that names the file or data set."""

import io
import os
import pickle
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from refusal import refuse, refuse_to_train, write

Capture = pytest.CaptureFixture[str]
Arrays = dict[str, np.ndarray]
IMAGES, LABELS = np.zeros((120, 8, 8), np.uint8), np.arange(120) % 10
GOOD: Arrays = {"image": IMAGES, "label": LABELS}


def as_npz(arrays: Arrays) -> bytes:
    file = io.BytesIO()
    np.savez(file, allow_pickle=True, **arrays)
    return file.getvalue()


def as_npy(array: np.ndarray) -> bytes:
    file = io.BytesIO()
    np.save(file, array)
    return file.getvalue()


def flip(content: bytes) -> bytes:
    return content[:300] + bytes([content[300] ^ 0xFF]) + content[301:]


BYTES: dict[str, Callable[[], bytes]] = {
    "cut at the end": lambda: as_npz(GOOD)[:-300],
    "cut at the start": lambda: as_npz(GOOD)[300:],
    "cut short": lambda: as_npz(GOOD)[:100],
    "empty": lambda: b"",
    "a flipped byte": lambda: flip(as_npz(GOOD)),
    "text": lambda: b"image,label\n" * 100,
    "a pickle": lambda: pickle.dumps(GOOD),
    "a single array": lambda: as_npy(IMAGES),
    "an object array": lambda: as_npz({"image": IMAGES.astype(object), "label": LABELS}),
    "labels of objects": lambda: as_npz({"image": IMAGES, "label": LABELS.astype(object)}),
}

ARRAYS: dict[str, tuple[Arrays, tuple[str, ...]]] = {
    "no image": ({"x": IMAGES, "label": LABELS}, ("'x'", "'image' and 'label'")),
    "no label": ({"image": IMAGES}, ("'image'", "'image' and 'label'")),
    "float images": ({"image": IMAGES / 255, "label": LABELS}, ("image is float64", "must be uint8")),
    "int64 images": ({"image": IMAGES.astype(int), "label": LABELS}, ("image is int64", "must be uint8")),
    "flat images": ({"image": IMAGES.reshape(120, 64), "label": LABELS}, (r"\(120, 64\)", "height, width")),
    "volumes": ({"image": IMAGES[:, None, None], "label": LABELS}, (r"\(120, 1, 1, 8, 8\)", "height, width")),
    "no images at all": ({"image": IMAGES[:0], "label": LABELS[:0]}, (r"\(0, 8, 8", "n above 0")),
    "a scalar": ({"image": np.uint8(3), "label": np.int64(3)}, (r"shape \(\)", "height, width")),  # pyright: ignore
    "float labels": ({"image": IMAGES, "label": LABELS / 1}, ("label is float64", "must be integers")),
    "one-hot labels": ({"image": IMAGES, "label": np.eye(10, dtype=int)[LABELS]}, ("label", r"\(120,\)")),
    "lengths that differ": ({"image": IMAGES, "label": LABELS[1:]}, (r"\(119,\)", r"\(120,\)")),
}


@pytest.fixture
def prefix(tmp_path: Path) -> Path:
    """PREFIX of a sound pair of files, of which a test may replace one."""
    for split in ("train", "test"):
        np.savez(tmp_path / f"own-{split}.npz", image=IMAGES, label=LABELS)
    return tmp_path / "own"


def refuse_data(capsys: Capture, folder: Path, name: str, *said: str) -> None:
    flags = [f"--config.data.name={name}", f"--config.data.directory={folder / 'none'}"]
    flags += ["--config.train.batch_size=50", "--config.data.holdout=0"]
    refuse_to_train(capsys, write(folder), folder / "run", *flags, said=said)


@pytest.mark.parametrize("split", ["train", "test"])
def test_a_missing_file_is_named(prefix: Path, capsys: Capture, split: str) -> None:
    file = prefix.with_name(f"own-{split}.npz")
    file.unlink()
    refuse_data(capsys, prefix.parent, f"npz:{prefix}", str(file), "PREFIX-train.npz and PREFIX-test.npz")


@pytest.mark.parametrize("split", ["train", "test"])
def test_a_folder_in_place_of_a_file_is_named(prefix: Path, capsys: Capture, split: str) -> None:
    file = prefix.with_name(f"own-{split}.npz")
    file.unlink()
    file.mkdir()
    refuse_data(capsys, prefix.parent, f"npz:{prefix}", str(file))


@pytest.mark.parametrize("kind", BYTES)
def test_a_file_that_is_no_sound_npz_is_named(prefix: Path, capsys: Capture, kind: str) -> None:
    file = prefix.with_name("own-train.npz")
    file.write_bytes(BYTES[kind]())
    refuse_data(capsys, prefix.parent, f"npz:{prefix}", str(file), "damaged or not an .npz", "write it again")


@pytest.mark.parametrize("kind", ARRAYS)
def test_arrays_of_the_wrong_kind_are_described(prefix: Path, capsys: Capture, kind: str) -> None:
    arrays, said = ARRAYS[kind]
    file = prefix.with_name("own-test.npz")
    file.write_bytes(as_npz(arrays))
    refuse_data(capsys, prefix.parent, f"npz:{prefix}", str(file), *said)


@pytest.mark.parametrize(
    ("split", "labels", "said"),
    [
        ("train", LABELS - 1, "are -1 to 8"),
        ("train", np.full(120, -1), "are -1 to -1"),
        ("train", np.where(LABELS == 9, 255, LABELS), "none is 9"),
        ("train", np.where(LABELS == 9, 10**9, LABELS), "none is 9"),  # else a net of a billion classes
        ("train", np.full(120, 2**64 - 1, np.uint64), "none is 0"),
        ("test", LABELS + 1, "test example 9 is 10.* from 0 to 9"),
        ("test", LABELS - 1, "test example 0 is -1.* from 0 to 9"),
    ],
    ids=[
        "negative",
        "all negative",
        "a gap",
        "a wild one",
        "beyond 64 bits",
        "too large",
        "negative in test",
    ],
)
def test_a_label_out_of_range_is_named(
    prefix: Path, capsys: Capture, split: str, labels: np.ndarray, said: str
) -> None:
    np.savez(prefix.with_name(f"own-{split}.npz"), image=IMAGES, label=labels)
    refuse_data(capsys, prefix.parent, f"npz:{prefix}", str(prefix), said)


def test_images_of_two_sizes_are_refused(prefix: Path, capsys: Capture) -> None:
    np.savez(prefix.with_name("own-test.npz"), image=IMAGES[:, :7], label=LABELS)
    said = (f"npz:{prefix}", r"\(8, 8, 1\)", r"\(7, 8, 1\)", "one size")
    refuse_data(capsys, prefix.parent, f"npz:{prefix}", *said)


@pytest.mark.parametrize(
    ("name", "said"),
    [
        (
            "tfds:mnist",
            ("tfds:mnist is not prepared", "resjax prepare tfds:mnist", r"config\.data\.directory"),
        ),
        ("tfds:mnits", ("'mnits'",)),
        ("tfds:", (r"config\.data\.name is 'tfds:'", "tfds:NAME")),
        ("tfds:a/b/c:d", ("a/b/c:d",)),
        ("npz:", (r"config\.data\.name is 'npz:'", "npz:PREFIX")),
        ("digits:8", (r"config\.data\.name is 'digits:8'", "'digits'")),
        ("mnist", (r"config\.data\.name is 'mnist'", "tfds:NAME")),
    ],
)
def test_a_data_set_that_is_not_there_is_named(
    tmp_path: Path, capsys: Capture, name: str, said: tuple[str, ...]
) -> None:
    refuse_data(capsys, tmp_path, name, *said)


def test_a_set_without_images_is_described(tmp_path: Path, capsys: Capture) -> None:
    flags = ["--config.data.name=tfds:imdb_reviews", f"--config.data.directory={tmp_path}"]
    said = ("tfds:imdb_reviews", "'text'", "one image and a class label")
    refuse(capsys, "show", "--config", write(tmp_path), *flags, said=said)


def test_show_refuses_the_same(prefix: Path, capsys: Capture) -> None:
    os.truncate(prefix.with_name("own-train.npz"), 100)
    flags = [f"--config.data.name=npz:{prefix}", "--config.data.holdout=0"]
    refuse(capsys, "show", "--config", write(prefix.parent), *flags, said=(str(prefix), "write it again"))
