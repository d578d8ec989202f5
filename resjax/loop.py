"""The settings of the training loop."""

import dataclasses
import warnings
from typing import Any

import jax

from resjax import checks
from resjax.losses import Loss


@dataclasses.dataclass(frozen=True, kw_only=True)
class Loop:
    """Section `train` of a config.

    Attributes:
      batch_size: examples in a training step.
      eval_batch_size: examples in an evaluation step; it changes no result.
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
      steps_per_dispatch: training steps in one compiled program; 0 chooses: 1 on the CPU, where a
        convolution's gradient inside a loop is many times slower, else 50.
    """

    batch_size: int = 128
    eval_batch_size: int = 500
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

    def __post_init__(self) -> None:
        checks.at_least(1, batch_size=self.batch_size, eval_batch_size=self.eval_batch_size)
        checks.at_least(1, log_every=self.log_every, checkpoint_every=self.checkpoint_every)
        checks.at_least(0, steps_per_dispatch=self.steps_per_dispatch)
        checks.share(label_smoothing=self.label_smoothing, ema_decay=self.ema_decay)
        checks.positive(eval_every=self.eval_every)

    def dispatch(self, params: Any) -> int:
        """-> how many steps one compiled program takes."""
        on_cpu = jax.default_backend() == "cpu"
        if self.steps_per_dispatch > 1 and on_cpu and any(leaf.ndim == 4 for leaf in jax.tree.leaves(params)):
            warnings.warn(
                f"config.train.steps_per_dispatch is {self.steps_per_dispatch}, and on the CPU a"
                " convolution's gradient inside a loop is many times slower; 0 chooses what is fast",
                stacklevel=2,
            )
        return self.steps_per_dispatch or (1 if on_cpu else 50)
