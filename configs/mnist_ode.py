"""Residual units, Euler steps of one shared block, or an adaptive solver of its equation, on MNIST.

    resjax prepare tfds:mnist
    resjax train --config configs/mnist_ode.py --workdir runs/units             six residual units, 0.60M
    resjax train --config configs/mnist_ode.py:euler --workdir runs/euler       six steps of one block, 0.23M
    python -m pip install -e '.[ode]'
    resjax train --config configs/mnist_ode.py:dopri5 --workdir runs/rk         the equation itself, 0.23M
    resjax train --config configs/mnist_ode.py:dopri5 --workdir runs/ode --config.model.adjoint=backsolve

Chen et al. 2018 (1806.07366), table 1: ResNet 0.41 % error with 0.60M parameters; with 0.22M, RK-Net, whose
gradients are those of the solver's steps, 0.47 %, and ODE-Net, by the adjoint equation, 0.42 %. How many runs
is not said. Steps are chosen for the whole batch, so that an image's logits depend slightly on the others.
The recipe is that of its authors' example: group norm (theirs has 32 groups, two channels each; here groups
have eight), momentum 0.9, rate 0.1, divided by ten at epochs 60, 100 and 140 of 160, batches of 128, crops of
images padded by four, no decay. Weights begin by He et al.'s rule; the example leaves its framework's, whose
are smaller. The example reports the best epoch on test; whether table 1 does is not said.

On two CPU cores that is days; experiments/neural_ode.py:short has a third of an epoch.
"""

from ml_collections import ConfigDict

SOLVERS = ("units", "euler", "dopri5")


def get_config(solver: str = "units") -> ConfigDict:
    if solver not in SOLVERS:
        raise ValueError(f"there is no solver '{solver}'; there are {', '.join(SOLVERS)}")
    config = ConfigDict()
    config.data = dict(name="tfds:mnist")
    config.input = dict(normalize="unit", pad=4)
    config.model = dict(name="ode_net", norm="group", solver=solver)
    config.optim = dict(name="sgd", momentum=0.9)
    config.schedule = dict(name="step", length=160, learning_rate=0.1, drops=(60.0, 100.0, 140.0))
    config.train = dict(batch_size=128)
    return config
