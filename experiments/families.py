"""Families of nets with their plain twins: small ones on CIFAR-10 and digits, and the nets that papers print.

    python -m resjax table experiments/families.py             half an epoch of CIFAR-10 each: shortened runs
    python -m resjax table experiments/families.py:digits      variants and smaller families, on digits
    python -m resjax table experiments/families.py:published   Wide ResNet, ResNeXt, DenseNet at full length

The first table is of nets that one CPU core trains in two to six minutes, 10 to 22 layers. It has one cycle
of the learning rate in place of the recipes' drops, at the peak of each family's config. Nets without norm
are all in the recipe of ResNet-20 at half of its rate, so that norm and initial values are not changed
together. The second has the rest, seconds a run: all but the mixer in the recipe of configs/digits.py. No
setting was tuned. Both show that each family trains and what its skips do at that length, and say nothing
about the families side by side, whose nets differ in size. The third has the recipes of configs/ as they are.
"""

from resjax.table import Published, Row, Table

ARGUMENTS = ("short", "digits", "published")
SEEDS = (0, 1, 2)
ONE_CYCLE = {"schedule.name": "one_cycle", "schedule.unit": "epochs", "schedule.length": 0.5}
PLAIN = {"model.skip": False}
RESNET, DIGITS = "cifar10_resnet.py:20", "digits.py:44"
NO_NORM = {"model.norm": "none", "schedule.learning_rate": 0.05}
NORMLESS_DENSE = {**PLAIN, "model.norm": "none", "schedule.learning_rate": 0.005}  # of configs/shattered.py
SCALAR = {"model.branch_scale": 0.0, "model.learned_scale": "scalar"}
CHANNELS = {"model.branch_scale": 0.1, "model.learned_scale": "channels"}
FAMILIES = {
    "ResNet-20": (RESNET, {}),
    "Wide ResNet-10-2": ("wide_resnet.py", {"model.depth": 10, "model.widen": 2}),
    "ResNeXt-20, 4x4d": (
        "resnext.py",
        {"model.depth": 20, "model.cardinality": 4, "model.group_width": 4, "model.width": 16},
    ),
    "DenseNet-BC-22-12": ("densenet.py", {"model.depth": 22}),
}
NORMLESS = {
    "ResNet-20, no norm": {},
    "ResNet-20, SkipInit, no norm": SCALAR,
    "ResNet-20, Fixup, no norm": {"model.name": "fixup_resnet"},
}
CONV = {"model.name": "cifar_resnet", "model.depth": 20, "model.width": 16}
WIDE = {"model.name": "wide_resnet", "model.depth": 10, "model.widen": 2}
HIGHWAY = {"model.name": "highway", "model.norm": "none", "model.width": 16}
ON_DIGITS = {  # panel: {label: (settings, label of the control)}
    "fully connected": {
        "dense-44": ({}, "dense-44, plain"),
        "dense-44, plain": (PLAIN, ""),
        "dense-44, plain, looks-linear": ({**PLAIN, "model.looks_linear": True}, "dense-44, plain"),
        "dense-44, plain, no norm": (NORMLESS_DENSE, ""),
        "dense-44, plain, no norm, looks-linear": (
            {**NORMLESS_DENSE, "model.looks_linear": True},
            "dense-44, plain, no norm",
        ),
    },
    "gates": {
        "highway, 8 units": (HIGHWAY, "highway, plain, 23 wide"),
        "highway, plain": ({**HIGHWAY, **PLAIN}, ""),
        "highway, plain, 23 wide": ({**HIGHWAY, **PLAIN, "model.width": 23}, ""),
    },
    "branches": {
        "ResNet-20": (CONV, "plain-20"),
        "plain-20": ({**CONV, **PLAIN}, ""),
        "squeeze-and-excitation": ({**CONV, "model.excitation": 4}, "ResNet-20"),
        "stochastic depth": ({**CONV, "model.survival": 0.5}, "ResNet-20"),
        "ReZero": ({**CONV, **SCALAR}, "ResNet-20"),
        "LayerScale": ({**CONV, **CHANNELS}, "ResNet-20"),
    },
    "shortcuts": {
        "shortcut times 0.5": ({**CONV, "model.shortcut_scale": 0.5}, "ResNet-20"),
        "shortcut and branch times 0.5": (
            {**CONV, "model.shortcut_scale": 0.5, "model.branch_scale": 0.5},
            "ResNet-20",
        ),
        "exclusive gate": ({**CONV, "model.gate": "exclusive", "model.gate_bias": -6.0}, "ResNet-20"),
        "gate on the shortcut": ({**CONV, "model.gate": "shortcut", "model.gate_bias": -6.0}, "ResNet-20"),
        "1 x 1 convolutions": ({**CONV, "model.shortcut": "C"}, "ResNet-20"),
        "dropout on the shortcut": ({**CONV, "model.shortcut_dropout": 0.5}, "ResNet-20"),
    },
    "orders": {
        "norm after addition": ({**CONV, "model.order": "norm_after_addition"}, "ResNet-20"),
        "ReLU before addition": ({**CONV, "model.order": "relu_before_addition"}, "ResNet-20"),
        "ReLU pre-activation": ({**CONV, "model.order": "relu_preactivation"}, "ResNet-20"),
        "pre-activation": ({**CONV, "model.order": "preactivation"}, "ResNet-20"),
    },
    "Wide ResNet": {
        "Wide ResNet-10-2": (WIDE, "Wide ResNet-10-2, plain"),
        "Wide ResNet-10-2, plain": ({**WIDE, **PLAIN}, ""),
        "Wide ResNet-10-2, dropout": ({**WIDE, "model.dropout": 0.3}, "Wide ResNet-10-2"),
    },
}
ZAGORUYKO = "Zagoruyko and Komodakis 2016 (1605.07146), table 5"
XIE = "Xie et al. 2017 (1611.05431), section 5.3"
HUANG = "Huang et al. 2017 (1608.06993), as the authors' README has them"
MEDIANS = {
    "16-4": 5.02, "16-4,dropout": 5.24, "40-4": 4.53, "16-8": 4.27, "28-10": 4.00, "28-10,dropout": 3.89,
}  # fmt: skip
MEANS = {"8x64d": 3.65, "16x64d": 3.58}
UNSTATED = {
    "40-12": 5.24, "100-12": 4.10, "100-24": 3.74, "bc-100-12": 4.51, "bc-250-24": 3.62, "bc-190-40": 3.46,
}  # fmt: skip


def short(label: str, config: str, overrides: dict, panel: str) -> Row:
    return Row(label=label, config=f"../configs/{config}", overrides={**overrides, **ONE_CYCLE}, panel=panel)


def short_table() -> Table:
    rows, pairs = [], []
    for label, (config, overrides) in FAMILIES.items():
        plain = f"{label}, plain"
        rows.append(short(label, config, overrides, "residual"))
        rows.append(short(plain, config, {**overrides, **PLAIN}, "plain"))
        pairs.append((label, plain))
    control, *begun = NORMLESS
    rows += [short(label, RESNET, {**NO_NORM, **extra}, "no norm") for label, extra in NORMLESS.items()]
    pairs += [(label, control) for label in begun]
    return Table(
        name="families",
        title="Families of nets, half an epoch of CIFAR-10",
        rows=tuple(rows),
        seeds=SEEDS,
        contrasts=tuple(pairs),
        note=SHORT_NOTE,
    )


def digits_table() -> Table:
    mixed = "Mixer, 8 blocks"
    twin = f"{mixed}, plain"
    rows = [on_digits(mixed, "mixer.py", {}, "tokens"), on_digits(twin, "mixer.py", PLAIN, "tokens")]
    pairs = [(mixed, twin)]
    for panel, nets in ON_DIGITS.items():
        rows += [on_digits(label, DIGITS, settings, panel) for label, (settings, _) in nets.items()]
        pairs += [(label, control) for label, (_, control) in nets.items() if control]
    return Table(
        name="families_digits",
        title="Variants of residual nets, and smaller families, on digits",
        rows=tuple(rows),
        seeds=SEEDS,
        contrasts=tuple(pairs),
        note=DIGITS_NOTE,
    )


def on_digits(label: str, config: str, overrides: dict, panel: str) -> Row:
    return Row(label=label, config=f"../configs/{config}", overrides=overrides, panel=panel)


def published_table() -> Table:
    wide = [
        row(
            "Wide ResNet",
            "wide_resnet",
            net,
            Published(value=error, statistic="median", runs=5, source=ZAGORUYKO),
        )
        for net, error in MEDIANS.items()
    ]
    grouped = [
        row("ResNeXt-29", "resnext", net, Published(value=error, statistic="mean", runs=10, source=XIE))
        for net, error in MEANS.items()
    ]
    dense = [
        row("DenseNet", "densenet", net, Published(value=error, source=HUANG))
        for net, error in UNSTATED.items()
    ]
    return Table(
        name="families_published",
        title="Wide ResNet, ResNeXt and DenseNet on CIFAR-10",
        rows=(*wide, *grouped, *dense),
        seeds=(0, 1, 2, 3, 4),
        report="error",
        contrasts=tuple((f"Wide ResNet {net},dropout", f"Wide ResNet {net}") for net in ("16-4", "28-10")),
        note=NOTE,
    )


def row(family: str, config: str, net: str, published: Published) -> Row:
    return Row(
        label=f"{family} {net}", config=f"../configs/{config}.py:{net}", panel=family, published=published
    )


def get_table(which: str = "short") -> Table:
    tables = {"short": short_table, "digits": digits_table, "published": published_table}
    if which not in tables:
        raise ValueError(f"there is no table '{which}'; there are {', '.join(tables)}")
    return tables[which]()


NOTE = (
    "All of the train set is used, and the last step reported. The wide nets' numbers are medians of five"
    " runs, ResNeXt's means of ten; of how many runs DenseNet's are is not stated. What was chosen where the"
    " papers are silent stands in configs/wide_resnet.py, configs/resnext.py and configs/densenet.py."
)
SHORT_NOTE = (
    "Shortened runs, of half an epoch: one cycle of the learning rate in place of each recipe's drops. No"
    " setting was tuned. They say nothing about nets at full length, or one family beside another. Twins"
    " differ in size too where there are projections or concatenated inputs. Parameters with skips and"
    " without: ResNet-20 269,722 and as many; Wide ResNet-10-2 303,706 and 292,954; ResNeXt-20 147,802 and"
    " 104,922; DenseNet-BC-22-12 71,686 and 53,914. Nets without norm have the recipe of ResNet-20, but for"
    " the rate, 0.05 in place of 0.1, and 269,034 parameters, SkipInit 9 more, Fixup, which has a number"
    " where others have biases, 268,393."
)
DIGITS_NOTE = (
    "30 epochs in the recipe of configs/digits.py, whose rate, 0.02, was chosen for the dense nets with"
    " norm alone; those without have 0.005, as in configs/shattered.py. The mixer has the recipe of"
    " configs/mixer.py. No other setting was tuned. One of the 360 test images is 0.28 points. These small"
    " nets say nothing about larger ones, or one family beside another. Parameters, where a net and its"
    " control differ: highway 37,450, plain 18,890 and 23 wide 38,742; ResNet-20 269,434, with gates"
    " 283,338, 1 x 1 convolutions 283,674, squeeze-and-excitation 277,918, ReZero 269,443, LayerScale"
    " 269,770; Wide ResNet-10-2 303,418, plain 292,666."
)
