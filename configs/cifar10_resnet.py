"""ResNet-20 to 1202 on CIFAR-10, and their plain twins: He et al. 2015 (1512.03385), section 4.2, table 6.

    resjax prepare tfds:cifar10
    resjax train --config configs/cifar10_resnet.py:56 --workdir runs/r56            depth 56
    resjax train --config configs/cifar10_resnet.py:56 --workdir runs/p56 --config.model.skip=False

Published test error: 8.75 / 7.51 / 7.17 / 6.97 % at depths 20 / 32 / 44 / 56, single values without a
count of runs; 110: 6.43 best, 6.61 +- 0.16 mean of 5. For the plain nets there are curves only (figure 6).

What is the paper's, and what had to be chosen:

- The whole train set is used: the paper's 45k / 5k split chose its schedule, and table 6 is read as
  trained on 50k. To choose settings of your own, hold out a slice: --config.data.holdout=5000.
- 64k steps of 128, the rate 0.1 divided by 10 after 32k and 48k; momentum 0.9, weight decay 1e-4. Batch
  statistics are of the whole 128; the paper had two GPUs, so probably 64 each.
- Weights of layers decay, parameters of norms do not: fb.resnet.torch decays all of them, and says that
  the paper decays weights only.
- The mean image is subtracted, then four zeros are padded (the mean colour) and the image cropped and
  mirrored. The paper gives no scale of intensities; here they are divided by 255.
- Initial weights are normal with variance 2 / fan-out (fb.resnet.torch); the paper says "as in [13]".
- From depth 110 on, the first 400 steps are at 0.01: the paper warms up at 110 until training error is below
  80 %, "about 400 iterations", and says nothing of 1202; He et al. 2016 do at all depths. Beside a schedule
  in epochs give a warm-up in epochs: --config.schedule.warmup=0 leaves it out.
- Shortcuts of option A take every second pixel, and their zeros stand behind the channels that there are, as
  in fb.resnet.torch; others average 2 x 2 pixels, or have zeros on both sides. The paper says neither.
- Plain momentum, without Nesterov's look ahead, which the paper does not mention and fb.resnet.torch has.
- Running batch statistics keep 0.9 of themselves a step; the paper does not say.

Not yet run at full length here. Three epochs with one cycle of the learning rate, a shortened run, give 74.87
+- 1.05 % test accuracy at depth 20 and 68.05 +- 0.46 % for its plain twin: experiments/first_runs.py.

He et al. 2016 (1603.05027). Shortcuts, table 1, at depth 110, one of:
    --config.model.shortcut_scale=0.5, alone or with --config.model.branch_scale=0.5
    --config.model.gate=exclusive --config.model.gate_bias=-6, and 0 to -5, and -7
    --config.model.gate=shortcut --config.model.gate_bias=-6, and 0
    --config.model.shortcut=C
    --config.model.shortcut_dropout=0.5
Orders, tables 2 and 3, at depth 110 as it is, at 164 and 1001 of bottlenecks, which project where they grow:
    ... configs/cifar10_resnet.py:164 --config.model.block=bottleneck --config.model.shortcut=B
        --config.model.order=preactivation, norm_after_addition, relu_before_addition or relu_preactivation

Stochastic depth has a recipe of its own: configs/stochastic_depth.py.
"""

from ml_collections import ConfigDict


def get_config(depth: str = "20") -> ConfigDict:
    config = ConfigDict()
    config.data = dict(name="tfds:cifar10")
    config.input = dict(normalize="pixel_mean", pad=4, pad_when="after", flip=True)
    config.model = dict(name="cifar_resnet", depth=int(depth), order="original", shortcut="A", skip=True)
    config.optim = dict(name="sgd", momentum=0.9, nesterov=False, weight_decay=1e-4, decay="kernels")
    config.schedule = dict(
        name="step", unit="steps", length=64_000, drops=(32_000, 48_000), factor=0.1, learning_rate=0.1
    )
    if int(depth) >= 110:
        config.schedule.update(warmup=400, warmup_from=0.01, warmup_shape="constant")
    config.train = dict(batch_size=128, checkpoint_every=2_000)
    return config
