"""Every layer of a net: output shape, parameters, multiply-adds; counted without computing anything."""

import dataclasses
from collections.abc import Callable
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
from rich.console import Console
from rich.table import Table

from resjax.config import Config
from resjax.data import sources
from resjax.job import build_net
from resjax.models.heads import Net


@dataclasses.dataclass(frozen=True)
class LayerRow:
    """One module with parameters of its own; shapes without the batch axis, multiply-adds of one image."""

    name: str
    kind: str
    shape: tuple[int, ...]
    parameters: int
    multiply_adds: int


@dataclasses.dataclass(frozen=True)
class Summary:
    layers: list[LayerRow]
    endpoints: dict[str, tuple[int, ...]]

    @property
    def parameters(self) -> int:
        return sum(layer.parameters for layer in self.layers)

    @property
    def multiply_adds(self) -> int:
        return sum(layer.multiply_adds for layer in self.layers)


def summarize(net: Net, image_shape: tuple[int, ...]) -> Summary:
    """Traces the net on one image of shape (h, w, c).

    Multiply-adds are those of convolutions and dense layers, as papers count them: each weight of the
    kernel once for every output position. Norms, activations and additions are left out.
    """
    outputs: dict[tuple[str, ...], tuple[str, Any]] = {}
    endpoints: dict[str, tuple[int, ...]] = {}

    def note(call: Callable[..., Any], args: Any, kwargs: Any, context: Any) -> Any:
        found = call(*args, **kwargs)
        if context.method_name == "__call__":
            outputs[context.module.path] = (type(context.module).__name__, found)
        return found

    def trace(image: jax.Array) -> Any:
        with nn.intercept_methods(note):
            return net.init(jax.random.key(0), image, train=False)

    variables = jax.eval_shape(trace, jax.ShapeDtypeStruct((1, *image_shape), jnp.float32))
    _, shapes = outputs[("trunk",)][1]
    endpoints = {name: value.shape[1:] for name, value in shapes.items()}
    layers = []
    for path, (kind, output) in outputs.items():
        own = [leaf for leaf in _own(variables["params"], path).items() if not isinstance(leaf[1], dict)]
        if own:
            sizes = {name: leaf.size for name, leaf in own}
            positions = output.size // output.shape[-1]
            layers.append(
                LayerRow(
                    "/".join(path),
                    kind,
                    output.shape[1:],
                    sum(sizes.values()),
                    positions * sizes.get("kernel", 0),
                )
            )
    return Summary(layers, endpoints)


def _own(params: Any, path: tuple[str, ...]) -> Any:
    for part in path:
        params = params.get(part, {})
    return params


def show(config: Config) -> None:
    """Prints the summary of a config's net; raises UserError for what cannot be built."""
    image_shape, classes = sources.describe(**config.data.to_dict())
    net = build_net(config, image_shape, classes)
    found = summarize(net, image_shape)
    # As wide as the tables need: Rich would cut names and numbers to the terminal's width, or a pipe's 80.
    console = Console(soft_wrap=True, width=10_000)
    table = Table(
        "layer", "kind", title=f"{config.model.name}, input {_shape(image_shape)}, {classes} classes"
    )
    for name in ("output", "parameters", "multiply-adds"):
        table.add_column(name, justify="right")
    for layer in found.layers:
        table.add_row(
            layer.name, layer.kind, _shape(layer.shape), f"{layer.parameters:,}", f"{layer.multiply_adds:,}"
        )
    table.add_section()
    table.add_row("total", "", "", f"{found.parameters:,}", f"{found.multiply_adds:,}")
    console.print(table)
    table = Table("endpoint", title="endpoints that a head can attach to")
    table.add_column("output", justify="right")
    for name, shape in found.endpoints.items():
        table.add_row(name, _shape(shape))
    console.print(table)


def _shape(shape: tuple[int, ...]) -> str:
    return "x".join(map(str, shape))
