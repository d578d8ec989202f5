"""ResNet-18 to 152 and their plain twins on ImageNet: He et al. 2015 (1512.03385), table 1.

    resjax show --config configs/imagenet_resnet.py:50                    the net; needs no data
    resjax show --config configs/imagenet_resnet.py:50,se                 with squeeze-and-excitation
    resjax train --config configs/imagenet_resnet.py:18 --workdir runs/i18 --config.data.image_size=64

Published validation error, top-1, 10 crops: plain 27.94 (18 layers), 28.54 (34); residual with option A
27.88 and 25.03; 50 / 101 / 152 layers with option B 22.85 / 21.75 / 21.43 %. Retrained by
fb.resnet.torch, one crop: 30.43 / 26.73 / 24.01 / 22.44 / 22.16 %.

Not the paper's: images are decoded once, to centre squares of one size, so that crops of random sizes and
colour augmentation are missing. At 224 pixels they take 187 GiB of the cache's disk, at 64 pixels 15 GiB;
each step reads its own. The rate drops at epochs 30 and 60 of 90 (He et al. 2016). The stride is in the
3 x 3 convolution; --config.model.stride_in=1x1 for the paper's place. Kernels decay, and parameters of norms
do not; initial weights are normal with variance 2 / fan-out. Evaluation counts top-1 alone, of one crop.

Beside it: `50,se` is SE-ResNet-50 (Hu et al. 2018, 1709.01507), 28,088,024 parameters, in this recipe, not
theirs; stochastic depth by --config.model.survival=0.5; ResNeXt-50 (Xie et al. 2017) is
configs/resnext.py:50-32x4d; ResNet-50-D (He et al. 2019, 1812.01187) by --config.model.stem=deep
--config.model.shortcut=D.
"""

from ml_collections import ConfigDict


def get_config(net: str = "50") -> ConfigDict:
    depth, _, excited = net.partition(",")
    if excited not in ("", "se"):
        raise ValueError(f"there is no net '{net}'; nets are DEPTH and DEPTH,se")
    config = ConfigDict()
    config.data = dict(name="tfds:imagenet2012", image_size=224)
    config.input = dict(normalize="imagenet", flip=True)
    config.model = dict(name="imagenet_resnet", depth=int(depth), shortcut="B", stride_in="3x3")
    config.model.update(excitation=16 if excited else 0)
    config.optim = dict(name="sgd", momentum=0.9, weight_decay=1e-4)
    config.schedule = dict(name="step", length=90, drops=(30, 60), learning_rate=0.1)
    config.train = dict(batch_size=256, checkpoint_every=5_000)
    return config
