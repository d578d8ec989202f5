"""configs/cifar10_resnet.py with what the benchmarks `heads` and `depth` compare."""

from ml_collections import ConfigDict

from configs import cifar10_resnet

UNITS = tuple(f"stage{stage}_block{number}" for stage in (1, 2, 3) for number in (1, 2, 3))
CONV = tuple(
    dict(name=f"at_{endpoint}", endpoint=endpoint, form="conv", filters=16, hidden=64)
    for endpoint in ("stage2_block1", "stage3_block1")
)
HEADS = {
    "none": (),
    "linear": tuple(dict(name=f"at_{endpoint}", endpoint=endpoint) for endpoint in UNITS),
    "conv": CONV,
    "discarded": tuple(dict(head, discard_at=1) for head in CONV),
}
DEEP = 56
SETTINGS = {
    "unrolled": dict(scan_from=1000),
    "scanned": dict(scan_from=2),
    "norms": dict(remat="norms"),
    "units": dict(remat="units"),
}


def get_config(name: str = "none") -> ConfigDict:
    config = cifar10_resnet.get_config(str(DEEP if name in SETTINGS else 20))
    config.heads = HEADS.get(name, ())
    config.update(train=SETTINGS.get(name, {}))
    return config
