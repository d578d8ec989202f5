"""Segmentation of canvases with several real handwritten digits: every pixel is labelled, no download.

    resjax train --config configs/canvas.py --workdir runs/unet                    a U-Net
    resjax train --config configs/canvas.py:fcn --workdir runs/fcn                 a residual net, with a head
    resjax show  --config configs/canvas.py:unet64                                 Ronneberger et al.'s width
    resjax train --config configs/canvas.py --workdir runs/mnist --config.data.name=canvas:mnist

2,000 canvases of 32 x 32 pixels to train, 500 of other digits to test; 11 classes, the background among them.
Canvases that --config.data.holdout=400 holds out are of digits of their own too.

The U-Net is Ronneberger et al.'s (1505.04597) with three scales, 16 wide, and batch norm; the other one the
ResNet-20 of the CIFAR family whose last plane is classified place by place and enlarged (Long et al. 2015,
1411.4038), with the auxiliary head of Zhao et al. 2017 (1612.01105) at mid-depth, of weight 0.4.

`unet64` is their net, of four scales, 64 wide and without norm, 31,030,658 parameters of two classes; of the
eleven here it has 585 more. Without norm it takes a tenth of the rate. It has not been run.

Ten epochs are for tables of short runs: experiments/segmentation.py, which chooses the rate of each net on
held-out canvases. Optimizer and batch size were tried there too, with single runs of four epochs of which no
records were kept; in batches of 50 the U-Net learned little.
"""

from ml_collections import ConfigDict

NETS = ("unet", "fcn", "unet64")


def get_config(name: str = "unet") -> ConfigDict:
    if name not in NETS:
        raise ValueError(f"there is no net '{name}'; there are {', '.join(NETS)}")
    config = ConfigDict()
    config.data = dict(name="canvas:digits")
    config.input = dict(normalize="unit")
    config.model = dict(name=name)
    if name == "fcn":
        config.heads = (dict(name="aux", endpoint="stage2_block3", form="fcn", weight=0.4),)
    config.optim = dict(name="adam")
    rate = 0.001 if name == "unet64" else 0.01
    config.schedule = dict(name="one_cycle", length=10, learning_rate=rate)
    config.train = dict(batch_size=10, eval_every=2)
    if name == "unet64":
        config.model = dict(name="unet", scales=4, width=64, norm="none", init="he_fan_in")
    return config
