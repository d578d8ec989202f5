"""The settings of the training loop."""

import dataclasses
from collections.abc import Sequence
from typing import Literal

from resjax import backend, checks, stacking
from resjax.losses import Loss
from resjax.models.trunk import Remat
from resjax.stacking import Chain

LONGEST = 50  # steps in one program
CPU_BUDGET = 2e10  # multiply-adds in one program on the CPU: between programs, a run can be stopped
SCAN_FROM = 32  # shorter chains compile in seconds, and run faster unrolled


@dataclasses.dataclass(frozen=True, kw_only=True)
class Loop:
    """Section `train` of a config.

    Attributes:
      batch_size: examples in a training step.
      accumulate: a step computes its batch in so many parts of one size, one after the other, and makes one
        update with the mean of their gradients: memory for activations is needed for one part, on a mesh
        for each device's share of it. Augmentation, order of the data and metrics are those of the whole
        batch. Batch norm takes its statistics of each part, and running statistics move once a step,
        towards the means over the parts: as with `model.norm_examples` = batch_size / accumulate, in which
        each part is one such group. Dropout, masking noise, stochastic depth and a head's `gamma` are of each
        part too. What is frozen, and a teacher, are computed of the whole batch.
      eval_batch_size: examples in an evaluation step; it changes no result.
      eval_mirrored: evaluation is of each image and its mirror image: logits are the means of the two, as
        in races to an accuracy (Page 2019, "How to Train Your ResNet", part 8).
      loss: of the main output.
      after: the endpoint behind which training begins: what lies before is frozen, as pretraining or
        another run left it, and computed as in evaluation. Empty: the whole net is trained.
      freeze: modules of the trunk that keep their parameters and statistics.
      normalize_weights: divide the weights of all outputs, the main one's 1 included, by their sum.
      label_smoothing: share of the target spread evenly over the classes.
      ema_decay: decay of the moving average of parameters and batch statistics that is evaluated; 0: none.
      log_every: steps between log lines, each with the means since the one before.
      eval_every: epochs between evaluations; the last step is always evaluated.
      checkpoint_every: steps between checkpoints; every evaluation of the last phase makes one too.
      steps_per_dispatch: training steps in one compiled program; 0 chooses: 50, and on the CPU as many, up
        to 50, as take about a second.
      scan_from: as many identical units in a row, or more, are compiled once and run in a loop; 0 chooses:
        32, and 2 with `remat`, which XLA:CPU undoes outside of loops. Parameters and checkpoints stay as
        they are.
      remat: what the backward pass computes anew, to save memory: `none`; `norms`, all but convolutions and
        dense layers; `units`, all of a unit but its input (Chen et al. 2016, 1604.06174).
      deterministic: on a GPU, a run gives the same bits each time, on one machine with one set of versions,
        as on CPUs and TPUs it does anyway. It takes slower kernels, and the fastest ones are not searched
        for; what that costs has not been measured here. By its documentation, XLA may refuse the gradient
        of max-pooling then. Of the programs of training and evaluation, not of features that are kept.
    """

    batch_size: int = 128
    accumulate: int = 1
    eval_batch_size: int = 500
    eval_mirrored: bool = False
    loss: Loss = "cross_entropy"
    after: str = ""
    freeze: tuple[str, ...] = ()
    normalize_weights: bool = False
    label_smoothing: float = 0.0
    ema_decay: float = 0.0
    log_every: int = 100
    eval_every: float = 1.0
    checkpoint_every: int = 1000
    steps_per_dispatch: int = 0
    scan_from: int = 0
    remat: Remat = "none"
    deterministic: bool = False

    def __post_init__(self) -> None:
        checks.at_least(1, batch_size=self.batch_size, eval_batch_size=self.eval_batch_size)
        checks.at_least(1, log_every=self.log_every, checkpoint_every=self.checkpoint_every)
        checks.at_least(0, steps_per_dispatch=self.steps_per_dispatch, scan_from=self.scan_from)
        checks.share(label_smoothing=self.label_smoothing, ema_decay=self.ema_decay)
        checks.positive(eval_every=self.eval_every)
        checks.at_least(1, accumulate=self.accumulate)
        if self.batch_size % self.accumulate:
            raise ValueError(
                f"accumulate is {self.accumulate}, but batch_size is {self.batch_size}; it must divide that"
            )

    def dispatch(self, multiply_adds: float) -> int:
        """-> how many steps one compiled program takes; `multiply_adds` are those of a step."""
        if self.steps_per_dispatch or backend.platform_of_programs() != "cpu":
            return self.steps_per_dispatch or LONGEST
        return max(1, min(LONGEST, round(CPU_BUDGET / multiply_adds)))

    def scans(self, chains: Sequence[Chain], read: Sequence[str]) -> tuple[Chain, ...]:
        """-> the stretches of identical parts that are run in a loop; `read` are endpoints in use."""
        least = SCAN_FROM if self.remat == "none" else 2
        return stacking.choose(chains, read, self.scan_from or least)


def following(step: int, every: int) -> int:
    """-> the multiple of `every` that comes next behind `step`."""
    return (step // every + 1) * every


@dataclasses.dataclass(frozen=True, kw_only=True)
class Watch:
    """One entry of a config's `probes`: a probe of the net while it is trained, into the log of the run.

    Attributes:
      name: `gradients` or `responses`, as `resjax probe` measures them.
      every: steps between two measurements; experiments/results/benchmarks/watching.md has what each costs.
      examples: of train, not augmented, always the same ones.
    """

    name: Literal["gradients", "responses"]
    every: int = 200
    examples: int = 128

    def __post_init__(self) -> None:
        checks.at_least(1, every=self.every, examples=self.examples)
