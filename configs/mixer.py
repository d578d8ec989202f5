"""MLP-Mixer on small images: perceptrons on tokens and on channels in turn, each with its shortcut.

    resjax train --config configs/mixer.py --workdir runs/mixer                digits, seconds
    resjax train --config configs/mixer.py:cifar10 --workdir runs/mixer_cifar10

Tolstikhin et al. 2021 (2105.01601) train on ImageNet and larger sets; these are the smallest nets of the
kind. Nothing here is tuned, and no accuracy is stated: it has been run for tests alone.
"""

from ml_collections import ConfigDict

NETS = {  # data, size of patches, blocks, width, epochs
    "digits": ("digits", 2, 8, 32, 30),
    "cifar10": ("tfds:cifar10", 4, 8, 128, 100),
}


def get_config(name: str = "digits") -> ConfigDict:
    if name not in NETS:
        raise ValueError(f"there is no net '{name}'; there are {', '.join(NETS)}")
    data, patch, blocks, width, epochs = NETS[name]
    config = ConfigDict()
    config.data = dict(name=data)
    config.input = dict(normalize="channel_mean_std")
    config.model = dict(name="mixer", norm="layer", init="glorot", patch=patch, blocks=blocks, width=width)
    config.model.update(hidden_tokens=2 * width, hidden_channels=4 * width)
    config.optim = dict(name="adamw", weight_decay=0.05)
    config.schedule = dict(name="cosine", length=epochs, learning_rate=1e-3)
    config.train = dict(batch_size=128 if name == "cifar10" else 64, eval_every=5)
    if name == "cifar10":
        config.input = dict(normalize="channel_mean_std", pad=4, flip=True)
    return config
