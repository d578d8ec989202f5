"""Missing, damaged and impossible data: a one-line error names the file or data set."""

import io
import os
import pickle
import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from refusal import refuse, refuse_to_train, transcript, write

Capture = pytest.CaptureFixture[str]
Golden = Callable[[str, str], None]
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

ARRAYS: dict[str, Arrays] = {
    "no image": {"x": IMAGES, "label": LABELS},
    "no label": {"image": IMAGES},
    "float images": {"image": IMAGES / 255, "label": LABELS},
    "int64 images": {"image": IMAGES.astype(int), "label": LABELS},
    "flat images": {"image": IMAGES.reshape(120, 64), "label": LABELS},
    "volumes": {"image": IMAGES[:, None, None], "label": LABELS},
    "no images at all": {"image": IMAGES[:0], "label": LABELS[:0]},
    "a scalar": {"image": np.uint8(3), "label": np.int64(3)},  # pyright: ignore
    "float labels": {"image": IMAGES, "label": LABELS / 1},
    "one-hot labels": {"image": IMAGES, "label": np.eye(10, dtype=int)[LABELS]},
    "lengths that differ": {"image": IMAGES, "label": LABELS[1:]},
}

LABELED: dict[str, tuple[str, np.ndarray]] = {
    "negative": ("train", LABELS - 1),
    "all negative": ("train", np.full(120, -1)),
    "a gap": ("train", np.where(LABELS == 9, 255, LABELS)),
    "a wild one": ("train", np.where(LABELS == 9, 10**9, LABELS)),  # else a model of a billion classes
    "beyond 64 bits": ("train", np.full(120, 2**64 - 1, np.uint64)),
    "too large in test": ("test", LABELS + 1),
    "negative in test": ("test", LABELS - 1),
}

NAMES = {
    "tfds:mnist": "config.data.directory",
    "tfds:mnits": "'mnits'",
    "tfds:": "config.data.name",
    "tfds:a/b/c:d": "a/b/c:d",
    "npz:": "config.data.name",
    "digits:8": "config.data.name",
    "mnist": "config.data.name",
}


@pytest.fixture
def prefix(tmp_path: Path) -> Path:
    """PREFIX of a sound pair of files, of which a test may replace one."""
    for split in ("train", "test"):
        np.savez(tmp_path / f"own-{split}.npz", image=IMAGES, label=LABELS)
    return tmp_path / "own"


def refuse_data(capsys: Capture, folder: Path, name: str, names: object) -> str:
    flags = [f"--config.data.name={name}", f"--config.data.directory={folder / 'none'}"]
    flags += ["--config.train.batch_size=50", "--config.data.holdout=0"]
    return refuse_to_train(capsys, write(folder), folder / "run", *flags, names=str(names))


@pytest.mark.golden
def test_bad_npz_files_are_refused(prefix: Path, capsys: Capture, golden: Golden) -> None:
    messages = {}
    folder, name = prefix.parent, f"npz:{prefix}"
    for split in ("train", "test"):
        file = prefix.with_name(f"own-{split}.npz")
        content = file.read_bytes()
        file.unlink()
        messages[f"no {split} file"] = refuse_data(capsys, folder, name, file)
        file.mkdir()
        messages[f"a folder in place of the {split} file"] = refuse_data(capsys, folder, name, file)
        file.rmdir()
        file.write_bytes(content)
    for kind, make in BYTES.items():
        file = prefix.with_name("own-train.npz")
        file.write_bytes(make())
        messages[kind] = refuse_data(capsys, folder, name, file)
    text = transcript(messages, FOLDER=folder)  # NumPy words most of the reasons
    golden("messages/npz_files.txt", re.sub(r"file \((?!one array).*\);", "file (...);", text))


@pytest.mark.golden
def test_bad_arrays_are_refused(prefix: Path, capsys: Capture, golden: Golden) -> None:
    messages = {}
    folder, name = prefix.parent, f"npz:{prefix}"
    file = prefix.with_name("own-test.npz")
    content = file.read_bytes()
    for kind, arrays in ARRAYS.items():
        file.write_bytes(as_npz(arrays))
        messages[kind] = refuse_data(capsys, folder, name, file)
    np.savez(file, image=IMAGES[:, :7], label=LABELS)
    messages["images of two sizes"] = refuse_data(capsys, folder, name, name)
    for kind, (split, labels) in LABELED.items():
        file.write_bytes(content)
        np.savez(prefix.with_name(f"own-{split}.npz"), image=IMAGES, label=labels)
        messages[kind] = refuse_data(capsys, folder, name, prefix)
        prefix.with_name("own-train.npz").write_bytes(content)
    golden("messages/npz_arrays.txt", transcript(messages, FOLDER=folder))


@pytest.mark.golden
def test_absent_data_sets_are_refused(tmp_path: Path, capsys: Capture, golden: Golden) -> None:
    messages = {name: refuse_data(capsys, tmp_path, name, names) for name, names in NAMES.items()}
    name = "tfds:imdb_reviews"  # has no images
    flags = [f"--config.data.name={name}", f"--config.data.directory={tmp_path}"]
    messages[name] = refuse(capsys, "show", "--config", write(tmp_path), *flags, names=name)
    del messages["tfds:a/b/c:d"]  # worded by tensorflow-datasets
    golden(
        "messages/data.txt", re.sub(r"mnist/[\d.]+", "mnist/VERSION", transcript(messages, FOLDER=tmp_path))
    )


def test_show_refuses_the_same(prefix: Path, capsys: Capture) -> None:
    os.truncate(prefix.with_name("own-train.npz"), 100)
    flags = [f"--config.data.name=npz:{prefix}", "--config.data.holdout=0"]
    refuse(capsys, "show", "--config", write(prefix.parent), *flags, names=str(prefix))
