"""From stored uint8 images to a net's input, inside jit: a pure function of (key, images)."""

from collections.abc import Callable
from typing import Any, Literal

import jax
import jax.numpy as jnp
import numpy as np
from flax import struct
from jaxtyping import Array, Float, UInt8

from resjax.data import whitening

IMAGENET_MEAN = (0.485, 0.456, 0.406)  # of images scaled to [0, 1]; the constants of torchvision's models
IMAGENET_STD = (0.229, 0.224, 0.225)
PIECE = 2**24  # bytes of images whose statistics are taken at a time


class Pipeline(struct.PyTreeNode):
    """Normalisation (x - mean) * scale, and for training a random crop of the padded image and a flip.

    Where patches are whitened, that comes last.

    Attributes:
      mean: in units of stored intensities, 0 to 255; each axis is that of an image or 1.
      scale: 1 / standard deviation, likewise.
      pad: pixels added on each side before the crop; 0 means no crop.
      pad_mode: what the added pixels hold.
      pad_when: `after` normalising, zeros are the mean colour (fb.resnet.torch); `before`, they are black.
      filters: of whitening, or None.
    """

    mean: Float[Array, "1 #h #w #c"]
    scale: Float[Array, "1 #h #w #c"]
    pad: int = struct.field(pytree_node=False, default=0)
    pad_mode: str = struct.field(pytree_node=False, default="zeros")
    pad_when: str = struct.field(pytree_node=False, default="after")
    flip: bool = struct.field(pytree_node=False, default=False)
    filters: Float[Array, "p p c d"] | None = None

    @property
    def augments(self) -> bool:
        """Whether an image gives other inputs at other times."""
        return bool(self.pad or self.flip)

    def evaluate(self, images: UInt8[Array, "b h w c"], *, mirrored: bool = False) -> Float[Array, "b h w d"]:
        inputs = self._normalize(images)
        return self._whiten(inputs[:, :, ::-1] if mirrored else inputs)

    def train(self, key: Array, images: UInt8[Array, "b h w c"]) -> Float[Array, "b h w d"]:
        """What the net reads of images, each with its own random crop and flip."""
        crop_key, flip_key = jax.random.split(key)
        if self.pad and self.pad_when == "before":
            inputs = self._normalize(self._crop(crop_key, images))
        elif self.pad:
            inputs = self._crop(crop_key, self._normalize(images))
        else:
            inputs = self._normalize(images)
        if self.flip:
            mirrored = jax.random.bernoulli(flip_key, 0.5, (len(images), 1, 1, 1))
            inputs = jnp.where(mirrored, inputs[:, :, ::-1], inputs)
        return self._whiten(inputs)

    def _normalize(self, images: Array) -> Float[Array, "b h w c"]:
        return (images.astype(jnp.float32) - self.mean) * self.scale

    def _whiten(self, inputs: Array) -> Float[Array, "b h w d"]:
        return inputs if self.filters is None else whitening.apply(self.filters, inputs)

    def _crop(self, key: Array, images: Array) -> Array:
        _, height, width, channels = images.shape
        border = ((0, 0), (self.pad, self.pad), (self.pad, self.pad), (0, 0))
        mode = {"zeros": "constant", "reflect": "reflect"}[self.pad_mode]
        padded = jnp.pad(images, border, mode=mode)
        corners = jax.random.randint(key, (len(images), 2), 0, 2 * self.pad + 1)

        def crop_one(image: Array, corner: Array) -> Array:
            return jax.lax.dynamic_slice(image, (corner[0], corner[1], 0), (height, width, channels))

        return jax.vmap(crop_one)(padded, corners)


def fit(
    images: Any,
    *,
    normalize: Literal[
        "channel_mean_std", "pixel_mean", "pixel_mean_scalar_std", "imagenet", "unit", "constants"
    ] = "channel_mean_std",
    mean: tuple[float, ...] = (),
    std: tuple[float, ...] = (),
    pad: int = 0,
    pad_mode: Literal["zeros", "reflect"] = "zeros",
    pad_when: Literal["before", "after"] = "after",
    flip: bool = False,
    whiten: int = 0,
) -> Pipeline:
    """The pipeline whose statistics are those of the training images.

    Args:
      images: (n, h, w, c) uint8; an array, or what is read like one, a piece at a time.
      normalize: `channel_mean_std` (fb.resnet.torch, DenseNet, ResNeXt, Wide ResNet); `pixel_mean`, one
        mean image subtracted and intensities scaled by 1/255 (He et al. 2015, section 4.2; they do not
        say how, or whether, they scale); `pixel_mean_scalar_std` (Stochastic Depth); `imagenet`, fixed
        constants; `unit`, intensities scaled to [0, 1]; `constants`, by `mean` and `std`.
      mean, std: of each channel of images scaled to [0, 1], as torchvision's transforms have them.
      whiten: side of the patches whose whitened pixels the net reads at each place; 0: it reads pixels.

    Raises:
      ValueError: `pad` is negative or reflects beyond the image, `imagenet` meets other than 3 channels,
        constants are not one for each channel, or patches do not fit into the image.
    """
    _, height, width, channels = images.shape
    if pad < 0 or (pad_mode == "reflect" and pad >= min(height, width)):
        raise ValueError(f"pad is {pad}; it must be at least 0 and, to reflect, below {min(height, width)}")
    if normalize == "imagenet" and channels != 3:
        raise ValueError(f"normalize is 'imagenet', for 3 channels; these images have {channels}")
    given = _constants(normalize, mean, std, channels)
    centre, spread = _statistics(images, normalize) if given is None else given
    # A constant channel has no spread: its inputs are 0 then, whatever the divisor.
    scale = 1.0 / np.where(spread == 0, 1.0, spread)
    centre, scale = (x.reshape((1,) * (4 - x.ndim) + x.shape) for x in (centre, scale))
    found = Pipeline(
        jnp.asarray(centre, jnp.float32), jnp.asarray(scale, jnp.float32), pad, pad_mode, pad_when, flip
    )
    if not whiten:
        return found
    some = np.asarray(found.evaluate(jnp.asarray(images[: whitening.ENOUGH])))
    return found.replace(filters=jnp.asarray(whitening.fit(some, whiten), jnp.float32))


def shape_read(image: tuple[int, int, int], *, whiten: int = 0, **_: Any) -> tuple[int, int, int]:
    """-> (h, w, channels) of what a net reads of an image (h, w, c), by the keywords of `fit`."""
    height, width, channels = image
    return (height, width, whiten * whiten * channels) if whiten else image


def _constants(
    normalize: str, mean: tuple[float, ...], std: tuple[float, ...], channels: int
) -> tuple[np.ndarray, np.ndarray] | None:
    """-> given mean and divisor, of stored intensities; None: they are those of the images."""
    for key, given in (("mean", mean), ("std", std)):
        if normalize != "constants" and given:
            raise ValueError(f"{key} is {given}, but normalize is '{normalize}'; it must be 'constants'")
        if normalize == "constants" and len(given) not in (1, channels):
            raise ValueError(
                f"{key} is {given}; it must be one number, or one for each of {channels} channels"
            )
    if normalize != "constants":
        return None
    if not all(0 < each < np.inf for each in std) or not np.isfinite(mean).all():
        raise ValueError(f"std is {std} and mean is {mean}; they must be finite, and std above 0")
    return 255 * np.asarray(mean), 255 * np.asarray(std)


def _statistics(images: Any, normalize: str) -> tuple[np.ndarray, np.ndarray]:
    """-> mean and divisor, in float64, from exact integer sums."""
    if normalize == "unit":
        return np.zeros(1), np.full(1, 255.0)
    if normalize == "imagenet":
        return 255 * np.asarray(IMAGENET_MEAN), 255 * np.asarray(IMAGENET_STD)
    pixel_mean = _total(images, lambda piece: piece) / len(images)
    if normalize == "pixel_mean":
        return pixel_mean, np.full(1, 255.0)
    pixel_power = _total(images, lambda piece: np.square(piece, dtype=np.uint32)) / len(images)
    if normalize == "pixel_mean_scalar_std":
        return pixel_mean, np.sqrt((pixel_power - pixel_mean**2).mean(keepdims=True))
    mean = pixel_mean.mean((0, 1))
    return mean, np.sqrt(np.maximum(pixel_power.mean((0, 1)) - mean**2, 0))


def _total(images: Any, of: Callable[[np.ndarray], np.ndarray]) -> np.ndarray:
    """-> the sum over all images of a function of each, read a piece at a time."""
    shape = images.shape[1:]
    total, count = np.zeros(shape, np.uint64), max(1, PIECE // int(np.prod(shape)))
    for first in range(0, len(images), count):
        total += of(images[first : first + count]).sum(0, dtype=np.uint64)
    return total
