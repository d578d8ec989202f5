"""ResNeXt-29 on CIFAR-10, and 50 layers on ImageNet, convolutions in groups: Xie et al. 2017 (1611.05431).

    resjax train --config configs/resnext.py:8x64d --workdir runs/resnext
    resjax train --config configs/resnext.py:16x64d --workdir runs/wider
    resjax show  --config configs/resnext.py:50-32x4d                    on ImageNet; needs no data

Published test error (section 5.3), means of ten runs: 8x64d 3.65 % on CIFAR-10 and 17.77 on CIFAR-100, 16x64d
3.58 and 17.31; --config.data.name=tfds:cifar100.

What is theirs (paper and facebookresearch/ResNeXt):

- A stem 64 wide, three stages of three bottlenecks; 8 groups of 64, 128 and 256 features in the middle
  convolutions; the outputs 256, 512 and 1,024 wide; projections where widths grow, with a norm.
- 300 epochs of batches of 128, the rate 0.1, a tenth of it after 150 and 225 (after 147 and 222 in the code),
  Nesterov momentum 0.9, weight decay 5e-4 on all parameters. Images are normalised by channel, four zeros
  padded, cropped and mirrored.
- Norms are behind layers, as in He et al. 2015: their code says that this is better than the pre-activation
  of their paper's first version.

What was chosen: batch statistics are of the whole 128. They had eight GPUs, and
--config.model.norm_examples=16 takes each 16 for themselves. 50-32x4d has 25,028,904 parameters; its recipe,
and what is missing of it, is that of configs/imagenet_resnet.py. Not yet run at full length here.
"""

from ml_collections import ConfigDict

NETS = {"8x64d": (8, 64), "16x64d": (16, 64), "50-32x4d": (32, 4)}


def get_config(net: str = "8x64d") -> ConfigDict:
    if net not in NETS:
        raise ValueError(f"there is no net '{net}'; nets are {', '.join(NETS)}")
    cardinality, group_width = NETS[net]
    config = ConfigDict()
    config.data = dict(name="tfds:cifar10")
    config.input = dict(normalize="channel_mean_std", pad=4, pad_when="after", flip=True)
    config.model = dict(name="cifar_resnext", depth=29, cardinality=cardinality, group_width=group_width)
    config.optim = dict(name="sgd", momentum=0.9, nesterov=True, weight_decay=5e-4, decay="all")
    config.schedule = dict(name="step", length=300, drops=(150, 225), factor=0.1, learning_rate=0.1)
    config.train = dict(batch_size=128, checkpoint_every=2_000)
    if net == "50-32x4d":
        config.data = dict(name="tfds:imagenet2012", image_size=224)
        config.input = dict(normalize="imagenet", flip=True)
        config.model.update(name="imagenet_resnext", depth=50)
        config.optim = dict(name="sgd", momentum=0.9, weight_decay=1e-4)
        config.schedule = dict(name="step", length=90, drops=(30, 60), learning_rate=0.1)
        config.train = dict(batch_size=256, checkpoint_every=5_000)
    return config
