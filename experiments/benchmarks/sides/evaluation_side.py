"""resjax's evaluation, of as many images in a turn as the others train on."""

from experiments.benchmarks.sides.protocol import Channel, arguments, serve
from experiments.benchmarks.sides.resjax_side import facts, recipe
from resjax import backend


def main() -> None:
    args, channel = arguments(__doc__, "--saves"), Channel()
    backend.configure()
    import jax
    import numpy as np

    from resjax import job as jobs
    from resjax.evaluation import measure
    from resjax.programs import EvalProgram

    job = jobs.build(recipe(args))
    stage, train = job.last, job.dataset.train
    state, program = stage.init_state(jax.random.key(0)), EvalProgram(stage.task)

    def run(steps: int) -> None:
        images = np.arange(steps * job.loop.batch_size) % len(train)
        data = job.device_data(train.take(images))
        measure(program, state.variables, data, stage.task, job.loop.eval_batch_size)

    serve(channel, run, args.steps, facts())


if __name__ == "__main__":
    main()
