"""Long skips, short skips and an auxiliary head where pixels are labelled: mean IoU on canvases of digits.

    python -m resjax table experiments/segmentation.py:rates            rates, on 400 held-out canvases
    python -m resjax table experiments/segmentation.py                  digits, 32 x 32 pixels
    resjax prepare tfds:mnist
    python -m resjax table experiments/segmentation.py:mnist            MNIST, 64 x 64 pixels, 10,000 canvases

configs/canvas.py has the nets and the recipe. The plain U-Net lacks the concatenations, and so half of the
inputs of some convolutions; the plain FCN lacks the residual net's shortcuts. One rate need not suit all:
`:rates` tries each arm with three, for four epochs of the ten, and what it says stands in CHOSEN.
"""

from resjax.table import Row, Table

ARGUMENTS = ("digits", "mnist", "rates")
PLAIN, BARE = {"model.skip": False}, {"heads": ()}
ARMS = {  # label: net, settings
    "U-Net": ("unet", {}),
    "U-Net, no skips": ("unet", PLAIN),
    "FCN, head": ("fcn", {}),
    "FCN": ("fcn", BARE),
    "FCN, no skips": ("fcn", {**BARE, **PLAIN}),
}
RATES = (0.003, 0.01, 0.03)
HELD_OUT = {"data.holdout": 400, "schedule.length": 4}
CHOSEN = {  # best of RATES in the records of `:rates`
    "U-Net": 0.01, "U-Net, no skips": 0.01, "FCN, head": 0.03, "FCN": 0.03, "FCN, no skips": 0.03,
}  # fmt: skip


def get_table(which: str = "digits") -> Table:
    if which not in ARGUMENTS:
        raise ValueError(f"there is no table of '{which}'; there are {', '.join(ARGUMENTS)}")
    return rates_table() if which == "rates" else main_table(which)


def rates_table() -> Table:
    rows = tuple(
        row(f"{arm}, rate {rate}", arm, rate, HELD_OUT, line=arm, x=rate) for arm in ARMS for rate in RATES
    )
    return Table(
        name="segmentation_rates",
        title="Learning rates for segmentation of canvases, four epochs: mean IoU on held-out canvases",
        rows=rows,
        seeds=(0, 1),
        metric="validation/iou",
        x_label="peak learning rate",
        x_log=True,
    )


def main_table(data: str) -> Table:
    rows = tuple(row(arm, arm, rate, {"data.name": f"canvas:{data}"}) for arm, rate in CHOSEN.items())
    return Table(
        name="segmentation" + ("" if data == "digits" else f"_{data}"),
        title=f"Segmentation of canvases of {data}",
        rows=rows,
        seeds=(0, 1, 2),
        metric="test/iou",
        contrasts=(("U-Net", "U-Net, no skips"), ("FCN", "FCN, no skips"), ("FCN, head", "FCN")),
        note=NOTE if data == "digits" else f"{NOTE} {LARGER}",
    )


def row(label: str, arm: str, rate: float, more: dict, **rest) -> Row:
    net, settings = ARMS[arm]
    overrides = {**settings, **more, "schedule.learning_rate": rate}
    return Row(label=label, config=f"../configs/canvas.py:{net}", overrides=overrides, **rest)


NOTE = (
    "Mean IoU over the 11 classes, of training too. Each arm's learning rate is the best of three by mean IoU"
    " on 400 held-out canvases, in four epochs of the ten: experiments/segmentation.py:rates. The FCN's,"
    " 0.03, is the greatest that was tried. No other setting was chosen for an arm. The U-Net has 482,619"
    " parameters and its twin 434,235, for it reads no concatenated planes; those of the FCN are as many with"
    " shortcuts as without. The head is beside them: at equal length FCN with it costs more multiply-adds,"
    " which the column shows."
)
LARGER = "The rates were not chosen for these canvases."
