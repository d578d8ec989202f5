"""DenseNet-121, 161, 169 and 201 on ImageNet: Huang et al. 2017 (1608.06993), table 1 and section 4.

    resjax show  --config configs/imagenet_densenet.py:169                the net; needs no data
    resjax train --config configs/imagenet_densenet.py:121 --workdir runs/d121 --config.data.image_size=64

Published top-1 validation error, one crop of 224 pixels, in the authors' README without a count of runs: 25.0
(121 layers), 22.2 (161, with a growth of 48), 23.6 (169) and 22.5 % (201).

What is theirs (liuzhuang13/DenseNet): 90 epochs of batches of 256, the rate 0.1, a tenth of it after 30 and
60; Nesterov momentum 0.9, weight decay 1e-4, which takes all parameters, as in fb.resnet.torch, which their
code is built on; initial values normal by fan-out.

Not theirs: images are decoded once, to centre squares of one size, so that crops of random sizes and colour
augmentation are missing. At 224 pixels they take 187 GiB of the cache's disk, at 64 pixels 15 GiB.

The plain twin's layers read the one before alone, so that it has fewer parameters. Each layer hands on all
features so far: --config.train.remat=units keeps those alone for the backward pass. Weights of torchvision's
nets, and of timm's of the same names, are read by resjax import.

Not yet run here.
"""

from ml_collections import ConfigDict

GROWTHS = {"161": 48}  # the others have 32


def get_config(depth: str = "121") -> ConfigDict:
    config = ConfigDict()
    config.data = dict(name="tfds:imagenet2012", image_size=224)
    config.input = dict(normalize="imagenet", flip=True)
    config.model = dict(name="imagenet_densenet", depth=int(depth), growth=GROWTHS.get(depth, 32))
    config.optim = dict(name="sgd", momentum=0.9, nesterov=True, weight_decay=1e-4, decay="all")
    config.schedule = dict(name="step", length=90, drops=(30, 60), factor=0.1, learning_rate=0.1)
    config.train = dict(batch_size=256, checkpoint_every=5_000)
    return config
