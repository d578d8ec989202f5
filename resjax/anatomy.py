"""What a net consists of, counted without computing anything: its layers, and to which part each belongs."""

import dataclasses
import math
from collections.abc import Callable
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
from jaxtyping import Array

from resjax.models.heads import Net, parameters_of
from resjax.models.ode import Flow
from resjax.models.tokens import Attention
from resjax.models.trunk import Trunk


@dataclasses.dataclass(frozen=True)
class Shapes:
    """Of one example.

    Attributes:
      image: (h, w, c).
      endpoints: {name: shape and type of its activations} of the trunk.
    """

    image: tuple[int, int, int]
    endpoints: dict[str, jax.ShapeDtypeStruct]

    def zeros(self) -> dict[str, Array]:
        return {name: jnp.zeros((2, *each.shape), each.dtype) for name, each in self.endpoints.items()}


@dataclasses.dataclass(frozen=True)
class LayerRow:
    """One module with parameters or products of its own.

    Shapes are without the batch axis, multiply-adds those of one image.

    Attributes:
      part: the part of the trunk, or the head, that it belongs to.
    """

    name: str
    part: str
    kind: str
    shape: tuple[int, ...]
    parameters: int
    multiply_adds: int


@dataclasses.dataclass(frozen=True)
class Anatomy:
    """Of a trunk, or of a trunk with heads.

    Attributes:
      modules: {part of the trunk: the modules that hold its parameters}, in the order of the parts.
    """

    layers: list[LayerRow]
    shapes: Shapes
    modules: dict[str, list[str]]

    @property
    def endpoints(self) -> dict[str, tuple[int, ...]]:
        return {name: each.shape for name, each in self.shapes.endpoints.items()}

    @property
    def parameters(self) -> int:
        return sum(layer.parameters for layer in self.layers)

    @property
    def multiply_adds(self) -> int:
        return sum(layer.multiply_adds for layer in self.layers)

    def span(self, after: str, until: str) -> tuple[list[str], list[str]]:
        """-> parts before and with `after`, and parts behind it up to `until`."""
        names = list(self.modules)
        first = names.index(after) + 1 if after else 0
        return names[:first], names[first : names.index(until) + 1]

    def modules_of(self, parts: list[str]) -> list[str]:
        return [module for part in parts for module in self.modules[part]]

    def cost(self, parts: list[str]) -> int:
        """-> multiply-adds of one image's way through some parts or heads."""
        return sum(layer.multiply_adds for layer in self.layers if layer.part in parts)


class _Recorder:
    """Sees every call of a module while a net is traced."""

    def __init__(self) -> None:
        # path: (part, kind, input, output, multiply-adds beside those of its kernel)
        self.calls: dict[tuple[str, ...], tuple[str, str, Any, Any, int]] = {}
        self.repeats: dict[tuple[str, ...], int] = {}  # path: how often what is in it is run, and traced once
        self.parts: dict[str, list[str]] = {}
        self.part = ""

    def __call__(self, call: Callable[..., Any], args: Any, kwargs: Any, context: Any) -> Any:
        if context.method_name == "run_part" and isinstance(context.module, Trunk):
            self.part = args[0]
            self.parts[self.part] = []
        found = call(*args, **kwargs)
        path = context.module.path
        if context.method_name == "__call__" and path:
            kind, read = type(context.module).__name__, args[0] if args else None
            products = context.module.products(args[0]) if isinstance(context.module, Attention) else 0
            if isinstance(context.module, Flow):
                self.repeats[path] = context.module.repeats
            self.calls[path] = (self.part, kind, read, found, products)
            if path[0] == "trunk" and len(path) == 2 and self.part:
                self.parts[self.part].append(path[1])
        return found


def dissect(trunk: Trunk, image: tuple[int, int, int]) -> Anatomy:
    """Traces a trunk on one image of shape (h, w, c).

    Multiply-adds are those of convolutions and dense layers, as papers count them: each weight of the
    kernel once for every output position; and those of attention's two products. Norms, activations and
    additions are left out. Of an equation that an adaptive solver solves, they are those of one evaluation:
    how many it takes is known only when it runs.

    Raises:
      ValueError: the trunk has parameters of its own, beside those of its parts' modules.
    """
    recorder, images = _Recorder(), jax.ShapeDtypeStruct((1, *image), jnp.float32)

    def trace(x: jax.Array) -> Any:
        with nn.intercept_methods(recorder):
            return Net(trunk).init(jax.random.key(0), x, train=False)

    params = jax.eval_shape(trace, images)["params"]
    found = recorder.calls[("trunk",)][3]
    endpoints = {name: jax.ShapeDtypeStruct(each.shape[1:], each.dtype) for name, each in found.items()}
    modules = {
        part: [name for name in names if name in params["trunk"]] for part, names in recorder.parts.items()
    }
    stray = params["trunk"].keys() - set().union(*modules.values())
    if stray:  # phases and freezing go by modules: these would never be trained
        raise ValueError(
            f"the parameters {', '.join(sorted(stray))} belong to no module that a part calls; they must lie"
            " in one"
        )
    return Anatomy(_rows(recorder, params), Shapes(image, endpoints), modules)


def dissect_heads(net: Net, shapes: Shapes) -> list[LayerRow]:
    """-> the layers of the heads, whose names are their parts; raises ValueError as the net does."""
    recorder = _Recorder()

    def trace(endpoints: Any) -> Any:
        with nn.intercept_methods(recorder):
            return net.init(jax.random.key(0), None, train=False, endpoints=endpoints)

    given = {
        name: jax.ShapeDtypeStruct((1, *each.shape), each.dtype) for name, each in shapes.endpoints.items()
    }
    params = jax.eval_shape(trace, given).get("params", {})
    parts = {parameters_of(head.name): head.name for head, _ in net.heads}
    rows = _rows(recorder, params)
    return [dataclasses.replace(row, part=parts[row.name.partition("/")[0]]) for row in rows]


def summarize(net: Net, image: tuple[int, int, int]) -> Anatomy:
    """-> of a trunk with its heads."""
    trunk = dissect(net.trunk, image)
    return dataclasses.replace(trunk, layers=trunk.layers + dissect_heads(net, trunk.shapes))


def _rows(recorder: _Recorder, params: Any) -> list[LayerRow]:
    rows = []
    for path, (part, kind, read, output, products) in recorder.calls.items():
        sizes = {name: leaf.size for name, leaf in _own(params, path).items() if not isinstance(leaf, dict)}
        if sizes or products:
            kernel = sizes.get("kernel", 0)
            if isinstance(output, tuple):  # of what mixes a shortcut with its branch
                output = output[0]
            plane = read if kind == "ConvTranspose" else output  # its kernel is spread from every input
            positions = plane.size // plane.shape[-1]
            total = sum(sizes.values())
            inside = (n for outer, n in recorder.repeats.items() if path[: len(outer)] == outer)
            amount = math.prod(inside) * (positions * kernel + products)
            rows.append(LayerRow("/".join(path), part, kind, output.shape[1:], total, amount))
    return rows


def _own(params: Any, path: tuple[str, ...]) -> Any:
    for part in path:
        params = params.get(part, {})
    return params
