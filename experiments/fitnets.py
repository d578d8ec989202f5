"""A thin student on MNIST by labels, by a teacher's outputs, with hints: Romero et al. 2015 (1412.6550).

    python -m resjax table experiments/fitnets.py

The teacher is the table's first row. All students learn from its seed 0, as that row's full run leaves it
in runs/fitnets: keep that folder, leave --workdir at its default, and start no second process before it is
there. A run of --budget below 1 has the full teacher too. The step is named, so that no unfinished teacher
teaches.

The nets are this project's own, students with shortcuts and without; those of the paper are of maxout
units, which are missing here, as are its CIFAR-10 rows, whose images are whitened. configs/hints_mnist.py
says what was chosen.
"""

from resjax.table import Published, Row, Table

TEACHER = {"teacher.run": "runs/fitnets/teacher/seed0", "teacher.checkpoint": "1406"}  # three epochs of 128
SOURCE = "Romero et al. 2015 (1412.6550), MNIST"
OTHER = "another net and recipe"  # of the paper
STAGES = (
    ("labels", "by labels", ",labels", 1.9),
    ("outputs", "by labels and outputs", ",outputs", 0.65),
    ("hints", "by hints, then labels and outputs", "", 0.51),
)


def student(line: str, stage: str, how: str, argument: str, error: float) -> Row:
    return Row(
        label=f"{line} student, {how}",
        config=f"../configs/hints_mnist.py:20{argument}",
        overrides={"model.skip": line == "residual"} | ({} if stage == "labels" else TEACHER),
        panel=line,
        published=Published(value=error, source=SOURCE, protocol=OTHER) if line == "plain" else None,
    )


def get_table() -> Table:
    teacher = Row(
        label="teacher",
        config="../configs/mnist_resnet.py:8",
        overrides={"model.width": 32},
        panel="residual",
        published=Published(value=0.55, source=SOURCE, protocol=OTHER),
    )
    students = {line: [student(line, *stage) for stage in STAGES] for line in ("plain", "residual")}
    pairs = [(rows[after], rows[before]) for rows in students.values() for after, before in ((1, 0), (2, 1))]
    pairs += zip(students["residual"], students["plain"], strict=True)
    return Table(
        name="fitnets",
        title="Hints and a teacher's outputs for a thin net of 20 layers, MNIST (Romero et al. 2015)",
        rows=(teacher, *students["plain"], *students["residual"]),
        seeds=(0, 1, 2, 3, 4),
        report="error",
        tolerance=0.1,
        contrasts=tuple((arm.label, control.label) for arm, control in pairs),
        note=NOTE,
    )


NOTE = (
    "Other nets in another recipe than the paper's, so its numbers are the order to expect, not a target:"
    " maxout without shortcuts there, trained by RMSprop for up to 500 epochs; here 3 epochs of SGD, and 2"
    " more for hints. All students have one teacher, so their spread leaves out that of teachers. Five seeds"
    " of a student differ in its own initial values and data order. The paper's CIFAR-10 accuracies are not"
    " tried here: teacher 90.18, four students with hints 89.01, 91.06, 91.10 and 91.61 %; nor is what it"
    " finds to fail: a first half that is pretrained by labels, and companions on every layer (88.2 %)."
)
