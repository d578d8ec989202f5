"""The steps of resjax without its loop: no log, no metrics, no progress, no checkpoints."""

from experiments.benchmarks.sides.protocol import Channel, arguments, serve
from experiments.benchmarks.sides.resjax_side import facts, recipe
from resjax import backend


def main() -> None:
    args, channel = arguments(__doc__, "--saves"), Channel()
    backend.configure()
    import jax

    from resjax import job as jobs
    from resjax.data.batches import train_batches
    from resjax.step import TrainState, train_step

    job = jobs.build(recipe(args))
    stage, key = job.last, jax.random.key(0)
    data, state, done = job.device_data(job.dataset.train), stage.init_state(key), 0
    weights = {name: each[0] for name, each in stage.loss_weights(0, 1).items()}

    def step(state: TrainState, index: jax.Array) -> TrainState:
        after = train_step(state, index, data, key, weights, task=stage.task)
        return after.replace(metrics=state.metrics, diverged_at=state.diverged_at)

    compiled = jax.jit(step, donate_argnums=0, compiler_options=backend.compiler_options())

    def run(steps: int) -> None:
        nonlocal state, done
        for _ in range(steps):
            (index,) = train_batches(len(data.labels), job.loop.batch_size, 0, done, 1)
            state, done = compiled(state, index), done + 1
        jax.block_until_ready(state)

    serve(channel, run, args.steps, facts())


if __name__ == "__main__":
    main()
