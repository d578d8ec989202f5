"""ResNet-18 of the ImageNet family on MNIST's raw 28 x 28 pixels: two tutorials' recipes.

    resjax train --config configs/mnist_resnet18.py --workdir runs/adam                 ten epochs of Adam
    resjax train --config configs/mnist_resnet18.py:rmsprop --workdir runs/rmsprop      one of RMSprop
    resjax train --config configs/mnist_resnet18.py --workdir runs/plain --config.model.skip=False

Published test accuracy, one run each: `adam` 99.06 % (rasbt/deeplearning-models, cnn-resnet18-mnist, whose
training accuracy is 99.52); `rmsprop` 98.2 % (marrrcin/pytorch-resnet-mnist, the notebook of 2021). The first
author has 99.04 % with 34 layers, and 98.39 with 50 in 20 epochs at a rate of 0.0001.

The tutorials': a stem for 224 pixels, 7 x 7 convolution and max-pool, which leaves 7 x 7 pixels here, and the
last stage 1 x 1; projections with a norm (option B); initial values normal by fan-out; intensities from 0 to
1, no augmentation, no weight decay, a constant rate; all 60,000 images, and the last step counts. Adam at
0.001 in batches of 128, RMSprop at 0.005 in batches of 64, with PyTorch's constants.

What differs: Optax adds epsilon inside the root of RMSprop and PyTorch outside of it, so its square stands
here. The classifier's bias begins at 0, and epochs end within a batch. The second tutorial's first layer may
begin with PyTorch's own values. The first one's title has "Data Parallelism", and its code one device.

Run at full length here: experiments/mnist_resnet18.py, whose page has the numbers, and of how many seeds.
"""

from ml_collections import ConfigDict

RECIPES = {
    "adam": (dict(name="adam"), dict(length=10, learning_rate=0.001), 128),
    "rmsprop": (
        dict(name="rmsprop", decay_rate=0.99, eps=1e-16), dict(length=1, learning_rate=0.005), 64
    ),
}  # fmt: skip


def get_config(name: str = "adam") -> ConfigDict:
    if name not in RECIPES:
        raise ValueError(f"there is no recipe '{name}'; recipes are {', '.join(RECIPES)}")
    optim, schedule, batch_size = RECIPES[name]
    config = ConfigDict()
    config.data = dict(name="tfds:mnist")
    config.input = dict(normalize="unit")
    config.model = dict(name="imagenet_resnet", depth=18, shortcut="B", skip=True)
    config.optim = optim
    config.schedule = dict(schedule, name="constant")
    config.train = dict(batch_size=batch_size)
    return config
