"""CIFAR-10 to a given accuracy in little time: no paper's recipe, but the field's habits for such races.

resjax train --config configs/cifar10_speed.py --workdir runs/speed
"""

from ml_collections import ConfigDict


def get_config() -> ConfigDict:
    config = ConfigDict()
    config.data = dict(name="tfds:cifar10")
    config.input = dict(normalize="channel_mean_std", pad=2, pad_mode="reflect", flip=True)
    config.model = dict(name="resnet9", widths=(16, 32, 64, 128), residual=(1, 2, 3))
    config.optim = dict(name="sgd", momentum=0.9, nesterov=True, weight_decay=5e-4, decay="kernels")
    config.schedule = dict(name="one_cycle", length=8, learning_rate=0.4, rise=0.25, start=0.2)
    config.train = dict(batch_size=256, label_smoothing=0.2, eval_every=8)
    return config
