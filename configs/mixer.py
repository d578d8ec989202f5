"""MLP-Mixer on small images: perceptrons on tokens and on channels in turn, each with its shortcut.

    resjax train --config configs/mixer.py --workdir runs/mixer                digits, seconds
    resjax train --config configs/mixer.py:cifar10 --workdir runs/mixer_cifar10
    resjax show  --config configs/mixer.py:b16                               Mixer-B/16 on ImageNet

Tolstikhin et al. 2021 (2105.01601) train on ImageNet and larger sets; these are the smallest nets of the
kind. The perceptrons are half as wide as the channels on the tokens, and four times on the channels, as in
table 1 there. `b16` is Mixer-B/16, 59,880,472 parameters, defined and not run: rate, decay, batch, epochs and
warm-up are those of configs/vit.py:b16, and images are decoded once, to centre squares of 224 pixels.

Nothing here is tuned, and no accuracy is stated: the others have been run for tests alone.
"""

from ml_collections import ConfigDict

NETS = {  # data, size of patches, blocks, width, epochs
    "digits": ("digits", 2, 8, 32, 30),
    "cifar10": ("tfds:cifar10", 4, 8, 128, 100),
    "b16": ("tfds:imagenet2012", 16, 12, 768, 300),
}


def get_config(name: str = "digits") -> ConfigDict:
    if name not in NETS:
        raise ValueError(f"there is no net '{name}'; there are {', '.join(NETS)}")
    data, patch, blocks, width, epochs = NETS[name]
    config = ConfigDict()
    config.data = dict(name=data)
    config.input = dict(normalize="channel_mean_std")
    config.model = dict(name="mixer", norm="layer", init="glorot", patch=patch, blocks=blocks, width=width)
    config.model.update(hidden_tokens=width // 2, hidden_channels=4 * width)
    config.optim = dict(name="adamw", weight_decay=0.05)
    config.schedule = dict(name="cosine", length=epochs, learning_rate=1e-3)
    config.train = dict(batch_size=128 if name == "cifar10" else 64, eval_every=5)
    if name == "cifar10":
        config.input = dict(normalize="channel_mean_std", pad=4, flip=True)
    if name == "b16":
        config.data = dict(name=data, image_size=224)
        config.input = dict(normalize="channel_mean_std", flip=True)
        config.optim = dict(name="adamw", weight_decay=0.1)
        config.schedule = dict(name="cosine", length=epochs, learning_rate=3e-3, warmup=10)
        config.train = dict(batch_size=4096, eval_every=5)
    return config
