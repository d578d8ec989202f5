"""Residual nets whose units begin as the identity, so that they need no norm, or gain by it, on CIFAR-10.

    resjax train --config configs/identity_start.py:fixup --workdir runs/fixup
    resjax train --config configs/identity_start.py:skipinit --workdir runs/skipinit
    resjax train --config configs/identity_start.py:rezero --workdir runs/rezero
    resjax train --config configs/identity_start.py:layerscale --workdir runs/layerscale

- `fixup` (Zhang et al. 2019, 1901.09321): 110 layers without norms, initial values rescaled by the number of
  units, scales and shifts of one number each, as the authors' code has them (hongyi-zhang/Fixup). Their
  command there trains at 0.1 in batches of 128; a tenth of the rate for scales and shifts, and mixup, are
  missing here.
- `skipinit` (De and Smith 2020, 2002.10444): a Wide ResNet of 16 layers, 4 times as wide, without norms,
  each branch times a number that begins at 0.
- `rezero` (Bachlechner et al. 2020, 2003.04887): the same number, here on ResNet-56 with its batch norms.
- `layerscale` (Touvron et al. 2021, 2103.17239): a number for each channel, which begins at 0.1, their value
  for up to 18 units; theirs are units of a transformer, here the 18 of ResNet-38.

No test error of these nets on CIFAR-10 was found in a source that prints it with its recipe. So the recipe is
that of configs/wide_resnet.py for all four, with a rate of 0.05 where there are no norms and a weight decay
of kernels alone; it was not tuned. Scales learn at the net's rate.

Only `fixup` has no plain twin: without shortcuts nothing goes through a branch that begins at 0; the others
refuse --config.model.skip=False for the same reason. Not yet run at full length here.
"""

from ml_collections import ConfigDict

SCALAR = dict(branch_scale=0.0, learned_scale="scalar")
NETS = {
    "fixup": dict(name="fixup_resnet", depth=110, norm="none"),
    "skipinit": dict(name="wide_resnet", depth=16, widen=4, norm="none", init="he_fan_in", **SCALAR),
    "rezero": dict(name="cifar_resnet", depth=56, **SCALAR),
    "layerscale": dict(name="cifar_resnet", depth=38, branch_scale=0.1, learned_scale="channels"),
}


def get_config(net: str = "fixup") -> ConfigDict:
    if net not in NETS:
        raise ValueError(f"there is no net '{net}'; nets are {', '.join(NETS)}")
    rate = 0.05 if NETS[net].get("norm") == "none" else 0.1
    config = ConfigDict()
    config.data = dict(name="tfds:cifar10")
    config.input = dict(normalize="channel_mean_std", pad=4, pad_mode="reflect", flip=True)
    config.model = dict(NETS[net])
    config.optim = dict(name="sgd", momentum=0.9, nesterov=True, weight_decay=5e-4)
    config.schedule = dict(name="step", length=200, drops=(60, 120, 160), factor=0.2, learning_rate=rate)
    config.train = dict(batch_size=128, checkpoint_every=2_000)
    return config
