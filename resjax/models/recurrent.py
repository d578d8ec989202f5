"""Recurrent nets that read an image step by step: tanh units with skips through time, LSTM, GRU.

A skip of delay d brings the state of step t to step t + d by weights of its own:

    h(t) = tanh(W x(t) + U h(t - 1) + V h(t - d) + b)

Zhang et al. 2016 (1602.08210), section 5, has these recurrent skip connections. d = 1 is the plain net.
U begins orthogonal; with V both begin as orthogonal matrices over sqrt(2), so that their sum has the gain
of 1 that U alone has, and nets with a skip and without begin equally far from chaos.
LSTM is that of Hochreiter and Schmidhuber 1997 with forget gates, GRU that of Cho et al. 2014 (1406.1078).
"""

from collections.abc import Callable
from functools import partial
from typing import Any, Literal

import flax.linen as nn
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from resjax import checks
from resjax.models.blocks import BoundLayers, Layers, orthogonal
from resjax.models.trunk import MAIN, Part, Trunk

Cell = Literal["tanh", "lstm", "gru"]
NUDGES = "nudges"  # a collection: what is added to state and memory of each step, for their gradient there
# From what the input gives to a step, the states that it remembers, newest first, and their product with the
# weights, to the new state; `memory` is of an LSTM.
Step = Callable[[Array, Array, Array, Array], tuple[Array, Array]]


def tanh_step(driven: Array, state: Array, product: Array, memory: Array) -> tuple[Array, Array]:
    return jnp.tanh(driven + product), memory


def lstm_step(driven: Array, state: Array, product: Array, memory: Array) -> tuple[Array, Array]:
    """The forget gate begins half open towards keeping: its bias is 1 (Jozefowicz et al. 2015)."""
    enter, forget, new, leave = jnp.split(driven + product, 4, axis=-1)
    memory = nn.sigmoid(forget + 1) * memory + nn.sigmoid(enter) * jnp.tanh(new)
    return nn.sigmoid(leave) * jnp.tanh(memory), memory


def gru_step(driven: Array, state: Array, product: Array, memory: Array) -> tuple[Array, Array]:
    """The reset gate is behind the weights of the candidate, as in cuDNN's, which has a bias more there."""
    width = state.shape[-1]
    gates = nn.sigmoid(driven[:, : 2 * width] + product[:, : 2 * width])
    reset, update = jnp.split(gates, 2, axis=-1)
    new = jnp.tanh(driven[:, 2 * width :] + reset * product[:, 2 * width :])
    return (1 - update) * new + update * state, memory


STEPS: dict[str, tuple[Step, int]] = {"tanh": (tanh_step, 1), "lstm": (lstm_step, 4), "gru": (gru_step, 3)}


class Recurrence(nn.Module):
    """From what the input gives to each step to the state behind each step.

    Attributes:
      cell: a key of `STEPS`.
      delay: of the skip through time, of tanh units alone; 1: there is none.
    """

    cell: str
    width: int
    delay: int
    layers: BoundLayers

    @nn.compact
    def __call__(self, driven: Float[Array, "b t g"]) -> Float[Array, "b t d"]:
        step, gates = STEPS[self.cell]
        reads = 1 if self.delay == 1 else 2
        shape, types = (reads * self.width, gates * self.width), self.layers.param_dtype
        kernel = self.param("kernel", _blocks, shape, jnp.dtype(types)).astype(driven.dtype)
        states = jnp.zeros((self.delay, driven.shape[0], self.width), driven.dtype)  # newest first
        memory = states[0]
        nudges = self.get_variable(NUDGES, "states", jnp.zeros((driven.shape[1], 2, 1, 1), driven.dtype))

        def advance(carry: Any, given: Any) -> tuple[Any, Array]:
            states, memory = carry
            read = states[0] if reads == 1 else jnp.concatenate([states[0], states[-1]], -1)
            state, memory = step(given[0], states[0], read @ kernel, memory)
            state, memory = state + given[1][0], memory + given[1][1]
            return (jnp.concatenate([state[None], states[:-1]]), memory), state

        found = jax.lax.scan(advance, (states, memory), (driven.swapaxes(0, 1), nudges))[1]
        return found.swapaxes(0, 1)


def _blocks(key: Array, shape: tuple[int, int], dtype: Any) -> Float[Array, "i o"]:
    """-> square orthogonal blocks, one for each gate and each state that is read, over sqrt(states)."""
    width = min(shape)
    rows, columns = shape[0] // width, shape[1] // width
    keys = jax.random.split(key, (rows, columns))
    return rows**-0.5 * jnp.block(
        [[orthogonal(keys[i, j], (width, width), dtype) for j in range(columns)] for i in range(rows)]
    )


class Recurrent(Trunk):
    """An image's rows or pixels, one a step; the state behind the last step is classified.

    Attributes:
      reads: `rows` of w times c numbers, from the top; or `pixels` of c numbers, row by row.
    """

    cell: str
    width: int
    delay: int
    reads: str

    def parts(self, layers: BoundLayers) -> list[tuple[str, Part]]:
        return [
            ("input", partial(self._drive, layers)),
            ("states", partial(self._run, layers)),
            (MAIN, partial(self._classify, layers)),
        ]

    def _drive(self, layers: BoundLayers, x: Float[Array, "b h w c"]) -> Float[Array, "b t g"]:
        batch, height, _, channels = x.shape
        steps = x.reshape(batch, height, -1) if self.reads == "rows" else x.reshape(batch, -1, channels)
        gates = STEPS[self.cell][1]
        return layers.dense(gates * self.width)(use_bias=True, name="input")(steps.astype(layers.dtype))

    def _run(self, layers: BoundLayers, driven: Float[Array, "b t g"]) -> Float[Array, "b t d"]:
        return Recurrence(self.cell, self.width, self.delay, layers, name="states")(driven)

    def _classify(self, layers: BoundLayers, states: Float[Array, "b t d"]) -> Float[Array, "b k"]:
        return layers.classifier(self.classes)(name="classifier")(states[:, -1])


def recurrent(
    classes: int,
    layers: Layers,
    /,
    *,
    cell: Cell = "tanh",
    width: int = 128,
    delay: int = 1,
    reads: Literal["rows", "pixels"] = "rows",
) -> Recurrent:
    """Args:
      delay: of the skip through time; Zhang et al. 2016 have 1, 3, 5, 7, 9, 11, 13, 15, 19, 21.

    Raises:
      ValueError: a number below 1, or a delay of units other than tanh's.
    """
    checks.at_least(1, width=width, delay=delay)
    if delay > 1 and cell != "tanh":
        raise ValueError(
            f"delay is {delay}, but cell is '{cell}'; skips through time are of tanh units: set it to 1"
        )
    return Recurrent(classes, layers, cell, width, delay, reads)
