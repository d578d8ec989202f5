"""Nets whose layers read all layers before them, CIFAR-10: DenseNet, Huang et al. 2017 (1608.06993).

    resjax train --config configs/densenet.py:bc-100-12 --workdir runs/dense
    resjax train --config configs/densenet.py:40-12 --workdir runs/basic --config.train.remat=units
    resjax train --config configs/densenet.py:40-12 --workdir runs/plain --config.model.skip=False

Published test error, by layers and growth, in the authors' README without a count of runs: 40-12 5.24 %,
100-12 4.10, 100-24 3.74; with bottlenecks and compression bc-100-12 4.51, bc-250-24 3.62, bc-190-40 3.46.
CIFAR-100: 24.42, 20.20, 19.25; 22.27, 17.60, 17.18: --config.data.name=tfds:cifar100. Without augmentation,
but with --config.model.dropout=0.2: 40-12 7.00, bc-100-12 5.92.

What is theirs (liuzhuang13/DenseNet): 300 epochs of batches of 64, the rate 0.1, a tenth of it after 150 and
225; Nesterov momentum 0.9, weight decay 1e-4; initial values normal by fan-out; images normalised by channel,
four zeros padded, cropped and mirrored. The stem is 16 wide, with bottlenecks twice the growth.

What was chosen: weight decay takes all parameters, as in fb.resnet.torch, which their code is built on.

The plain twin's layers read the one before alone, so that it has fewer parameters. Each layer hands on all
features so far: --config.train.remat=units keeps those alone for the backward pass.

Not yet run at full length here.
"""

from ml_collections import ConfigDict

BASIC = dict(bottleneck=False, compression=1.0)
NETS = {
    "40-12": dict(depth=40, growth=12, **BASIC),
    "100-12": dict(depth=100, growth=12, **BASIC),
    "100-24": dict(depth=100, growth=24, **BASIC),
    "bc-100-12": dict(depth=100, growth=12),
    "bc-250-24": dict(depth=250, growth=24),
    "bc-190-40": dict(depth=190, growth=40),
}


def get_config(net: str = "bc-100-12") -> ConfigDict:
    if net not in NETS:
        raise ValueError(f"there is no net '{net}'; nets are {', '.join(NETS)}")
    config = ConfigDict()
    config.data = dict(name="tfds:cifar10")
    config.input = dict(normalize="channel_mean_std", pad=4, pad_when="after", flip=True)
    config.model = dict(NETS[net], name="densenet")
    config.optim = dict(name="sgd", momentum=0.9, nesterov=True, weight_decay=1e-4, decay="all")
    config.schedule = dict(name="step", length=300, drops=(150, 225), factor=0.1, learning_rate=0.1)
    config.train = dict(batch_size=64, checkpoint_every=2_000)
    return config
