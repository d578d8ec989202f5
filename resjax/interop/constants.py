"""Means and standard deviations by which the images of published nets were normalised."""

from collections.abc import Mapping
from types import MappingProxyType

from resjax.data.augment import IMAGENET_MEAN, IMAGENET_STD
from resjax.errors import UserError, did_you_mean

Numbers = tuple[float, ...]
# Of images scaled to [0, 1]. The deviations of `cifar10_kuangliu`, which many ports have, are smaller than
# those of the train set.
CONSTANTS: Mapping[str, tuple[Numbers, Numbers]] = MappingProxyType(
    {
        "imagenet": (IMAGENET_MEAN, IMAGENET_STD),
        "cifar10": ((0.4914, 0.4822, 0.4465), (0.2470, 0.2435, 0.2616)),
        "cifar10_kuangliu": ((0.4914, 0.4822, 0.4465), (0.2023, 0.1994, 0.2010)),
        "cifar100": ((0.5071, 0.4867, 0.4408), (0.2675, 0.2565, 0.2761)),
        "mnist": ((0.1307,), (0.3081,)),
        "half": ((0.5, 0.5, 0.5), (0.5, 0.5, 0.5)),
    }
)


def overrides(text: str) -> list[str]:
    """-> flags that set a config's section `input` to constants by name, or to `MEANS/DEVIATIONS`.

    Raises:
      UserError: there is no such name, or what is there are no numbers.
    """
    mean, std = CONSTANTS[text] if text in CONSTANTS else _numbers(text)
    flags = {"normalize": "constants", "mean": mean, "std": std}
    return [f"--config.input.{key}={value}" for key, value in flags.items()]


def _numbers(text: str) -> tuple[Numbers, Numbers]:
    if "/" not in text:
        raise UserError(
            f"--normalize is '{text}'; it must be a name, or means and deviations such as"
            f" 0.5,0.5,0.5/0.2,0.2,0.2{did_you_mean(text, CONSTANTS)}"
        )
    try:
        mean, std = (tuple(float(number) for number in part.split(",")) for part in text.split("/"))
    except ValueError as error:
        raise UserError(
            f"--normalize is '{text}'; it must be means, '/' and deviations, such as 0.5,0.5,0.5/0.2,0.2,0.2"
        ) from error
    return mean, std
