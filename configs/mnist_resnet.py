"""A small residual net on MNIST, for two CPU cores.

    resjax prepare tfds:mnist
    resjax train --config configs/mnist_resnet.py --workdir runs/mnist

ResNet-8 of the CIFAR family on 28-pixel images: three epochs, one cycle of the learning rate, crops of
the image padded by two pixels and no mirroring, for digits have a right way round. Any depth 6n + 2 by
argument: configs/mnist_resnet.py:14.

Test accuracy 99.29 +- 0.04 %, three seeds, 155 s a run on two busy CPU cores: experiments/first_runs.py.
"""

from ml_collections import ConfigDict


def get_config(depth: str = "8") -> ConfigDict:
    config = ConfigDict()
    config.data = dict(name="tfds:mnist")
    config.input = dict(normalize="channel_mean_std", pad=2)
    config.model = dict(name="cifar_resnet", depth=int(depth))
    config.optim = dict(name="sgd", momentum=0.9, nesterov=True, weight_decay=5e-4)
    config.schedule = dict(name="one_cycle", length=3, learning_rate=0.1)
    config.train = dict(batch_size=128)
    return config
