"""Every layer of a net: output shape, parameters, multiply-adds; counted without computing anything."""

from rich.console import Console
from rich.table import Table

from resjax.config import Config
from resjax.data import sources
from resjax.job import preview
from resjax.phases import Stage


def show(config: Config) -> None:
    """Prints the summary of a config's net; raises UserError for what cannot be built."""
    _, classes = sources.describe(**config.data.to_dict())
    _, found, stages = preview(config)
    # As wide as the tables need: Rich would cut names and numbers to the terminal's width, or a pipe's 80.
    console = Console(soft_wrap=True, width=10_000)
    table = Table(
        "layer", "kind", title=f"{config.model.name}, input {_shape(found.shapes.image)}, {classes} classes"
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
    if len(stages) > 1:
        console.print(_phases(config, stages))


def _phases(config: Config, stages: tuple[Stage, ...]) -> Table:
    table = Table("phase", "reads", "trains up to", "heads", title="phases of training, in this order")
    for name in ("modules trained", "length"):
        table.add_column(name, justify="right")
    for stage, section in zip(stages, (*config.phases, config), strict=True):
        schedule, heads = section.schedule, ", ".join(head.name for head in stage.heads)
        table.add_row(
            stage.name,
            stage.net.after or "image",
            stage.net.until,
            heads,
            str(len(stage.task.trained)),
            f"{schedule.length:g} {schedule.unit}",
        )
    return table


def _shape(shape: tuple[int, ...]) -> str:
    return "x".join(map(str, shape))
