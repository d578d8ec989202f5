"""ResNet-18 on MNIST by the recipes of two tutorials, and its plain twin.

    python -m resjax table experiments/mnist_resnet18.py

configs/mnist_resnet18.py has both recipes, and says in what little they differ from the tutorials'.
"""

from resjax.table import Published, Row, Table

RASCHKA = "rasbt/deeplearning-models, cnn-resnet18-mnist"
ZABLOCKI = "marrrcin/pytorch-resnet-mnist"
RECIPES = {
    "adam": ("10 epochs of Adam", Published(value=99.06, statistic="one run", source=RASCHKA)),
    "rmsprop": ("1 epoch of RMSprop", Published(value=98.2, statistic="one run", source=ZABLOCKI)),
}


def row(recipe: str, skip: bool) -> Row:
    how, published = RECIPES[recipe]
    return Row(
        label=f"{'ResNet' if skip else 'plain'}-18, {how}",
        config=f"../configs/mnist_resnet18.py:{recipe}",
        overrides={"model.skip": skip},
        panel=how,
        published=published if skip else None,
    )


def get_table() -> Table:
    pairs = [(row(recipe, True), row(recipe, False)) for recipe in RECIPES]
    return Table(
        name="mnist_resnet18",
        title="ResNet-18 on MNIST by two tutorials' recipes",
        rows=tuple(each for pair in pairs for each in pair),
        seeds=(0, 1, 2, 3, 4),
        tolerance=0.2,
        contrasts=tuple((residual.label, plain.label) for residual, plain in pairs),
        note=NOTE,
    )


NOTE = (
    "Raw images of 28 x 28 pixels behind a stem made for 224: no augmentation, constant rates, the last"
    " step reported, as in the tutorials, which print one run each. A rate of 0.005 is high for RMSprop and"
    " one epoch short, so seeds spread widely there."
)
