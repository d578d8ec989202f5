"""The layers that all of a net's parts are made of: convolutions, dense layers, norms, in one precision."""

import dataclasses
from collections.abc import Callable
from functools import partial
from typing import Any, Literal, cast

import flax.linen as nn
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from resjax import checks
from resjax.models.convolution import Conv
from resjax.models.norm import BatchNormReLU, in_groups

Layer = Callable[..., nn.Module]  # takes `name`
Init = Literal["he_fan_out", "he_fan_in", "glorot", "lecun"]
NormKind = Literal["batch", "group", "layer", "none"]
GROUP = 8  # channels that group norm takes together
Dtype = Literal["float32", "bfloat16"]

_HE = partial(nn.initializers.variance_scaling, 2.0, distribution="normal")
INITIALIZERS = {
    "he_fan_out": _HE(mode="fan_out"),  # fb.resnet.torch
    "he_fan_in": _HE(mode="fan_in"),  # the wide residual nets' code
    "glorot": nn.initializers.glorot_uniform(),
    "lecun": nn.initializers.lecun_normal(),
}
# Weights uniform in +-1/sqrt(fan_in) and bias 0: what fb.resnet.torch leaves its last layer with.
CLASSIFIER_INIT = nn.initializers.variance_scaling(1 / 3, "fan_in", "uniform")


def orthogonal(key: Array, shape: tuple[int, int], dtype: Any = jnp.float32) -> Float[Array, "i o"]:
    """-> a matrix whose rows, or columns, are orthonormal: Saxe et al. 2013 (1312.6120)."""
    # The polar factor of a normal matrix is uniform over orthogonal ones, as the initializer of JAX is; what
    # that one does with its QR, XLA:CPU's elementwise kernels (see `backend`) refuse from 64 x 64 on.
    left, _, right = jnp.linalg.svd(jax.random.normal(key, shape, jnp.float32), full_matrices=False)
    return (left @ right).astype(dtype)


def looks_linear(
    key: Array, shape: tuple[int, int], dtype: Any = jnp.float32, *, read: bool, written: bool
) -> Float[Array, "i o"]:
    """-> [[U, -U], [-U, U]], U orthogonal: a layer that reads mirrored pairs' ReLUs and writes such pairs.

    relu(a) - relu(-a) = a, so that layers of this kind with ReLUs between them are the product of the U.
    The first layer reads no pairs, [U, -U], and the last one writes none, [U; -U]. Balduzzi et al. 2017
    (1702.08591), section 4, "looks linear".

    Args:
      read, written: whether inputs, and outputs, are mirrored pairs, whose halves follow each other.
    """
    half = (shape[0] // (1 + read), shape[1] // (1 + written))
    kernel = orthogonal(key, half, dtype)
    kernel = jnp.concatenate([kernel, -kernel], 0) if read else kernel
    return jnp.concatenate([kernel, -kernel], 1) if written else kernel


@dataclasses.dataclass(frozen=True, kw_only=True)
class Layers:
    """What all layers of a net share; in a config, keys of the section `model`.

    Attributes:
      init: of convolutions and inner dense layers.
      norm: one for every layer; where it stands is the order of a net's units. `layer` is over the channels
        of each position (Ba et al. 2016, 1607.06450).
      norm_examples: batch norm takes its statistics of so many examples of a batch at a time, as where each
        device has its own: 64 of the 128 of He et al. 2015, on two GPUs. 0: of the whole batch, on any number
        of devices, as heads always do; where `train.accumulate` makes parts of it, of each part.
      norm_momentum: the running statistics keep this share of themselves at each step (Torch: 1 - momentum).
      dtype: of the computation; statistics of norms are float32 at least.
      param_dtype: of the stored parameters.
    """

    init: Init = "he_fan_out"
    norm: NormKind = "batch"
    norm_examples: int = 0
    norm_momentum: float = 0.9
    norm_epsilon: float = 1e-5
    dtype: Dtype = "float32"
    param_dtype: Dtype = "float32"

    def __post_init__(self) -> None:
        checks.share(norm_momentum=self.norm_momentum)
        checks.positive(norm_epsilon=self.norm_epsilon)
        checks.at_least(0, norm_examples=self.norm_examples)
        if self.norm_examples and self.norm != "batch":
            raise ValueError(
                f"norm_examples is {self.norm_examples}, but norm is '{self.norm}', which takes each example"
                " for itself; it must be 0"
            )

    def check_batch(self, batch_size: int, parts: int = 1) -> None:
        """Raises ValueError where a batch of training, in so many parts, is not made of groups of
        `norm_examples`.
        """
        if self.norm_examples and batch_size // parts % self.norm_examples:
            divisor = (
                f" / config.train.accumulate, {batch_size} / {parts}" if parts > 1 else f", {batch_size}"
            )
            raise ValueError(
                f"norm_examples is {self.norm_examples}; it must divide config.train.batch_size{divisor}"
            )

    def bind(self, train: bool) -> "BoundLayers":
        return BoundLayers(**dataclasses.asdict(self), train=train)


@dataclasses.dataclass(frozen=True, kw_only=True)
class BoundLayers(Layers):
    """The layers themselves; in training, norms use and update the statistics of the batch."""

    train: bool

    def _types(self) -> dict[str, Any]:
        return {"dtype": jnp.dtype(self.dtype), "param_dtype": jnp.dtype(self.param_dtype)}

    def conv(self, features: int, kernel: int, stride: int = 1) -> Layer:
        """A square convolution padded by kernel // 2 on every side, as Caffe and Torch pad."""
        return partial(
            Conv,
            features,
            (kernel, kernel),
            strides=stride,
            padding=kernel // 2,
            use_bias=self.norm == "none",  # a norm's own shift makes a bias redundant
            kernel_init=INITIALIZERS[self.init],
            **self._types(),
        )

    def dense(self, features: int) -> Layer:
        use_bias = self.norm == "none"
        return partial(
            nn.Dense, features, use_bias=use_bias, kernel_init=INITIALIZERS[self.init], **self._types()
        )

    def classifier(self, classes: int) -> Layer:
        return partial(nn.Dense, classes, kernel_init=CLASSIFIER_INIT, **self._types())

    def normalize(self, name: str) -> Callable[[Array], Array]:
        if self.norm == "none":
            return lambda x: x
        if self.norm == "group":
            return partial(self._group_norm, name)
        if self.norm == "layer":
            return nn.LayerNorm(self.norm_epsilon, name=name, **self._types())
        norm = nn.BatchNorm(
            use_running_average=not self.train,
            momentum=self.norm_momentum,
            epsilon=self.norm_epsilon,
            name=name,
            **self._types(),
        )
        return self._of_examples(norm)

    def activate(self, name: str, x: Array, add: Array | None = None) -> Array:
        """-> relu(norm(x) + add)."""
        if self.norm == "batch":
            norm = BatchNormReLU(
                self.train, self.norm_momentum, self.norm_epsilon, name=name, **self._types()
            )  # fmt: skip
            return self._of_examples(norm)(x, add)
        y = self.normalize(name)(x)
        return nn.relu(y if add is None else y + add)

    def _of_examples(self, norm: nn.Module) -> Callable[..., Array]:
        """-> a batch norm whose statistics are of as many examples as the config says."""
        if not (self.norm_examples and self.train) or norm.is_initializing():
            return cast(Any, norm)
        return partial(in_groups, norm, self.norm_examples)

    def _group_norm(self, name: str, x: Array) -> Array:
        if x.shape[-1] % GROUP:
            raise ValueError(
                f"norm is 'group', in groups of {GROUP} channels, but a layer has {x.shape[-1]};"
                f" choose a width that {GROUP} divides"
            )
        return nn.GroupNorm(None, GROUP, self.norm_epsilon, name=name, **self._types())(x)
