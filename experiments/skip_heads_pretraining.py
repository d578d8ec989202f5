"""Skip connections, auxiliary heads and pretraining, alone and together, by depth: the full grid on digits.

    python -m resjax table experiments/skip_heads_pretraining.py               fully connected, digits
    python -m resjax table experiments/skip_heads_pretraining.py:mnist         fully connected, MNIST
    python -m resjax table experiments/skip_heads_pretraining.py:mnist_conv    convolutional, MNIST
    python -m resjax table experiments/skip_heads_pretraining.py:cifar10       convolutional, CIFAR-10

{plain, residual} x {no heads, heads} x {no pretraining, greedy supervised, denoising autoencoder} x depth x
five seeds, at equal budgets: configs/supervision.py says how. Cells are resumed where they stopped, and
several processes may share the work: start the same command twice.
"""

from resjax.table import Row, Table

TASKS = {
    "digits": ((8, 20, 32, 44), "digits, fully connected"),
    "mnist": ((8, 20, 32, 44), "MNIST, fully connected, 2 epochs"),
    "mnist_conv": ((8, 20, 32, 44), "MNIST, convolutional, 1 epoch"),
    "cifar10": ((20, 56, 110), "CIFAR-10, convolutional, 64k steps"),
}
ARGUMENTS = tuple(TASKS)
SKIPS = {"plain": False, "residual": True}
ARMS = ("none", "heads", "greedy", "heads,greedy", "denoising", "heads,denoising")


def rows(task: str, depths: tuple[int, ...], arms: tuple[str, ...] = ARMS) -> tuple[Row, ...]:
    return tuple(
        Row(
            label=label(skip, arm, depth),
            config=f"../configs/supervision.py:{task},{depth}" + ("" if arm == "none" else f",{arm}"),
            overrides={"model.skip": SKIPS[skip]},
            line=arm.replace(",", " + "),
            x=depth,
            panel=skip,
        )
        for depth in depths
        for skip in SKIPS
        for arm in arms
    )


def label(skip: str, arm: str, depth: int) -> str:
    return f"{skip} {depth}" + ("" if arm == "none" else f", {arm.replace(',', ' + ')}")


def contrasts(depths: tuple[int, ...], arms: tuple[str, ...] = ARMS) -> tuple[tuple[str, str], ...]:
    """Every arm against each arm that lacks one of its cures and is the same in the others."""
    found = []
    for depth in depths:
        for skip in SKIPS:
            for arm in arms:
                cures = [] if arm == "none" else arm.split(",")
                controls = [(skip, ",".join(set(cures) - {cure}) or "none") for cure in cures]
                controls += [("plain", arm)] if skip == "residual" else []
                found += [(label(skip, arm, depth), label(*control, depth)) for control in controls]
    return tuple(found)


def get_table(task: str = "digits") -> Table:
    if task not in TASKS:
        raise ValueError(f"there is no task '{task}'; tasks are {', '.join(TASKS)}")
    depths, what = TASKS[task]
    return Table(
        name="skip_heads_pretraining" + ("" if task == "digits" else f"_{task}"),
        title=f"Skip connections, heads and pretraining at equal budgets ({what})",
        rows=rows(task, depths),
        seeds=(0, 1, 2, 3, 4),
        x_label="layers",
        contrasts=contrasts(depths),
        note=(UNTUNED if task == "cifar10" else CHOSEN) + NOTE,
    )


CHOSEN = "Settings were chosen on a held-out slice of train (experiments/supervision_rates.py); the last step"
UNTUNED = (
    "Nets without heads and pretraining are those of experiments/he2015_table6.py, in its recipe. The"
    " weight of heads and the rates of pretraining were not tuned: configs/supervision.py says where they"
    " are from, and experiments/supervision_rates.py:cifar10 would choose them. The last step"
)
NOTE = (
    " is reported, not the best. Intervals are not corrected for their number: of every 20, one is expected"
    " to leave out a true difference of zero."
)
