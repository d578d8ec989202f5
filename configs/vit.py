"""Transformer encoders on patches of small images, with layer norm before (`pre`) or behind each addition.

    resjax train --config configs/vit.py --workdir runs/vit                    digits, seconds
    resjax train --config configs/vit.py:cifar10 --workdir runs/vit_cifar10
    resjax train --config configs/vit.py --workdir runs/post --config.model.placement=post

Dosovitskiy et al. 2021 (2010.11929) train on far larger sets; these are the smallest nets of the kind, for
studies of what skips and warm-up do: Xiong et al. 2020 (2002.04745). Adam without decay; rate and warm-up are
keys of the schedule. `b16` is ViT-B/16 on ImageNet, defined and not run.

experiments/layer_norm_place.py has the runs of 12 epochs, by placement, warm-up and rate.
"""

from ml_collections import ConfigDict

NETS = {  # data, size of patches, blocks, width, heads, epochs, batch
    "digits": ("digits", 2, 12, 32, 4, 30, 64),
    "cifar10": ("tfds:cifar10", 4, 6, 192, 3, 100, 128),
    "b16": ("tfds:imagenet2012", 16, 12, 768, 12, 300, 4096),
}


def get_config(name: str = "digits") -> ConfigDict:
    if name not in NETS:
        raise ValueError(f"there is no net '{name}'; there are {', '.join(NETS)}")
    data, patch, blocks, width, heads, epochs, batch_size = NETS[name]
    config = ConfigDict()
    config.data = dict(name=data)
    config.input = dict(normalize="channel_mean_std")
    config.model = dict(
        name="vit", norm="layer", init="glorot", patch=patch, blocks=blocks, width=width, heads=heads
    )
    config.optim = dict(name="adam")
    config.schedule = dict(name="cosine", length=epochs, learning_rate=1e-3)
    config.train = dict(batch_size=batch_size, eval_every=5)
    if name == "cifar10":
        config.input = dict(normalize="channel_mean_std", pad=4, flip=True)
    if name == "b16":
        config.data = dict(name=data, image_size=224)
        config.input = dict(normalize="channel_mean_std", flip=True)
        config.model["pool"] = "class"
        config.optim = dict(name="adamw", weight_decay=0.1)
        config.schedule = dict(name="cosine", length=epochs, learning_rate=3e-3, warmup=10)
    return config
