"""Wide residual nets on CIFAR-10: Zagoruyko and Komodakis 2016 (1605.07146), table 5.

    resjax train --config configs/wide_resnet.py:28-10 --workdir runs/wrn
    resjax train --config configs/wide_resnet.py:28-10,dropout --workdir runs/dropped
    resjax train --config configs/wide_resnet.py:16-4 --workdir runs/plain --config.model.skip=False

Published test error, medians of five runs: 16-4 5.02 %, 40-4 4.53, 16-8 4.27, 28-10 4.00; with dropout of 0.3
28-10 3.89, 16-4 5.24. CIFAR-100, in the same order, 24.03, 21.18, 20.43, 19.25; 18.85 and 23.91:
--config.data.name=tfds:cifar100. The widths of table 4 belong to whitened images, whose errors are higher.

What is theirs (paper and szagoruyko/wide-residual-networks):

- Pre-activation units of two convolutions, the stem 16 wide, all else 16, 32 and 64 times the factor; where
  widths change, a projection without a norm behind the norm and ReLU that the unit begins with. Dropout
  stands behind the ReLU between the convolutions. Initial values normal by fan-in.
- 200 epochs of batches of 128, Nesterov momentum 0.9, weight decay 5e-4; the rate 0.1 times 0.2 after 60, 120
  and 160. Images are normalised by channel, reflected by four pixels, cropped and mirrored.

What was chosen: weight decay takes all parameters, as Torch's optimizer does.

The plain twin has none of the projections. A smaller net: --config.model.depth=16 --config.model.widen=2.
Not yet run at full length here.
"""

from ml_collections import ConfigDict

NETS = {"16-4": (16, 4), "40-4": (40, 4), "16-8": (16, 8), "28-10": (28, 10)}


def get_config(arg: str = "28-10") -> ConfigDict:
    net, _, dropout = arg.partition(",")
    if net not in NETS or dropout not in ("", "dropout"):
        raise ValueError(f"there is no net '{arg}'; nets are {', '.join(NETS)}, each or NET,dropout")
    depth, widen = NETS[net]
    config = ConfigDict()
    config.data = dict(name="tfds:cifar10")
    config.input = dict(normalize="channel_mean_std", pad=4, pad_mode="reflect", flip=True)
    config.model = dict(
        name="wide_resnet", depth=depth, widen=widen, dropout=0.3 if dropout else 0.0, init="he_fan_in"
    )
    config.optim = dict(name="sgd", momentum=0.9, nesterov=True, weight_decay=5e-4, decay="all")
    config.schedule = dict(name="step", length=200, drops=(60, 120, 160), factor=0.2, learning_rate=0.1)
    config.train = dict(batch_size=128, checkpoint_every=2_000)
    return config
