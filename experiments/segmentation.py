"""Long skips, short skips and an auxiliary head where pixels are labelled: mean IoU on canvases of digits.

    python -m resjax table experiments/segmentation.py                  digits, 32 x 32 pixels
    resjax prepare tfds:mnist
    python -m resjax table experiments/segmentation.py:mnist            MNIST, 64 x 64 pixels, 10,000 canvases

configs/canvas.py has the nets and the recipe. The plain U-Net lacks the concatenations, and so half of the
inputs of some convolutions; the plain FCN lacks the residual net's shortcuts.
"""

from resjax.table import Row, Table

ARGUMENTS = ("digits", "mnist")
PLAIN, BARE = {"model.skip": False}, {"heads": ()}
ROWS = {  # label: net, settings
    "U-Net": ("unet", {}),
    "U-Net, no skips": ("unet", PLAIN),
    "FCN, head": ("fcn", {}),
    "FCN": ("fcn", BARE),
    "FCN, no skips": ("fcn", {**BARE, **PLAIN}),
}


def get_table(data: str = "digits") -> Table:
    if data not in ARGUMENTS:
        raise ValueError(f"there are no canvases of '{data}'; there are {' and '.join(ARGUMENTS)}")
    rows = tuple(
        Row(
            label=label,
            config=f"../configs/canvas.py:{net}",
            overrides={**settings, "data.name": f"canvas:{data}"},
        )
        for label, (net, settings) in ROWS.items()
    )
    return Table(
        name="segmentation" + ("" if data == "digits" else f"_{data}"),
        title=f"Segmentation of canvases of {data}",
        rows=rows,
        seeds=(0, 1, 2),
        metric="test/iou",
        contrasts=(("U-Net", "U-Net, no skips"), ("FCN", "FCN, no skips"), ("FCN, head", "FCN")),
        note=NOTE,
    )


NOTE = (
    "Mean IoU over the 11 classes, of training too. Neither rate nor length was tuned: one rate, 0.1,"
    " serves both nets and their twins, 8 epochs. The U-Net has 482,619 parameters and its twin 434,235, for"
    " it reads no concatenated planes; those of the FCN are as many with shortcuts as without. The head is"
    " beside them: at equal length FCN with it costs more multiply-adds, which the column shows."
)
