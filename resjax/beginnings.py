"""How a phase begins: with initial values, or with what its trunk has in common with another one."""

import dataclasses
from typing import Any

from jaxtyping import Array

from resjax.job import Job
from resjax.phases import Stage, trunk_of
from resjax.progress import Display
from resjax.step import TrainState
from resjax.transfer import transfer


class Beginnings:
    """The first states of a run's phases; `transfers` tells what was taken over, for the result."""

    def __init__(self, job: Job, key: Array, display: Display, transfers: list[dict[str, Any]]):
        self._job, self._key, self._display, self.transfers = job, key, display, transfers

    def first(self) -> TrainState:
        stage, start = self._job.stages[0], self._job.start
        if start is None:
            return stage.init_state(self._key)
        return self._take_over(stage, start.variables, f"{start.run}, step {start.step}")

    def following(self, stage: Stage, before: Stage, state: TrainState) -> TrainState:
        """-> that of `stage`, with the trunk that the phase before it left."""
        trunk = before.unpack(trunk_of({"params": state.params, **state.collections}))
        if stage.net.trunk == before.net.trunk:
            return stage.init_state(self._key, trunk)
        return self._take_over(stage, trunk, f"phase {before.name}")

    def _take_over(self, stage: Stage, source: Any, origin: str) -> TrainState:
        trunk, found = transfer(source, stage.init_trunk(self._key))
        self.transfers.append({"phase": stage.name, "from": origin, **dataclasses.asdict(found)})
        self._display.say(f"phase {stage.name} starts from {origin}: {found}")
        return stage.init_state(self._key, trunk)
