"""A deep net on CIFAR-10 that begins as a shallow one: Simonyan and Zisserman 2014 (1409.1556), section 3.1.

    resjax train --config configs/growing_cifar10.py --workdir runs/grown56
    resjax train --config configs/growing_cifar10.py --workdir runs/grown56p --config.model.skip=False
    resjax train --config configs/growing_cifar10.py:110 --workdir runs/grown110

A net of 20 layers is trained first. Then the layers of a net of 56 (or the depth given) that have a
namesake of the same shape begin with its values: the first layer, the first three blocks of each of the
three stages, the classifier. The rest begins at random, and all of it is trained as from scratch.

The paper did so with its nets of 13 to 19 layers, which took the first four convolutions and the three
dense layers of its net of 11; it lets the copied layers learn at the full rate, as here, and reports no
net with and without. It notes later that random values of the right variance serve as well (Glorot and
Bengio 2010). Pretraining is of interest here where those do not: in deep plain nets, skip=False.

What had to be chosen: the nets are not the paper's but He et al.'s, new blocks are behind the copied ones
of their stage, and batch statistics are copied with the layers. The first phase has a quarter of the
second one's steps, in the same schedule. The second one is configs/cifar10_resnet.py without a change, so
that the two configs differ in the pretraining alone, which at 56 layers adds 8 % of multiply-adds.

Not yet run at full length here.
"""

from ml_collections import ConfigDict

SHALLOW = 20


def get_config(depth: str = "56") -> ConfigDict:
    config = ConfigDict()
    config.data = dict(name="tfds:cifar10")
    config.input = dict(normalize="pixel_mean", pad=4, pad_when="after", flip=True)
    config.model = dict(name="cifar_resnet", depth=int(depth), order="original", shortcut="A", skip=True)
    config.optim = dict(name="sgd", momentum=0.9, nesterov=False, weight_decay=1e-4, decay="kernels")
    config.phases = (dict(name="shallow", model=dict(depth=SHALLOW), schedule=schedule(16_000)),)
    config.schedule = schedule(64_000)
    config.train = dict(batch_size=128, checkpoint_every=2_000)
    return config


def schedule(steps):
    drops = (steps // 2, 3 * steps // 4)
    return dict(name="step", unit="steps", length=steps, drops=drops, factor=0.1, learning_rate=0.1)
