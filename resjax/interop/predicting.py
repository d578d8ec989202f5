"""Classes of image files, by an export alone: its program and what it says of its images."""

import dataclasses
import hashlib
import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float, UInt8

from resjax.errors import UserError
from resjax.interop.folder import FACTS, PROGRAM

BATCH = 64  # images at a time
SUFFIXES = (".bmp", ".gif", ".jpeg", ".jpg", ".png", ".ppm", ".pgm", ".tif", ".tiff", ".webp")
MODES = {1: "L", 3: "RGB"}  # of Pillow, by channels
DEEP = ("I", "F")  # begin the modes with more than 8 bits a channel


@dataclasses.dataclass(frozen=True)
class Prediction:
    """The likeliest classes of one file, the first one first, each with its probability."""

    path: Path
    classes: list[tuple[str, float]]


class Predictor:
    """An export that has been read.

        list(resjax.Predictor("exported/digits").predict([Path("seven.png")], top=3))

    Args:
      export: its folder.

    Raises:
      UserError: the folder holds none, it is damaged, or it labels pixels.
    """

    def __init__(self, export: Path | str):
        from jax import export as jax_export

        export = Path(export)
        facts = _facts(export)
        self.image, self.names = tuple(facts["image"]), facts["classes"]
        if len(facts["logits"]) > 1:
            raise UserError(f"{export} labels each pixel; resjax predict is for nets that label an image")
        if self.image[-1] not in MODES:
            raise UserError(
                f"{export} reads images of {self.image[-1]} channels; resjax predict reads files of 1 or 3"
            )
        self.classes = facts["logits"][0]
        try:
            content = (export / PROGRAM).read_bytes()
        except FileNotFoundError as error:
            raise UserError(f"{export} lacks {PROGRAM}; export the run again") from error
        if hashlib.sha256(content).hexdigest() != facts["program_sha256"]:
            raise UserError(
                f"{export / PROGRAM} is damaged: it is not what was exported; export the run again"
            )
        self._program = jax_export.deserialize(bytearray(content))

    def __call__(self, images: UInt8[np.ndarray, "b h w c"]) -> Float[np.ndarray, "b k"]:
        """-> probabilities."""
        logits = np.asarray(self._program.call(images), np.float64)
        raised = np.exp(logits - logits.max(-1, keepdims=True))
        return raised / raised.sum(-1, keepdims=True)

    def predict(self, paths: Sequence[Path], top: int = 1) -> Iterator[Prediction]:
        """-> the `top` likeliest classes of files, and of the images in folders, in their order."""
        found = [path for given in paths for path in _files(given)]
        for first in range(0, len(found), BATCH):
            some = found[first : first + BATCH]
            images = np.stack([read(path, self.image) for path in some])
            for path, probabilities in zip(some, self(images), strict=True):
                best = np.argsort(-probabilities, kind="stable")[:top]
                yield Prediction(path, [(self.name(i), float(probabilities[i])) for i in best])

    def name(self, number: int) -> str:
        return self.names[number] if self.names else str(number)


def _facts(export: Path) -> dict[str, Any]:
    try:
        found = json.loads((export / FACTS).read_text())
        if found["format"] != 1:
            raise ValueError(f"its format is {found['format']}, not 1")
        missing = {"image", "logits", "classes", "program_sha256"} - found.keys()
        if missing:
            raise ValueError(f"it lacks {', '.join(sorted(missing))}")
    except (FileNotFoundError, NotADirectoryError) as error:
        raise UserError(
            f"{export} holds no export: there is no {export / FACTS}; resjax export makes one"
        ) from error
    except (ValueError, KeyError, TypeError) as error:
        raise UserError(f"{export / FACTS} is damaged ({error}); export the run again") from error
    return found


def _files(given: Path) -> list[Path]:
    if not given.is_dir():
        return [given]
    found = sorted(path for path in given.iterdir() if path.suffix.lower() in SUFFIXES)
    if not found:
        raise UserError(f"{given} holds no images; their names end in {', '.join(SUFFIXES)}")
    return found


def read(path: Path, image: tuple[int, ...]) -> UInt8[np.ndarray, "h w c"]:
    """-> the pixels of a file, grey or in colour; another shape's middle is cut out and resized.

    Raises:
      UserError: there is no such file, it is no image, or has more than 8 bits a channel.
    """
    from PIL import Image, ImageOps

    height, width, channels = image
    try:
        with Image.open(path) as picture:
            if picture.mode.startswith(DEEP):
                raise UserError(f"{path} has pixels of mode {picture.mode}; convert it to 8 bits a channel")
            plain = picture.convert(MODES[channels])
            if plain.size != (width, height):
                plain = ImageOps.fit(plain, (width, height), Image.Resampling.BILINEAR)
    except FileNotFoundError as error:
        raise UserError(f"there is no image {path}") from error
    except UserError:
        raise
    except Exception as error:  # each format raises its own
        raise UserError(f"{path} is damaged or no image ({error})") from error
    return np.asarray(plain, np.uint8).reshape(image)
