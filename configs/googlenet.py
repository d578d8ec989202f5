"""GoogLeNet with its two auxiliary heads: Szegedy et al. 2014 (1409.4842), sections 5 and 6, table 1.

    resjax show  --config configs/googlenet.py                       ImageNet; needs no data
    resjax train --config configs/googlenet.py --workdir runs/g80 --config.data.image_size=80
    resjax train --config configs/googlenet.py:cifar --workdir runs/gc
    resjax train --config configs/googlenet.py:cifar,alone --workdir runs/gc0      without heads
    resjax import googlenet.pth --config configs/googlenet.py:torchvision --leave-out aux1,aux2 --out runs/gt

Published top-5 error on ImageNet: 10.07 % with one crop, 9.15 with 10, 7.89 with 144, one net. The paper
compares no net without heads; BVLC's retrained net has 31.3 % top-1 and 11.1 % top-5 error, centre crop.

`imagenet` (the default), the paper's:

- The net, with local response normalisation and no batch norm. Heads on inception4a and inception4d: 5 x 5
  average pool of stride 3, 128 filters, 1,024 units, 70 % dropout; their losses count 0.3 each.
- Momentum 0.9, the rate multiplied by 0.96 every 8 epochs, and an average over the parameters of the run
  at the end: here a moving average, whose decay 0.9999 was chosen, a quarter of an epoch.

Not in the paper, and taken from the Caffe model zoo's bvlc_googlenet: batches of 32, first rate 0.01, weight
decay 2e-4, 250 epochs. Chosen: He et al.'s initial values (fan-in), for Caffe's Xavier with biases of 0.2 is
not among the choices here; constants of mean and spread where the paper subtracts a mean.

Not possible yet: images are decoded once, to centre squares of one size (187 GiB at 224 pixels), so that
crops of random size and shape and distorted colours are missing, and one synchronous run stands for the
paper's asynchronous many. 80 pixels leave inception4a the 5 x 5 that the heads read.

`cifar`, no paper's: the same modules behind one 3 x 3 convolution, 8 x 8 pixels at both heads, batch norms
in the net and in the heads (Szegedy et al. 2015, 1512.00567, find that the latter help). Its recipe was
chosen after those of residual nets, and nothing in it was tuned: each channel's mean is subtracted, and the
rest divided by its spread, before four zeros (the mean colour) are padded; kernels decay, and norms and
biases do not.

`torchvision`, the port whose weights resjax import reads, with 69.778 % top-1 accuracy there, centre crop:
batch norms with epsilon 0.001, 3 x 3 for 5 x 5 branches, a 2 x 2 pool before inception5a, no local response
normalisation, 20 % dropout; from images 0.5 is subtracted, and they are divided by it, as `transform_input`
does there. Its two heads, which pool to 4 x 4 and were never trained, are not here. The recipe of training
was chosen: imagenet_resnet.py's.

Not yet run at full length here.
"""

from ml_collections import ConfigDict


def get_config(arg: str = "imagenet") -> ConfigDict:
    name, _, rest = arg.partition(",")
    if name not in RECIPES or rest not in ("", "alone"):
        raise ValueError(f"there is no recipe '{arg}'; recipes are {', '.join(RECIPES)}, each or NAME,alone")
    config = RECIPES[name]()
    config.heads = () if rest else config.heads
    return config


def imagenet():
    config = ConfigDict()
    config.data = dict(name="tfds:imagenet2012", image_size=224)
    config.input = dict(normalize="imagenet", flip=True)
    config.model = dict(name="googlenet", norm="none", init="he_fan_in", dropout=0.4, local_norm=True)
    config.heads = heads(dropout=0.7, batch_norm=False)
    config.optim = dict(name="sgd", momentum=0.9, weight_decay=2e-4)
    config.schedule = dict(
        name="step", length=250, drops=tuple(range(8, 250, 8)), factor=0.96, learning_rate=0.01
    )
    config.train = dict(batch_size=32, ema_decay=0.9999, checkpoint_every=5_000)
    return config


def torchvision():
    config = ConfigDict()
    config.data = dict(name="tfds:imagenet2012", image_size=224)
    config.input = dict(normalize="constants", mean=(0.5,) * 3, std=(0.5,) * 3, flip=True)
    port = dict(five_as_three=True, last_pool="2x2", local_norm=False)
    config.model = dict(name="googlenet", norm="batch", norm_epsilon=1e-3, dropout=0.2, **port)
    config.heads = ()
    config.optim = dict(name="sgd", momentum=0.9, weight_decay=1e-4)
    config.schedule = dict(name="step", length=90, drops=(30, 60), learning_rate=0.1)
    config.train = dict(batch_size=256, checkpoint_every=5_000)
    return config


def cifar():
    config = ConfigDict()
    config.data = dict(name="tfds:cifar10")
    config.input = dict(normalize="channel_mean_std", pad=4, flip=True)
    config.model = dict(name="googlenet", stem="cifar", norm="batch", dropout=0.4)
    config.heads = heads(dropout=0.7, batch_norm=True)
    config.optim = dict(name="sgd", momentum=0.9, nesterov=True, weight_decay=5e-4)
    config.schedule = dict(name="cosine", length=200, learning_rate=0.1)
    config.train = dict(batch_size=128, checkpoint_every=2_000)
    return config


def heads(**settings):
    return tuple(
        dict(name=f"at_{name}", endpoint=f"inception{name}", form="googlenet", weight=0.3, **settings)
        for name in ("4a", "4d")
    )


RECIPES = {"imagenet": imagenet, "cifar": cifar, "torchvision": torchvision}
