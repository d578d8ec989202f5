"""Labels for every pixel: a coarse plane's logits enlarged, and the auxiliary head of such nets."""

import flax.linen as nn
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from resjax.models.classifiers import HE, classifier
from resjax.models.convolution import Conv
from resjax.models.regressors import Shape, text


def enlarge(x: Float[Array, "b i j k"], factors: tuple[int, int], *, pooled: bool) -> Float[Array, "b h w k"]:
    """-> bilinear interpolation to a plane so much higher and wider; beyond the outer cells, their values.

    Cell i is at pixel factor * i, where convolutions of stride 2 that are padded by 1, and shortcuts that
    leave pixels out, have its middle; if `pooled`, in the middle of the pixels from there to the next cell's.
    """
    scale = jnp.asarray(factors, jnp.float32)
    first = (scale - 1) / 2 if pooled else jnp.zeros_like(scale)
    shape = (x.shape[0], factors[0] * x.shape[1], factors[1] * x.shape[2], x.shape[3])
    framed = jnp.pad(x, ((0, 0), (1, 1), (1, 1), (0, 0)), "edge")  # beyond half a cell there would be zeros
    corner = first - scale - (scale - 1) / 2  # of the frame's first cell, where pixels are squares
    return jax.image.scale_and_translate(framed, shape, (1, 2), scale, corner, "linear", antialias=False)


class PixelHead(nn.Module):
    """3 x 3 convolution, norm, ReLU, dropout, 1 x 1 convolution, enlarged to the plane of the labels.

    The auxiliary head of Zhao et al. 2017 (1612.01105), section 3.3, who weigh its loss with 0.4.

    Attributes:
      pooled: the endpoint's plane was made smaller by pooling, as in a U-Net; else by strides.
    """

    target: Shape
    filters: int
    dropout: float
    pooled: bool

    @nn.compact
    def __call__(self, x: Float[Array, "b h w c"], *, train: bool) -> Float[Array, "b *target"]:
        factors = _factors(x.shape[1:], self.target)
        conv = Conv(self.filters, (3, 3), use_bias=False, dtype=x.dtype, kernel_init=HE, name="conv")
        x = nn.relu(nn.BatchNorm(not train, momentum=0.9, dtype=x.dtype, name="norm")(conv(x)))
        x = nn.Dropout(self.dropout, deterministic=not train)(x)
        return enlarge(classifier(self.target[-1], x), factors, pooled=self.pooled)


def _factors(source: Shape, target: Shape) -> tuple[int, int]:
    """-> by what height and width grow."""
    if len(source) == len(target) == 3 and target[0] % source[0] == target[1] % source[1] == 0:
        return target[0] // source[0], target[1] // source[1]
    raise ValueError(
        f"form is 'fcn', which maps an image plane to labels of pixels, on a plane that is larger by a whole"
        f" factor, not {text(source)} to {text(target)}"
    )
