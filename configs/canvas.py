"""Segmentation of canvases with several real handwritten digits: every pixel is labelled, no download.

    resjax train --config configs/canvas.py --workdir runs/unet                    a U-Net
    resjax train --config configs/canvas.py:fcn --workdir runs/fcn                 a residual net, with a head
    resjax train --config configs/canvas.py --workdir runs/mnist --config.data.name=canvas:mnist

2,000 canvases of 32 x 32 pixels to train, 500 of other digits to test; 11 classes, the background among them.
Canvases that --config.data.holdout=400 holds out are of digits of their own too.

The U-Net is Ronneberger et al.'s (1505.04597) with three scales, 16 wide, and batch norm; the other one the
ResNet-20 of the CIFAR family whose last plane is classified place by place and enlarged (Long et al. 2015,
1411.4038), with the auxiliary head of Zhao et al. 2017 (1612.01105) at mid-depth, of weight 0.4.

Twelve epochs are for tables of short runs. Neither rate nor length is tuned, and no result is stated:
experiments/segmentation.py has not been run yet.
"""

from ml_collections import ConfigDict

NETS = ("unet", "fcn")


def get_config(name: str = "unet") -> ConfigDict:
    if name not in NETS:
        raise ValueError(f"there is no net '{name}'; there are {' and '.join(NETS)}")
    config = ConfigDict()
    config.data = dict(name="canvas:digits")
    config.input = dict(normalize="unit")
    config.model = dict(name=name)
    if name == "fcn":
        config.heads = (dict(name="aux", endpoint="stage2_block3", form="fcn", weight=0.4),)
    config.optim = dict(name="sgd", momentum=0.9, nesterov=True, weight_decay=1e-4)
    config.schedule = dict(name="one_cycle", length=12, learning_rate=0.1)
    config.train = dict(batch_size=50, eval_every=4)
    return config
