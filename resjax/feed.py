"""What the programs of a run are given, one dispatch after another.

Examples of a split that stays on the host are brought to the devices in a thread, while the program before
computes. Which examples a program is given, and in which order, does not depend on where they lie.
"""

from collections import deque
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

import jax
import numpy as np
from jaxtyping import Int, Int32

from resjax.data.batches import train_batches
from resjax.device import Batch, DeviceData, Streamed
from resjax.errors import UserError
from resjax.job import Job
from resjax.loop import following
from resjax.phases import Stage

AHEAD = 1  # dispatches whose examples are there, or under way, before they are asked for
Rest = TypeVar("Rest")


def chunks(job: Job, stage: Stage, done: int) -> Iterator[tuple[Int32[np.ndarray, "s b"], int]]:
    """-> the examples of each dispatch of a phase of which `done` steps are done, and its number of steps.

    A dispatch ends where there is something to do between two steps: a report, an evaluation, a checkpoint,
    a probe, a head to discard.
    """
    loop, most = job.loop, job.per_dispatch(stage)
    while done < stage.steps:
        ends = [stage.steps, done + most, *(at for at in stage.discards if at > done)]
        ends += [following(done, every) for every in (loop.log_every, job.eval_steps)]
        ends += [following(done, watch.every) for watch in job.watches]
        ends += [following(stage.start + done, loop.checkpoint_every) - stage.start]
        count = min(ends) - done
        index = np.zeros((most, loop.batch_size), np.int32)
        index[:count] = train_batches(len(job.dataset.train), loop.batch_size, job.config.seed, done, count)
        yield index, count
        done += count


def feed(
    data: DeviceData | Streamed, items: Iterable[tuple[Int[np.ndarray, "*s b"], Rest]]
) -> Iterator[tuple[Int[np.ndarray, "*s b"], Rest, DeviceData]]:
    """-> each index, what goes with it, and the data that a program reads these examples from.

    Raises:
      UserError: examples cannot be read, or the devices have no room for them.
    """
    if not isinstance(data, Streamed):
        yield from ((index, rest, data) for index, rest in items)
        return
    waiting = deque()
    with ThreadPoolExecutor(1, "feed") as thread:
        for index, rest in items:
            waiting.append((index, rest, thread.submit(_gather, data, index)))
            if len(waiting) > AHEAD:
                index, rest, found = waiting.popleft()
                yield index, rest, found.result()
        for index, rest, found in waiting:
            yield index, rest, found.result()


def _gather(data: Streamed, index: Int[np.ndarray, "*s b"]) -> Batch:
    try:
        return data.gather(index)
    except (OSError, MemoryError, jax.errors.JaxRuntimeError) as error:
        reason = (str(error) or type(error).__name__).splitlines()[0]
        raise UserError(
            f"the next {index.size} examples could not be brought to the devices ({reason}); where memory is"
            " lacking, reduce config.train.batch_size or config.train.steps_per_dispatch"
        ) from error
