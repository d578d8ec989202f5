"""Where layer norm stands, and whether the learning rate warms up: transformers on digits, by learning rate.

    python -m resjax table experiments/layer_norm_place.py

Xiong et al. 2020 (2002.04745): with the norm behind each addition (post-LN) a transformer needs a warm-up,
with the norm before each branch (pre-LN) it does not. Theirs translate; these read digits, 12 blocks deep.
Whether a net fails without a warm-up depends on the rate, so each is tried with four. Beside pre-LN stands
its plain twin, without shortcuts or warm-up; that of post-LN is left out: without the addition the norm
behind one function is the norm before the next, so that it is almost the same net.
"""

from resjax.table import Row, Table

RATES = (0.0003, 0.001, 0.003, 0.01)
EPOCHS, WARMUP = 12, 2
ARMS = {  # label: placement, skips, epochs of warm-up
    "pre-LN": ("pre", True, 0),
    "pre-LN, warm-up": ("pre", True, WARMUP),
    "post-LN": ("post", True, 0),
    "post-LN, warm-up": ("post", True, WARMUP),
    "pre-LN, no skips": ("pre", False, 0),
}
PAIRS = (
    ("post-LN, warm-up", "post-LN"),
    ("pre-LN, warm-up", "pre-LN"),
    ("pre-LN", "post-LN"),
    ("pre-LN", "pre-LN, no skips"),
)


def get_table() -> Table:
    return Table(
        name="layer_norm_place",
        title="Layer norm before or behind the addition, with and without warm-up, on digits",
        rows=tuple(row(arm, rate) for rate in RATES for arm in ARMS),
        seeds=(0, 1, 2),
        x_label="peak learning rate",
        x_log=True,
        contrasts=tuple((at(arm, rate), at(control, rate)) for rate in RATES for arm, control in PAIRS),
        note=NOTE,
    )


def row(arm: str, rate: float) -> Row:
    placement, skip, warmup = ARMS[arm]
    overrides = {"model.placement": placement, "model.skip": skip, "schedule.length": EPOCHS}
    return Row(
        label=at(arm, rate),
        config="../configs/vit.py:digits",
        overrides={**overrides, "schedule.learning_rate": rate, "schedule.warmup": warmup},
        line=arm,
        x=rate,
    )


def at(arm: str, rate: float) -> str:
    return f"{arm}, rate {rate}"


NOTE = (
    "No rate was chosen: all that were tried are shown. The paper's own comparison is pre-LN with post-LN,"
    " both without a warm-up. 12 epochs of Adam, two of them the warm-up where there is one, from 0 to the"
    " peak; the cosine counts from step 0 all the same, so that behind a warm-up the rate goes on at 0.93 of"
    " the peak."
)
