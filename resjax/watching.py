"""Probes of a net while it is trained: the entries `probes` of a config, into the log of the run."""

from pathlib import Path

from resjax import mesh as meshes
from resjax.job import Job
from resjax.phases import Stage
from resjax.probes import gradients, responses
from resjax.probes.bench import Bench
from resjax.probes.findings import chosen
from resjax.probes.subject import during
from resjax.record import PROBE
from resjax.step import TrainState

CHEAP = {"gradients": gradients.measure, "responses": responses.measure}


class Watcher:
    """Measures when it is time; what is measured changes nothing in the run."""

    def __init__(self, job: Job):
        self._job, self._watches = job, job.watches

    def is_due(self, done: int) -> bool:
        return any(done % watch.every == 0 for watch in self._watches)

    def __call__(self, stage: Stage, state: TrainState, done: int) -> dict[str, float]:
        """-> values by `probe/NAME/QUANTITY/LINE/PLACE`; of many lines, such as heads, a few."""
        subject = during(stage, self._job, meshes.readable(stage.unpack(state)), stage.start + done)
        values = {}
        for watch in self._watches:
            if done % watch.every == 0:
                points = CHEAP[watch.name](subject, Bench(Path()), examples=watch.examples)
                lines = chosen(list(dict.fromkeys(point.line for point in points)))
                for point in (point for point in points if point.line in lines):
                    place = "/".join(part for part in (point.quantity, point.line, point.name) if part)
                    values[f"{PROBE}{watch.name}/{place}"] = point.value
        return values
