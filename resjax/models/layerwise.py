"""The convolutional nets that are trained layer by layer: Belilovsky et al. 2019 (1812.11446), section 3."""

from functools import partial

from jaxtyping import Array, Float

from resjax import checks
from resjax.models.blocks import BoundLayers, Layers
from resjax.models.classifiers import ConvHidden
from resjax.models.trunk import MAIN, Part, Trunk


class LayerwiseCNN(Trunk):
    """3 x 3 convolutions with ReLUs, and behind them the auxiliary problem that each layer is trained by.

    So the net that a greedy phase trains, with a head of the form `conv_hidden`, is a shorter net of this
    kind, and the last layer's problem is the net's own output.

    Attributes:
      widths: of the layers.
      downsample: numbers of the layers, from 1, whose input is folded to half its height and width.
      k: hidden layers of each problem, the trained one among them.
      hidden: width of the others.
    """

    widths: tuple[int, ...]
    downsample: tuple[int, ...]
    k: int
    hidden: int

    def parts(self, layers: BoundLayers) -> list[tuple[str, Part]]:
        numbers = range(1, len(self.widths) + 1)
        found: list[tuple[str, Part]] = [(f"layer{n}", partial(self._layer, layers, n)) for n in numbers]
        return [*found, (MAIN, partial(self._classify, layers))]

    def _layer(self, layers: BoundLayers, number: int, x: Float[Array, "b h w c"]) -> Array:
        x = space_to_depth(x.astype(layers.dtype)) if number in self.downsample else x.astype(layers.dtype)
        x = layers.conv(self.widths[number - 1], 3)(name=f"conv{number}")(x)
        return layers.activate(f"norm{number}", x)

    def _classify(self, layers: BoundLayers, x: Float[Array, "b h w c"]) -> Float[Array, "b k"]:
        problem = ConvHidden(self.classes, self.k, self.hidden, layers.norm == "batch", name="problem")
        return problem(x, train=layers.train)


def space_to_depth(x: Float[Array, "b h w c"]) -> Float[Array, "b i j d"]:
    """Each 2 x 2 pixels become one of four times the channels, so that nothing is lost."""
    batch, height, width, channels = x.shape
    if height % 2 or width % 2:
        raise ValueError(
            f"downsample is of a layer that reads {height}x{width} pixels; both must be even to be halved"
        )
    x = x.reshape(batch, height // 2, 2, width // 2, 2, channels)
    return x.transpose(0, 1, 3, 2, 4, 5).reshape(batch, height // 2, width // 2, 4 * channels)


def layerwise_cnn(
    classes: int,
    layers: Layers,
    /,
    *,
    k: int = 1,
    depth: int = 5,
    width: int = 256,
    growth: int = 2,
    downsample: tuple[int, ...] = (3, 5),
    hidden: int = 256,
) -> LayerwiseCNN:
    """`depth` layers, `width` features in the first, and `growth` times as many from each downsampling on.

    Args:
      k: layers of the problem that each layer is trained by, that layer counted: 1 leaves a linear
        classifier of averages over 2 x 2 parts of the image plane.
      downsample: numbers of the layers, from 1, whose input is folded to half its height and width.
      hidden: width of the problem's own k - 1 layers.

    Raises:
      ValueError: a number below 1, a layer that there is not, or a norm that the problem has not.
    """
    checks.at_least(1, k=k, depth=depth, width=width, growth=growth, hidden=hidden)
    if layers.norm == "group":
        raise ValueError("norm is 'group'; this net has 'batch' or 'none'")
    if not all(1 <= number <= depth for number in downsample):
        raise ValueError(f"downsample is {downsample}; it must name layers from 1 to {depth}, the depth")
    widths = tuple(
        width * growth ** sum(number <= layer for number in set(downsample)) for layer in range(1, depth + 1)
    )
    return LayerwiseCNN(classes, layers, widths, downsample, k, hidden)
