"""Recurrent nets on MNIST, one row, or one pixel, of an image a step; with skips through time, or without.

    resjax prepare tfds:mnist
    resjax train --config configs/mnist_recurrent.py --workdir runs/rows               28 steps of 28 numbers
    resjax train --config configs/mnist_recurrent.py:pixels --workdir runs/pixels      784 steps of one number
    resjax probe through-time --workdir runs/rows

`--config.model.delay=5` adds to a net of tanh units the connections from step t to t + 5 of Zhang et al. 2016
(1602.08210), section 5; `--config.model.cell=lstm` or `gru` is one with gates. They read pixels; their width,
rate and number of epochs are not known here. Ours are common ones. One rate need not suit tanh units, LSTM
and GRU alike: experiments/skips_through_time.py:rates tries four with each, by rows, on held-out images.
"""

from ml_collections import ConfigDict

LENGTHS = {"rows": 5, "pixels": 20}  # epochs


def get_config(reads: str = "rows") -> ConfigDict:
    if reads not in LENGTHS:
        raise ValueError(f"the steps cannot be '{reads}'; they can be {' or '.join(LENGTHS)}")
    config = ConfigDict()
    config.data = dict(name="tfds:mnist")
    config.input = dict(normalize="channel_mean_std")
    config.model = dict(name="recurrent", norm="none", init="glorot", cell="tanh", width=128, reads=reads)
    config.optim = dict(name="adam", clip_norm=1.0)
    config.schedule = dict(name="cosine", length=LENGTHS[reads], learning_rate=1e-3)
    config.train = dict(batch_size=128, eval_every=LENGTHS[reads] / 5)
    return config
