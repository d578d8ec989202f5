"""Where layer norm stands, and whether the learning rate warms up: transformers on digits.

    python -m resjax table experiments/layer_norm_place.py

Xiong et al. 2020 (2002.04745): with the norm behind each addition (post-LN) a transformer needs a warm-up,
with the norm before each branch (pre-LN) it does not. Theirs translate; these read digits, 12 blocks deep.
Beside them stand their plain twins, without shortcuts.
"""

from resjax.table import Row, Table

NETS = {  # label: settings
    "pre-LN": {"model.placement": "pre"},
    "post-LN": {"model.placement": "post"},
    "pre-LN, no skips": {"model.placement": "pre", "model.skip": False},
    "post-LN, no skips": {"model.placement": "post", "model.skip": False},
}
WARMUPS = {"no warm-up": 0.0, "warm-up": 5.0}  # epochs of 30


def get_table() -> Table:
    rows = tuple(
        Row(
            label=f"{net}, {warming}",
            config="../configs/vit.py:digits",
            overrides=settings | {"schedule.warmup": epochs},
        )
        for net, settings in NETS.items()
        for warming, epochs in WARMUPS.items()
    )
    return Table(
        name="layer_norm_place",
        title="Layer norm before or behind the addition, with and without warm-up, on digits",
        rows=rows,
        seeds=(0, 1, 2),
        contrasts=tuple((f"{net}, warm-up", f"{net}, no warm-up") for net in NETS),
    )
