"""Families of nets on CIFAR-10: small ones with their plain twins, and the nets that papers print.

    python -m resjax table experiments/families.py               three epochs of each: shortened runs
    python -m resjax table experiments/families.py:published     Wide ResNet, ResNeXt, DenseNet at full length

The short table is of nets that two CPU cores train in minutes, 10 to 22 layers. It has one cycle of the
learning rate in place of the recipes' drops, at the peak of each family's config; no setting was tuned. It
shows that each family trains and what its skips do at that length, and says nothing about the families side
by side, whose nets differ in size. The other table has the recipes of configs/ as they are.
"""

from resjax.table import Published, Row, Table

ARGUMENTS = ("short", "published")
ONE_CYCLE = {"schedule.name": "one_cycle", "schedule.unit": "epochs", "schedule.length": 3}
CIFAR10 = {"data.name": "tfds:cifar10"}
FAMILIES = {
    "Wide ResNet-10-2": ("wide_resnet.py", {"model.depth": 10, "model.widen": 2}),
    "ResNeXt-20, 4x4d": (
        "resnext.py",
        {"model.depth": 20, "model.cardinality": 4, "model.group_width": 4, "model.width": 16},
    ),
    "DenseNet-BC-22-12": ("densenet.py", {"model.depth": 22}),
    "highway, 8 units": ("highway.py", CIFAR10),
}
RESNET = "cifar10_resnet.py:20"
SCALAR = {"model.branch_scale": 0.0, "model.learned_scale": "scalar"}
VARIANTS = {
    "squeeze-and-excitation": (RESNET, {"model.excitation": 4}),
    "stochastic depth": (RESNET, {"model.survival": 0.5}),
    "ReZero": (RESNET, SCALAR),
    "LayerScale": (RESNET, {"model.branch_scale": 0.1, "model.learned_scale": "channels"}),
    "SkipInit, no norm": (RESNET, {"model.norm": "none", **SCALAR}),
    "Fixup, no norm": ("identity_start.py:fixup", {"model.depth": 20}),
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
    rows = [
        short("ResNet-20", RESNET, {}, "residual"),
        short("plain-20", RESNET, {"model.skip": False}, "plain"),
    ]
    pairs = [("ResNet-20", "plain-20")]
    for label, (config, overrides) in FAMILIES.items():
        rows.append(short(label, config, overrides, "residual"))
        rows.append(short(f"{label}, plain", config, {**overrides, "model.skip": False}, "plain"))
        pairs.append((label, f"{label}, plain"))
    for label, (config, overrides) in VARIANTS.items():
        rows.append(short(f"ResNet-20, {label}", config, overrides, "residual"))
        pairs.append((f"ResNet-20, {label}", "ResNet-20"))
    return Table(
        name="families",
        title="Families of nets, three epochs on CIFAR-10",
        rows=tuple(rows),
        seeds=(0, 1, 2),
        contrasts=tuple(pairs),
        note="Shortened runs: they say nothing about nets at full length, or one family beside another.",
    )


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
    tables = {"short": short_table, "published": published_table}
    if which not in tables:
        raise ValueError(f"there is no table '{which}'; there are {', '.join(tables)}")
    return tables[which]()


NOTE = (
    "All of the train set is used, and the last step reported. The wide nets' numbers are medians of five"
    " runs, ResNeXt's means of ten; of how many runs DenseNet's are is not stated. What was chosen where the"
    " papers are silent stands in configs/wide_resnet.py, configs/resnext.py and configs/densenet.py."
)
