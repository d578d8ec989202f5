"""Hints: a thin deep net on MNIST taught by a wider, shallower one: Romero et al. 2015 (1412.6550), FitNets.

    resjax train --config configs/mnist_resnet.py --workdir runs/teacher --config.model.width=32
    resjax train --config configs/hints_mnist.py --workdir runs/student
    resjax train --config configs/hints_mnist.py:32 --workdir runs/student32p --config.model.skip=False
    resjax train --config configs/hints_mnist.py:20,outputs --workdir runs/distilled     without hints
    resjax train --config configs/hints_mnist.py:20,labels --workdir runs/labels         without a teacher

First the teacher, 8 layers and 32 wide, then a student of 20 layers (or the depth given) and 5 wide. The
phase `hint` trains the student up to its middle block: a convolution of what that puts out is to give the
teacher's middle activations. The last phase trains the whole student by the labels and by the teacher's
softened outputs. A teacher elsewhere: --config.teacher.run=FOLDER, one that was trained on the same
inputs; of another depth: --config.phases[0].heads[0].teacher_endpoint=...

Published test error, one thin deep net of 30K parameters: 1.9 % with labels alone, 0.65 with the teacher's
outputs, 0.51 with hints before them; the teacher, of 361K parameters, 0.55. Here the student has 27K
parameters, the teacher 297K.

What is the paper's, and what had to be chosen:

- The losses: the squared difference of the activations, here their mean; then that of labels plus 4 times
  the cross-entropy to the teacher's outputs at temperature 3. The 4 falls linearly to 1 in the paper, and
  to 0 in its released code and here.
- The nets are this project's own residual ones, not maxout without shortcuts; plain ones with skip=False.
  The hint goes from the middle of the teacher's blocks to the middle of the student's; in the paper from
  the second of its layers to the fourth of the student's six.
- SGD, one cycle of the learning rate and few epochs, as in configs/mnist_resnet.py, where the paper has
  RMSprop with a rate of 0.0005 until validation error has not fallen for 100 epochs. Not tuned.

Run at full length here: experiments/fitnets.py, whose page has the numbers, and of how many seeds.
"""

from ml_collections import ConfigDict

TAUGHT = ("outputs", "labels")  # by what else than hints, outputs and labels


def get_config(arg: str = "20") -> ConfigDict:
    depth, _, taught = arg.partition(",")
    if not depth.isdigit() or taught not in ("", *TAUGHT):
        raise ValueError(f"'{arg}' is not a depth, alone or with one of {', '.join(TAUGHT)}")
    config = ConfigDict()
    config.data = dict(name="tfds:mnist")
    config.input = dict(normalize="channel_mean_std", pad=2)
    config.model = dict(name="cifar_resnet", depth=int(depth), width=5, skip=True)
    config.optim = dict(name="sgd", momentum=0.9, nesterov=True, weight_decay=5e-4)
    if taught != "labels":
        config.teacher = dict(run="runs/teacher")
        config.heads = (softened_outputs(),)
    if not taught:
        config.phases = (hint(f"stage2_block{middle(int(depth))}"),)
    config.schedule = dict(name="one_cycle", length=3, learning_rate=0.1)
    config.train = dict(batch_size=128)
    return config


def middle(depth):
    """-> number of the middle one of a stage's (depth - 2) / 6 blocks."""
    return max(1, ((depth - 2) // 6 + 1) // 2)


def hint(endpoint):
    head = dict(name="hint", endpoint=endpoint, form="conv_regressor", weight=1.0)
    from_teacher = dict(target="teacher", teacher_endpoint="stage2_block1", loss="squared_error")
    return dict(
        name="hint",
        until=endpoint,
        heads=(head | from_teacher,),
        schedule=dict(name="one_cycle", length=2, learning_rate=0.1),
    )


def softened_outputs():
    head = dict(name="softened", endpoint="main", form="identity", weight=4.0, schedule="linear")
    return head | dict(target="teacher", teacher_endpoint="main", loss="distillation", temperature=3.0)
