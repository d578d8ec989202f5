"""Deeply-Supervised Nets: Lee et al. 2014 (1409.5185), three companions on a Network in Network.

    resjax train --config configs/dsn.py --workdir runs/dsn                  the paper's objective
    resjax train --config configs/dsn.py:released --workdir runs/released    what its released code does
    resjax train --config configs/dsn.py:mnist --workdir runs/dsn_mnist
    resjax train --config configs/dsn.py:paper,alone --workdir runs/nin      the same without companions

Published test error: CIFAR-10 without augmentation 9.78 % (arXiv; 9.69 AISTATS), with it 8.22 (7.97), beside
Network in Network's own 10.41 and 8.81, whose images were also whitened; MNIST 0.39, the same net
without companions 0.53. With augmentation: --config.input.pad=4 --config.input.flip=True, where
zeros are padded behind the subtraction of the mean; what the paper pads with was not found.

In all three the losses are squared hinges of ten one-vs-rest margins, the companions' as the output's, and
a companion is one linear map of all raw outputs, before the ReLU, of conv1, conv2 or conv3.

`paper` (the default): a companion adds alpha * 0.1 * (1 - t / N) * max(0, |w|^2 + loss - gamma) at epoch t
of N, so that it is silent where it is good enough and fades until the end. The full text was not found:
the formula is that of a survey. Found in no source, so chosen and not tuned: alpha 1; gamma 1, where the
best constant outputs lose 3.6; a factor of 2.5e-4 before |w|^2, which makes it a weight decay of 5e-4.
The optimizer's weight decay takes the companions' weights too, and cannot be told not to. Steps, rates
and batches are those of the released code, in one phase.

`released` (s9xie/DSN): no alpha, no gamma. Phases: 50k steps at 0.025 with companions of weight 1; 120k
steps at 0.025 without them, from fresh momentum; 30k steps at 1e-4. Batches of 100, momentum 0.9, weight
decay 5e-4 on weights. The companions' own rate is 0.001 times the net's, in all three recipes here:
conv1's has 196,608 inputs, too many for the full rate.

`mnist`: of the net only its size was found, about 350K parameters, and of its recipe nothing: widths, length
and rates were chosen, the objective is `paper`'s.

Not possible here, and so different from the released code: global contrast normalisation of each image (here
the mean image is subtracted); twice the rate for biases, a tenth for the last 1 x 1 convolution; the
companions' rate does not fall as (1 + 1e-4 t)^-0.75; initial weights are not Gaussian with deviation 0.05,
the companions' not Xavier's. Chosen instead, so that it trains at the released rates: initial variance
1 / fan-in, intensities divided by 255. In runs of a few steps the loss became infinite with He et al.'s
initial values, and on images divided by their spread.

Not yet run at full length here.
"""

from ml_collections import ConfigDict

HINGE = "squared_hinge"
COMPANIONS = dict(form="flattened_linear", loss=HINGE, rate=0.001)
OBJECTIVE = dict(weight=1.0, schedule="dsn", gamma=1.0, penalty=2.5e-4)  # alpha, its fading, the threshold


def get_config(arg: str = "paper") -> ConfigDict:
    name, _, rest = arg.partition(",")
    if name not in RECIPES or rest not in ("", "alone"):
        raise ValueError(f"there is no recipe '{arg}'; recipes are {', '.join(RECIPES)}, each or NAME,alone")
    return RECIPES[name](nobody if rest else companions)


def paper(attached):
    config = base("tfds:cifar10", "cifar")
    config.heads = attached(**OBJECTIVE)
    config.schedule = dict(
        name="step", unit="steps", length=200_000, drops=(170_000,), factor=0.004, learning_rate=0.025
    )
    return config


def released(attached):
    config = base("tfds:cifar10", "cifar")
    config.phases = (
        dict(name="companions", heads=attached(weight=1.0), schedule=steps(50_000, 0.025)),
        dict(name="alone", schedule=steps(120_000, 0.025)),
    )
    config.schedule = steps(30_000, 1e-4)
    return config


def mnist(attached):
    config = base("tfds:mnist", "mnist")
    config.heads = attached(**OBJECTIVE)
    config.schedule = dict(name="step", length=40, drops=(30,), factor=0.1, learning_rate=0.025)
    return config


def base(data, trunk):
    config = ConfigDict()
    config.data = dict(name=data)
    config.input = dict(normalize="pixel_mean")
    config.model = dict(name="dsn", trunk=trunk, norm="none", init="lecun", dropout=0.5)
    config.optim = dict(name="sgd", momentum=0.9, weight_decay=5e-4, decay="kernels")
    config.train = dict(batch_size=100, loss=HINGE, checkpoint_every=2_000)
    return config


def companions(**settings):
    return tuple(
        dict(name=f"at_conv{number}", endpoint=f"conv{number}", **COMPANIONS, **settings)
        for number in (1, 2, 3)
    )


def nobody(**settings):
    return ()


def steps(length, rate):
    return dict(name="constant", unit="steps", length=length, learning_rate=rate)


RECIPES = {"paper": paper, "released": released, "mnist": mnist}
