"""Long skips, short skips and an auxiliary head where pixels are labelled: mean IoU on canvases of digits.

    python -m resjax table experiments/segmentation.py

configs/canvas.py has the nets and the recipe. The plain U-Net lacks the concatenations, and so half of the
inputs of some convolutions; the plain FCN lacks the residual net's shortcuts.
"""

from resjax.table import Row, Table


def get_table() -> Table:
    rows = (
        Row(label="U-Net", config="../configs/canvas.py:unet"),
        Row(label="U-Net, no skips", config="../configs/canvas.py:unet", overrides={"model.skip": False}),
        Row(label="FCN, head", config="../configs/canvas.py:fcn"),
        Row(label="FCN", config="../configs/canvas.py:fcn", overrides={"heads": ()}),
        Row(
            label="FCN, no skips",
            config="../configs/canvas.py:fcn",
            overrides={"heads": (), "model.skip": False},
        ),
    )
    return Table(
        name="segmentation",
        title="Segmentation of canvases of digits",
        rows=rows,
        seeds=(0, 1, 2),
        metric="test/iou",
        contrasts=(("U-Net", "U-Net, no skips"), ("FCN", "FCN, no skips"), ("FCN, head", "FCN")),
    )
