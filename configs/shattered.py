"""Dense nets of 50 layers, 200 wide, whose gradients are shattered or not: Balduzzi et al. 2017 (1702.08591).

    resjax train --config configs/shattered.py:looks_linear --workdir runs/looks_linear
    resjax probe shattered --compare plain=configs/shattered.py:plain residual=configs/shattered.py:residual \
        beta0.1=configs/shattered.py:beta0.1

Arms: `plain`; `residual`, whose branches are multiplied by beta = 1, and `beta0.1`; each of the three with
batch norm where its name ends in `_norm`; and `looks_linear`, plain with mirrored weights, which stays a
straight line before training. The probe takes each arm's model for a net from one number to one number.
Width, number of inputs and He et al.'s initial values are the paper's, sections 1 to 3, figures 1 and 2. Its
residual modules are x + beta W relu(norm(x)) with one layer; the nearest here are pre-activation units,
which have two. Depth 50 is that of its deepest nets. Digits are the data, for paths between images and for
those who train an arm; the learning rate is not tuned. Biases are drawn where there is no norm: with zeros
the net of one number is two straight lines that meet at 0.
"""

from ml_collections import ConfigDict

ARMS = ("plain", "residual", "beta0.1", "plain_norm", "residual_norm", "beta0.1_norm", "looks_linear")


def get_config(arm: str = "plain") -> ConfigDict:
    if arm not in ARMS:
        raise ValueError(f"there is no arm '{arm}'; choose from {', '.join(ARMS)}")
    kind = arm.removesuffix("_norm")
    config = ConfigDict()
    config.data = dict(name="digits")
    config.input = dict(normalize="pixel_mean_scalar_std")
    config.model = dict(
        name="residual_mlp",
        depth=50,
        width=200,
        order="preactivation",
        init="he_fan_out",  # variance 2 / 200, of the first layer too, as of its biases
        norm="batch" if arm.endswith("_norm") else "none",
        skip=kind in ("residual", "beta0.1"),
        branch_scale=0.1 if kind == "beta0.1" else 1.0,
        looks_linear=kind == "looks_linear",
        bias_std=0.1 if arm in ("plain", "residual", "beta0.1") else 0.0,  # sqrt(2 / 200), as the weights
    )
    config.optim = dict(name="sgd", momentum=0.9, weight_decay=1e-4)
    config.schedule = dict(name="cosine", length=30, learning_rate=0.005)
    config.train = dict(batch_size=64, eval_every=5, steps_per_dispatch=20)
    return config
