"""Labels for every pixel: a coarse plane's logits enlarged, and the auxiliary head of such nets."""

import flax.linen as nn
import jax
from jaxtyping import Array, Float

from resjax.models.classifiers import HE, classifier
from resjax.models.convolution import Conv
from resjax.models.regressors import Shape, text


def enlarge(x: Float[Array, "b i j k"], plane: tuple[int, int]) -> Float[Array, "b h w k"]:
    """-> bilinear interpolation to a plane of this height and width."""
    return jax.image.resize(x, (x.shape[0], *plane, x.shape[-1]), "bilinear")


class PixelHead(nn.Module):
    """3 x 3 convolution, norm, ReLU, dropout, 1 x 1 convolution, enlarged to the plane of the labels.

    The auxiliary head of Zhao et al. 2017 (1612.01105), section 3.3, who weigh its loss with 0.4.
    """

    target: Shape
    filters: int
    dropout: float

    @nn.compact
    def __call__(self, x: Float[Array, "b h w c"], *, train: bool) -> Float[Array, "b *target"]:
        if x.ndim != 4 or len(self.target) != 3:
            raise ValueError(
                f"form is 'fcn', which maps an image plane to labels of pixels, not {text(x.shape[1:])} to"
                f" {text(self.target)}"
            )
        conv = Conv(self.filters, (3, 3), use_bias=False, dtype=x.dtype, kernel_init=HE, name="conv")
        x = nn.relu(nn.BatchNorm(not train, momentum=0.9, dtype=x.dtype, name="norm")(conv(x)))
        x = nn.Dropout(self.dropout, deterministic=not train)(x)
        height, width, classes = self.target
        return enlarge(classifier(classes, x), (height, width))
