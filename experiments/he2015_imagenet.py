"""Plain and residual nets on ImageNet: He et al. 2015 (1512.03385), tables 2 and 3.

    python -m resjax table experiments/he2015_imagenet.py        224 pixels, as the paper
    python -m resjax table experiments/he2015_imagenet.py:64     64 pixels

For those who have the data, prepared as tfds:imagenet2012, and days: one seed. Images are decoded once, to
187 GiB of the cache's disk, or 15 GiB at 64 pixels, and read from there. What else differs from the paper,
configs/imagenet_resnet.py says.

The paper prints ten-crop errors, here there is one centre crop. Where single-crop numbers of the same nets
are known they stand instead: of 50 layers and more the released models of the paper's authors, of 18 and 34
layers with option B the retraining by fb.resnet.torch, which has 24.01 / 22.44 / 22.16 for the deeper
three.
"""

from resjax.table import Published, Row, Table

PAPER = "He et al. 2015 (1512.03385), tables 2 and 3"
RELEASED = "KaimingHe/deep-residual-networks, one crop"
RETRAINED = "fb.resnet.torch, one crop"
NETS = (
    ("plain", 18, 27.94, PAPER),
    ("A", 18, 27.88, PAPER),
    ("B", 18, 30.43, RETRAINED),
    ("plain", 34, 28.54, PAPER),
    ("A", 34, 25.03, PAPER),
    ("B", 34, 26.73, RETRAINED),
    ("C", 34, 24.19, PAPER),
    ("B", 50, 24.7, RELEASED),
    ("B", 101, 23.6, RELEASED),
    ("B", 152, 23.0, RELEASED),
)
ARGUMENTS = ("224", "64")


def row(pixels: str, kind: str, depth: int, error: float, source: str) -> Row:
    net = {"model.skip": False} if kind == "plain" else {"model.shortcut": kind}
    crops = "10 crops" if source == PAPER else ""  # else one, as here
    stride = {"model.stride_in": "1x1"} if depth >= 50 else {}
    return Row(
        label=label(kind, depth),
        config=f"../configs/imagenet_resnet.py:{depth}",
        overrides={**net, **stride, "data.image_size": int(pixels)},
        line="plain" if kind == "plain" else f"residual, option {kind}",
        x=depth,
        published=Published(value=error, source=source, protocol=crops) if pixels == "224" else None,
    )


def label(kind: str, depth: int) -> str:
    return f"plain-{depth}" if kind == "plain" else f"ResNet-{depth}, {kind}"


def get_table(pixels: str = "224") -> Table:
    if pixels not in ARGUMENTS:
        raise ValueError(f"there is no table at '{pixels}' pixels; there are {', '.join(ARGUMENTS)}")
    return Table(
        name="he2015_imagenet" + ("" if pixels == "224" else f"_{pixels}"),
        title=f"ImageNet at {pixels} pixels, top-1 (He et al. 2015, tables 2 and 3)",
        rows=tuple(row(pixels, *net) for net in NETS),
        seeds=(0,),
        report="error",
        x_label="layers",
        contrasts=tuple((label("A", depth), label("plain", depth)) for depth in (18, 34)),
        note=NOTE,
    )


NOTE = (
    "Ours is top-1 error of one centre crop, on the validation images. Numbers from the paper are of ten"
    " crops, about two points lower, and no fair match: they are those of all plain nets and of options A"
    " and C. The paper's option B with 34 layers has 24.52 with ten crops, and 50 / 101 / 152 layers have"
    " 22.85 / 21.75 / 21.43. Its top-5 errors have no column, for evaluation counts top-1. Crops of random"
    " size and changed colours are missing here."
)
