"""The compiled programs of a run: several training steps in one, and one batch of evaluation.

Both are given no names: what goes in and out are lists of arrays. So where nothing reads the frozen part of
a trunk, as with kept features, phases that train blocks of one shape have one and the same program,
which the persistent cache knows.

On a mesh, each device computes its own examples of a batch. The state comes and goes as it is kept; what a
device lacks of the parameters it is given for the length of a step.
"""

from collections.abc import Collection, Mapping
from typing import Any

import jax
from jax.sharding import Mesh
from jaxtyping import Array, Bool, Float, Int

from resjax import backend
from resjax import mesh as meshes
from resjax.device import DeviceData, Variables
from resjax.metrics import Metrics
from resjax.step import Task, TrainState, eval_step, join, split, split_all, train_step


class TrainProgram:
    """Up to `steps` training steps in one dispatch; the state that it is given is donated.

    On a mesh, that is a state which lies as `mesh.state` says, and the batch a multiple of the devices.
    """

    def __init__(self, steps: int, task: Task, mesh: Mesh | None = None):
        self._steps, self._task, self._mesh = steps, task, mesh
        options = backend.compiler_options(task.deterministic)
        self._compiled = jax.jit(self._run, donate_argnums=0, compiler_options=options)

    def __call__(
        self,
        state: TrainState,
        index: Int[Any, "s b"],
        count: int,
        data: DeviceData,
        key: Array,
        weights: Mapping[str, Float[Any, " s"]],
    ) -> tuple[TrainState, Array]:
        """-> the state `count` steps later, and a small array to wait for: the state goes into the next call.

        Args:
          index: examples of each step; what lies from `count` on is not used, nor is any of it where `data`
            are those examples.
          key: of the whole phase.
          weights: factor of each output's loss at each step, by name.
        """
        learning, kept = _strip(state, self._task.trained)
        leaves, token = self._compiled(learning, kept, index, count, data, key, weights)
        return _restore(jax.tree.structure(learning).unflatten(leaves), kept), token

    def lower(self, state: TrainState, *rest: Any) -> Any:
        """-> what JAX lowers the program to; the arguments are those of a call, or their shapes."""
        return self._compiled.lower(*_strip(state, self._task.trained), *rest)

    def _run(
        self,
        learning: TrainState,
        kept: Variables,
        index: Int[Array, "s b"],
        count: Int[Array, ""],
        data: DeviceData,
        key: Array,
        weights: Mapping[str, Float[Array, " s"]],
    ) -> tuple[list[Array], Array]:
        """What does not learn stays outside the state that is carried."""

        def at(i: Any, carry: TrainState) -> TrainState:
            step_weights = {name: w[i] for name, w in weights.items()}
            batch = meshes.constrain(index[i], meshes.examples(self._mesh))
            state = self._gather(_restore(carry, kept))
            state = train_step(state, batch, data.at(i), key, step_weights, task=self._task)
            learning, _ = _strip(state, self._task.trained)
            return meshes.constrain(learning, meshes.state(self._mesh, learning))

        # The count is traced: the last, shorter chunk runs the same program.
        state = at(0, learning) if self._steps == 1 else jax.lax.fori_loop(0, count, at, learning)
        return jax.tree.leaves(state), state.step + 0

    def _gather(self, state: TrainState) -> TrainState:
        """-> the state with parameters and statistics whole on every device; moments stay where they are."""
        whole = meshes.whole(self._mesh)
        params, collections = (meshes.constrain(tree, whole) for tree in (state.params, state.collections))
        return state.replace(params=params, collections=collections)


def _strip(state: TrainState, trained: Collection[str]) -> tuple[TrainState, Variables]:
    """-> the state without the trunk's modules that do not learn, and those, by collection."""
    params, kept_params = split(state.params, trained)
    collections, kept = split_all(state.collections, trained)
    return state.replace(params=params, collections=collections), {"params": kept_params, **kept}


def _restore(state: TrainState, kept: Variables) -> TrainState:
    """The inverse of `_strip`."""
    collections = {name: join(tree, kept[name]) for name, tree in state.collections.items()}
    return state.replace(params=join(state.params, kept["params"]), collections=collections)


class EvalProgram:
    """One batch of evaluation, added to the sums; on a mesh, the batch is a multiple of the devices."""

    def __init__(self, task: Task, mesh: Mesh | None = None):
        self._task, self.mesh = task, mesh
        options = backend.compiler_options(task.deterministic)
        self._compiled = jax.jit(self._run, compiler_options=options)

    def __call__(
        self,
        variables: Variables,
        sums: Metrics,
        index: Int[Any, " b"],
        mask: Bool[Any, " b"],
        data: DeviceData,
    ) -> Metrics:
        sums = meshes.put(sums, meshes.whole(self.mesh))
        return jax.tree.structure(sums).unflatten(self._compiled(variables, sums, index, mask, data))

    def lower(self, *arguments: Any) -> Any:
        """-> what JAX lowers the program to; the arguments are those of a call, or their shapes."""
        return self._compiled.lower(*arguments)

    def _run(
        self,
        variables: Variables,
        sums: Metrics,
        index: Int[Array, " b"],
        mask: Bool[Array, " b"],
        data: DeviceData,
    ) -> list[Array]:
        whole, shared = meshes.whole(self.mesh), meshes.examples(self.mesh)
        variables = meshes.constrain(variables, whole)
        index, mask = meshes.constrain((index, mask), shared)
        sums = eval_step(variables, sums, index, mask, data, task=self._task)
        return jax.tree.leaves(meshes.constrain(sums, whole))
