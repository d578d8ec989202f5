"""Decoded images: read once, made anew when their files change or the copy is damaged."""

import os
from pathlib import Path

import numpy as np
import pytest

from resjax import backend
from resjax.data import decoded
from resjax.data.split import Split

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
    return (found.images == SPLIT.images).all() and (found.labels == SPLIT.labels).all()


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
