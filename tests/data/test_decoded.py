"""Decoded images: read once, made anew when their files change or the copy is damaged."""

import os
import resource
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from resjax import backend
from resjax.data import decoded
from resjax.data.decoded import Part
from resjax.data.split import Rows, Split
from resjax.errors import UserError

SPLIT = Split(np.arange(24, dtype=np.uint8).reshape(2, 2, 2, 3), np.array([1, 0]))


@pytest.fixture
def source(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    folder = tmp_path / "set"
    folder.mkdir()
    (folder / "train.array_record").write_bytes(b"pictures")
    return folder


class Decoder:
    def __init__(self) -> None:
        self.calls = 0

    def __call__(self) -> Split:
        self.calls += 1
        return SPLIT


def arrays() -> list[Path]:
    return sorted((backend.caches() / "images").rglob("*.npy"))


def same(found: Split) -> bool:
    return (found.images[:] == SPLIT.images).all() and (found.labels == SPLIT.labels).all()


def test_a_split_is_decoded_once(source: Path) -> None:
    decode = Decoder()
    assert all(same(decoded.kept(source, ("train",), decode)) for _ in range(3))
    assert decode.calls == 1
    assert [path.name for path in arrays()] == ["images.npy", "labels.npy"]


def test_other_settings_and_changed_files_are_decoded_anew(source: Path) -> None:
    decode = Decoder()
    decoded.kept(source, ("train",), decode)
    decoded.kept(source, ("test",), decode)
    assert decode.calls == 2
    file = source / "train.array_record"
    file.write_bytes(b"Pictures")
    os.utime(file, ns=(1, 1))
    decoded.kept(source, ("train",), decode)
    assert decode.calls == 3


@pytest.mark.parametrize("damage", [b"", b"no array", b"\x93NUMPY\x01\x00"])
def test_a_damaged_copy_is_made_anew(source: Path, damage: bytes) -> None:
    decode = Decoder()
    decoded.kept(source, ("train",), decode)
    arrays()[0].write_bytes(damage)
    assert same(decoded.kept(source, ("train",), decode))
    assert same(decoded.kept(source, ("train",), decode))
    assert decode.calls == 2


def test_a_cache_that_cannot_be_written_costs_only_time(
    source: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(source / "train.array_record"))  # a file, so no folder
    decode = Decoder()
    assert same(decoded.kept(source, ("train",), decode))
    assert same(decoded.kept(source, ("train",), decode))
    assert decode.calls == 2


def test_nothing_half_written_stays(source: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise OSError("no space left on device")

    monkeypatch.setattr(np, "save", full)
    assert same(decoded.kept(source, ("train",), Decoder()))
    assert not list((backend.caches() / "images").iterdir())


class Pictures:
    """Decodes one example after another."""

    def __init__(self) -> None:
        self.calls = 0

    def __call__(self) -> Iterator[tuple[np.ndarray, int]]:
        self.calls += 1
        yield from zip(SPLIT.images, SPLIT.labels, strict=True)


def in_file(source: Path, decode: Pictures) -> Split:
    (found,) = decoded.mapped(source, "the set", [Part("train", (2, 2, 2, 3), decode)])
    return found


def test_a_large_split_is_decoded_once_and_stays_in_its_file(
    source: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(decoded, "TELL_EVERY", -1.0)
    decode = Pictures()
    found = [in_file(source, decode) for _ in range(3)]
    assert all(same(split) and isinstance(split.images, Rows) for split in found)
    assert decode.calls == 1
    assert same(decoded.kept(source, ("train", (2, 2, 3)), Decoder()))  # the files are of one kind
    assert [path.name for path in arrays()] == ["images.npy", "labels.npy"]
    first, *others = capsys.readouterr().err.splitlines()
    assert first.startswith("the set, train: decoding 2 images, once, to ")
    assert others == [f"the set, train: {done} of 2 images decoded" for done in (1, 2)]


@pytest.mark.parametrize("keep", [0, 50, -1])
def test_a_damaged_file_is_named_and_made_anew(source: Path, keep: int) -> None:
    in_file(source, Pictures())
    file, decode = arrays()[0], Pictures()
    content = file.read_bytes()
    file.unlink()  # a file that is mapped is not to be changed
    file.write_bytes(content[:keep])
    with pytest.warns(UserWarning, match=str(file.parent)):
        assert same(in_file(source, decode))
    assert decode.calls == 1


def test_a_file_that_is_cut_short_while_it_is_in_use_is_named(source: Path) -> None:
    found = in_file(source, Pictures())
    os.truncate(arrays()[0], 140)
    with pytest.raises(UserError, match=r"images\.npy"):
        found.images[np.array([0])]
    arrays()[0].unlink()


def test_a_file_that_is_removed_while_it_is_in_use_can_be_read(source: Path) -> None:
    found = in_file(source, Pictures())
    arrays()[0].unlink()
    assert same(found)


def test_some_of_some_are_read_in_their_order(source: Path) -> None:
    found = in_file(source, Pictures()).take(np.array([1, 0, 1])).take(np.array([2, 1]))
    np.testing.assert_array_equal(found.images[np.array([[1], [0]])], SPLIT.images[np.array([[0], [1]])])
    assert found.labels.tolist() == [0, 1]
    assert (found.images.shape, found.images.nbytes) == ((2, 2, 2, 3), 24)


def test_where_the_files_cannot_be_written_the_place_is_named(
    source: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The system lets no file grow beyond a megabyte, as a full disk would not."""
    large = Part("train", (2, 1000, 1000, 1), lambda: [(np.zeros((1000, 1000, 1), np.uint8), 0)] * 2)
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    try:
        resource.setrlimit(resource.RLIMIT_FSIZE, (10**6, limits[1]))
        with pytest.raises(UserError, match="XDG_CACHE_HOME"):
            decoded.mapped(source, "the set", [large])
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert [path.suffix for path in (backend.caches() / "images").iterdir()] == [".lock"]
    monkeypatch.setenv("XDG_CACHE_HOME", str(source / "train.array_record"))  # a file, so no folder
    with pytest.raises(UserError, match="XDG_CACHE_HOME"):
        in_file(source, Pictures())
