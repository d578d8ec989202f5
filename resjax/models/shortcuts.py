"""Shortcuts: what brings a unit's input to the shape of its branch, and what may be done to it on the way.

He et al. 2015 (1512.03385), section 3.3, for the options A, B and C; He et al. 2019 (1812.01187), figure 2c,
for D, which takes means of pixels where B leaves pixels out; He et al. 2016 (1603.05027), section 3.1 and
table 1, for the ways to weaken a shortcut: constant scaling, gates and dropout. That table's 1 x 1
convolutions are option C, with a norm behind each as behind all layers there (its figure 2). The other way
round, branches that begin weak and learn how strong they are: SkipInit, De and Smith 2020 (2002.10444), and
ReZero, Bachlechner et al. 2020 (2003.04887), by one number that begins at 0; LayerScale, Touvron et al. 2021
(2103.17239), by a small one for each channel.
"""

import dataclasses
from collections.abc import Callable
from functools import partial
from typing import Any, Literal, Self

import flax.linen as nn
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from resjax import checks
from resjax.models.blocks import BoundLayers

ShortcutOption = Literal["A", "B", "C", "D"]
Gate = Literal["none", "exclusive", "shortcut"]
LearnedScale = Literal["none", "scalar", "channels"]
# From what a unit's shortcut reads and gives, to what is added to the branch and what the branch is
# multiplied by; None leaves it as it is.
Mix = Callable[[Array, Array], tuple[Array, Array | float | None]]


class PadShortcut(nn.Module):
    """Option A: every `stride`-th pixel, zeros for the channels that the input lacks; no parameters."""

    features: int
    stride: int = 1

    def __call__(self, x: Float[Array, "b h w c"]) -> Float[Array, "b i j d"]:
        missing = self.features - x.shape[-1]
        return jnp.pad(x[:, :: self.stride, :: self.stride], ((0, 0), (0, 0), (0, 0), (0, missing)))


class ProjectionShortcut(nn.Module):
    """Options B, C and D: a 1 x 1 convolution, with a norm behind it where the branch ends with one.

    Attributes:
      pooled: it reads means of `stride` x `stride` pixels, instead of every `stride`-th one.
    """

    features: int
    layers: BoundLayers
    stride: int = 1
    normed: bool = True
    pooled: bool = False

    @nn.compact
    def __call__(self, x: Float[Array, "b h w c"]) -> Float[Array, "b i j d"]:
        x, stride = (mean_pool(x, self.stride), 1) if self.pooled else (x, self.stride)
        x = self.layers.conv(self.features, 1, stride)(name="conv")(x)
        return self.layers.normalize("norm")(x) if self.normed else x


def mean_pool(x: Float[Array, "b h w c"], size: int) -> Float[Array, "b i j c"]:
    """Means over windows side by side; where one hangs over the border, over what is inside."""
    padding: Any = ((0, size - 1),) * 2  # Flax types it as a str, but takes both
    both = (x, jnp.ones_like(x[:1, ..., :1]))
    sums, counts = (nn.pooling.pool(y, 0.0, jax.lax.add, (size, size), (size, size), padding) for y in both)
    return sums / counts


class IdentityShortcut(nn.Module):
    def __call__(self, x: Float[Array, "..."]) -> Float[Array, "..."]:
        return x


class ShortcutGate(nn.Module):
    """The shortcut times 1 - g, where g = sigmoid(convolution of the unit's input + bias).

    No norm is in the gate. In units that change the shape it has their stride and width, and gates the
    padded shortcut; the paper says that all units are gated, and not how these are.

    Attributes:
      bias: the initial one of every channel; -6 opens the shortcut to 0.9975.
      kernel: the convolution's side, where it is not 1.
    """

    layers: BoundLayers
    stride: int
    bias: float
    kernel: int = 1

    @nn.compact
    def __call__(
        self, x: Float[Array, "b h w c"], along: Float[Array, "b i j d"]
    ) -> tuple[Float[Array, "b i j d"], Float[Array, "b i j d"] | None]:
        conv = self.layers.conv(along.shape[-1], self.kernel, self.stride)
        gate = nn.sigmoid(conv(use_bias=True, bias_init=nn.initializers.constant(self.bias), name="conv")(x))
        return (1 - gate) * along, self.of_branch(gate)

    def of_branch(self, gate: Float[Array, "b i j d"]) -> Float[Array, "b i j d"] | None:
        return None


class ExclusiveGate(ShortcutGate):
    """And the branch times g, as in highway networks."""

    def of_branch(self, gate: Float[Array, "b i j d"]) -> Float[Array, "b i j d"] | None:
        return gate


class ShortcutDropout(nn.Module):
    """In training each element of the shortcut is 0 with probability `rate`, or divided by 1 - rate.

    The division is what dropout has become; the paper does not say whether it divides.
    """

    rate: float
    train: bool

    @nn.compact
    def __call__(
        self, x: Float[Array, "b h w c"], along: Float[Array, "b i j d"]
    ) -> tuple[Float[Array, "b i j d"], None]:
        return nn.Dropout(self.rate, deterministic=not self.train)(along), None


class BranchScale(nn.Module):
    """The branch times a parameter, the shortcut times a constant.

    Attributes:
      begin: the parameter's initial value.
      by_channel: it is a number for each channel, not one for all.
      shortcut: the constant.
    """

    layers: BoundLayers
    begin: float
    by_channel: bool
    shortcut: float

    @nn.compact
    def __call__(
        self, x: Float[Array, "b *hw c"], along: Float[Array, "b *ij d"]
    ) -> tuple[Float[Array, "b *ij d"], Float[Array, "..."]]:
        shape = along.shape[-1:] if self.by_channel else ()
        begin = nn.initializers.constant(self.begin)
        factor = self.param("scale", begin, shape, jnp.dtype(self.layers.param_dtype)).astype(along.dtype)
        spread = factor.reshape((1,) * (along.ndim - 1) + shape) if self.by_channel else factor
        return along if self.shortcut == 1 else self.shortcut * along, spread


def scale(
    shortcut: float, branch: float, x: Float[Array, "b h w c"], along: Float[Array, "b i j d"]
) -> tuple[Float[Array, "b i j d"], float | None]:
    """Both times constants."""
    return shortcut * along, None if branch == 1 else branch


GATES: dict[str, type[ShortcutGate]] = {"exclusive": ExclusiveGate, "shortcut": ShortcutGate}


@dataclasses.dataclass(frozen=True, kw_only=True)
class Mixing:
    """How all units of a net put shortcut and branch together: added, but for what is set here.

    Attributes:
      shortcut_scale, branch_scale: what each is multiplied by.
      learned_scale: the branch's is a parameter of each unit that begins at `branch_scale`, one number
        (`scalar`) or one for each channel (`channels`).
      gate: the shortcut is multiplied by 1 - g (`shortcut`), and the branch by g too (`exclusive`).
      gate_bias: of g, before training.
      shortcut_dropout: rate of dropout on the shortcut.
      survival: probability that the last unit's branch is there in a step of training.
    """

    shortcut_scale: float = 1.0
    branch_scale: float = 1.0
    learned_scale: LearnedScale = "none"
    gate: Gate = "none"
    gate_bias: float = 0.0
    shortcut_dropout: float = 0.0
    survival: float = 1.0

    def __post_init__(self) -> None:
        checks.at_least(0, shortcut_scale=self.shortcut_scale, branch_scale=self.branch_scale)
        checks.finite(gate_bias=self.gate_bias)
        checks.share(shortcut_dropout=self.shortcut_dropout)
        checks.probability(survival=self.survival)
        if self.gate_bias and self.gate == "none":
            raise ValueError(
                f"gate_bias is {self.gate_bias}, but gate is 'none'; set gate to 'exclusive' or 'shortcut'"
            )
        scaled = (self.shortcut_scale, self.branch_scale, self.learned_scale) != (1, 1, "none")
        if scaled + (self.gate != "none") + (self.shortcut_dropout > 0) > 1:
            ways = [key for key in self.changed() if key not in ("gate_bias", "survival")]
            both = (f"{key} is {getattr(self, key)!r}" for key in (ways[0], ways[-1]))
            raise ValueError(f"{' and '.join(both)}; set either scales, a gate or dropout on the shortcut")

    def changed(self) -> dict[str, Any]:
        """-> the settings that differ from a sum's."""
        settings = dataclasses.asdict(self).items()
        return {key: value for key, value in settings if value != getattr(Mixing, key)}

    @property
    def random(self) -> bool:
        return self.survival < 1 or self.shortcut_dropout > 0

    def checked(self, skip: bool) -> Self:
        """-> itself; raises ValueError where it says what a net without shortcuts cannot have."""
        if not skip:
            for key, value in self.changed().items():
                raise ValueError(
                    f"{key} is {value!r}, but skip is False; a plain net has no path beside its branches, so"
                    f" leave {key} out or set skip to True"
                )
        return self

    def survival_of(self, number: int, units: int) -> float:
        """-> of unit `number`, from 1, of so many: it falls evenly from 1 at the stem to `survival`.

        Huang et al. 2016 (1603.09382), section 3, and their code.
        """
        return 1 - number / units * (1 - self.survival)

    def bind(self, layers: BoundLayers, stride: int) -> Mix | None:
        """-> the mix of a unit, or None where the two are only added.

        `parent=None` leaves the module to the unit that receives it, so its parameters lie there.
        """
        if self.gate != "none":
            return GATES[self.gate](layers, stride, self.gate_bias, parent=None)
        if self.shortcut_dropout:
            return ShortcutDropout(self.shortcut_dropout, layers.train, parent=None)
        scales = self.shortcut_scale, self.branch_scale
        if self.learned_scale != "none":
            by_channel = self.learned_scale == "channels"
            return BranchScale(layers, self.branch_scale, by_channel, self.shortcut_scale, parent=None)
        return None if scales == (1, 1) else partial(scale, *scales)
