"""resjax: skip connections, auxiliary heads and pretraining on one bench.

Where things are, in the order in which a run meets them:

    __main__    the command line; verbs: train, eval, table, show, probe, import, export, ...
    schema      the keys of a config, their types and defaults; config: files and overrides
    job         a config in, the objects that it describes out, all checked before anything runs
    data/       disk -> checked arrays -> order of examples -> augmentation inside jit
    models/     blocks, nets and their plain twins, forms of heads, the net that carries them
    losses      per-example losses; weights: of each output over training; metrics: masked sums
    optim       optimizers, schedules, the mask of weight decay
    step        one training step and one evaluation step, pure functions; accumulate: a batch in parts
    mesh        what of a run each of many devices holds
    training    the main job: config and folder in, result out
    evaluation  a finished run's accuracy on any split
    checkpoint  save and resume; record: logs, result.json, provenance
    table       rows x seeds of runs; stats, verdicts and render turn their records into tables and figures
    interop/    weights from PyTorch's files; weights and programs to elsewhere; classes of image files
    probing     what a net's gradients, responses and losses look like; probes/: one file each

What Python code uses, all of it `resjax.NAME`; nothing is imported before it is asked for:

    load_config   a config's file and overrides, or a dictionary -> the whole config, checked
    build         a config -> its net with heads, a Flax module; nothing is read
    train         a config and a folder -> result; goes on where a stopped run was
    evaluate      a run's folder -> accuracy on a split
    load          a run's folder -> its net with values, which takes stored images
    probe         configs and runs -> gradients, responses, losses, ...: numbers and a figure
    export        a run's folder -> files that do without this package
    Predictor     an export -> classes of images
    run_table     a table, or its file -> the missing cells run, the table rendered
    Table, Row, Published   what a table consists of
    Trunk         what a net of one's own derives from: `config.model.name` is `FILE.py:FUNCTION` then
    UserError     bad input, told in one sentence
"""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from resjax.api import build, load, load_config, probe, run_table
    from resjax.errors import UserError
    from resjax.evaluation import evaluate
    from resjax.interop.exporting import export
    from resjax.interop.predicting import Predictor
    from resjax.models.trunk import Trunk
    from resjax.published import Published
    from resjax.rows import Row, Table
    from resjax.training import train

__version__ = "0.1.0"
__all__ = [
    "Predictor",
    "Published",
    "Row",
    "Table",
    "Trunk",
    "UserError",
    "build",
    "evaluate",
    "export",
    "load",
    "load_config",
    "probe",
    "run_table",
    "train",
]
# The modules of those that are not in `api`.
_HOMES = {
    "Predictor": "interop.predicting",
    "Published": "published",
    "Row": "rows",
    "Table": "rows",
    "Trunk": "models.trunk",
    "UserError": "errors",
    "evaluate": "evaluation",
    "export": "interop.exporting",
    "train": "training",
}


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module 'resjax' has no attribute '{name}'", name=name)
    from resjax import backend

    backend.configure()  # what must stand before JAX is imported, as for the command line
    home = importlib.import_module(f"resjax.{_HOMES.get(name, 'api')}")
    found = globals()[name] = getattr(home, name)
    return found


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
