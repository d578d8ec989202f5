"""Stock Flax as its examples write it: nn.Conv, nn.BatchNorm, Optax, one jitted step a batch, XLA's defaults.

As with PyTorch, the step is all there is: no metrics and no log. Nothing of resjax is imported.
"""

import os
from collections.abc import Callable
from functools import partial
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
import optax
from flax.training.train_state import TrainState
from jaxtyping import Array, Float, Int

from experiments.benchmarks import workload
from experiments.benchmarks.sides.protocol import Channel, arguments, serve

HE = nn.initializers.variance_scaling(2.0, "fan_out", "normal")
CONV = partial(nn.Conv, kernel_size=(3, 3), padding=1, use_bias=False, kernel_init=HE)
NORM = partial(nn.BatchNorm, use_running_average=False, momentum=0.9)


class State(TrainState):
    batch_stats: Any


class Unit(nn.Module):
    """Two convolutions and option A's shortcut: every other pixel, zeros for the channels it lacks."""

    features: int
    stride: int

    @nn.compact
    def __call__(self, x: Float[Array, "b h w c"]) -> Float[Array, "b i j d"]:
        y = nn.relu(NORM()(CONV(self.features, strides=self.stride)(x)))
        y = NORM()(CONV(self.features)(y))
        missing = self.features - x.shape[-1]
        shortcut = jnp.pad(x[:, :: self.stride, :: self.stride], ((0, 0), (0, 0), (0, 0), (0, missing)))
        return nn.relu(y + shortcut)


class ResNet(nn.Module):
    @nn.compact
    def __call__(self, x: Float[Array, "b h w c"]) -> Float[Array, "b k"]:
        x = nn.relu(NORM()(CONV(workload.WIDTHS[0])(x)))
        for stage, features in enumerate(workload.WIDTHS):
            for number in range((workload.DEPTH - 2) // 6):
                x = Unit(features, 2 if stage > 0 and number == 0 else 1)(x)
        return nn.Dense(workload.CLASSES)(x.mean((1, 2)))


def kernels(params: Any) -> Any:
    return jax.tree.map(lambda leaf: leaf.ndim > 1, params)


def first_state() -> State:
    net = ResNet()
    image = jnp.zeros((1, workload.SIZE, workload.SIZE, workload.CHANNELS))
    variables = jax.jit(net.init)(jax.random.key(0), image)
    decay = optax.add_decayed_weights(workload.DECAY, kernels)
    sgd = optax.chain(decay, optax.sgd(workload.RATE, workload.MOMENTUM))
    return State.create(
        apply_fn=net.apply, params=variables["params"], tx=sgd, batch_stats=variables["batch_stats"]
    )


def augment(key: Array, images: Float[Array, "b h w c"]) -> Float[Array, "b h w c"]:
    """A crop of the padded image and a flip, each image its own."""
    crop_key, flip_key = jax.random.split(key)
    corners = jax.random.randint(crop_key, (len(images), 2), 0, 2 * workload.PAD + 1)
    padded = jnp.pad(images, ((0, 0), (workload.PAD,) * 2, (workload.PAD,) * 2, (0, 0)))
    crop = jax.vmap(lambda image, at: jax.lax.dynamic_slice(image, (at[0], at[1], 0), images.shape[1:]))
    inputs = crop(padded, corners)
    mirrored = jax.random.bernoulli(flip_key, 0.5, (len(images), 1, 1, 1))
    return jnp.where(mirrored, inputs[:, :, ::-1], inputs)


@partial(jax.jit, donate_argnums=0)
def train_step(
    state: State,
    index: Int[Array, " b"],
    images: Array,
    labels: Int[Array, " n"],
    mean: Float[Array, "1 h w c"],
    key: Array,
) -> State:
    inputs = augment(jax.random.fold_in(key, state.step), (images[index].astype(jnp.float32) - mean) / 255)

    def loss_fn(params: Any) -> tuple[Array, Any]:
        variables = {"params": params, "batch_stats": state.batch_stats}
        logits, updates = state.apply_fn(variables, inputs, mutable=["batch_stats"])
        loss = optax.softmax_cross_entropy_with_integer_labels(logits, labels[index])
        return loss.mean(), updates["batch_stats"]

    grads, batch_stats = jax.grad(loss_fn, has_aux=True)(state.params)
    return state.apply_gradients(grads=grads, batch_stats=batch_stats)


def trainer(prefix: str) -> Callable[[int], None]:
    """-> `run(k)`, which trains k steps."""
    data = tuple(map(jnp.asarray, workload.read_images(prefix)))
    state, key, order = first_state(), jax.random.key(1), workload.batches(len(data[0]))

    def run(steps: int) -> None:
        nonlocal state
        for _ in range(steps):
            state = train_step(state, next(order), *data, key)
        jax.block_until_ready(state)

    return run


def main() -> None:
    args, channel = arguments(__doc__), Channel()
    facts = {"platform": jax.default_backend(), "xla_flags": os.environ.get("XLA_FLAGS", "")}
    serve(channel, trainer(args.images), args.steps, facts)


if __name__ == "__main__":
    main()
