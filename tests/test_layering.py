"""Who may import whom, one way only; read from the source, nothing is imported here."""

import ast
import graphlib
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
# From the bottom up. A module imports from its own row and the rows above it on this page.
LAYERS = (
    (
        *("__init__", "errors", "backend", "checks", "stacking", "usage", "exchange", "accumulate"),
        "storage",
        *("trackers.__init__", "trackers.wandb_tracker", "trackers.mlflow_tracker"),
    ),
    ("pyfile", "topology", "sockets", "environment"),
    ("wire",),
    ("processes",),
    ("data.__init__", "data.split"),
    ("data.canvas", "data.decoded", "data.whitening"),
    ("data.sources", "data.tfds_source", "data.batches", "data.augment"),
    ("models.convolution", "models.norm"),
    ("models.blocks",),
    ("models.shortcuts", "models.survival", "models.excitation", "models.stems"),
    ("models.units", "models.trunk", "models.classifiers", "models.tokens"),
    (
        "models.mlp",
        "models.resnet",
        "models.resnet9",
        "models.wide_resnet",
        "models.resnext",
        "models.densenet",
        "models.highway",
        "models.fixup",
        "models.googlenet",
        "models.dsn",
        "models.layerwise",
        "models.regressors",
        "models.vit",
        "models.mixer",
        "models.recurrent",
        "models.ode",
        "models.pixels",
        "models.unet",
        "models.fcn",
    ),
    ("models.__init__", "models.forms", "models.heads"),
    ("losses", "optim", "weights", "anatomy"),
    ("families",),
    ("loop", "metrics", "device", "mesh"),
    ("step", "transfer", "cost", "digests"),
    ("programs",),
    ("phases",),
    ("schema",),
    ("config",),
    ("assemble",),
    ("alone", "checkpoint", "events", "record", "progress", "stop", "maintenance"),
    ("trained", "vote", "tracking"),
    ("job",),
    ("lockstep", "beginnings"),
    ("feed", "evaluation", "result"),
    ("markup", "stats", "legend"),
    ("probes.__init__", "probes.findings"),
    ("probes.plot", "probes.subject"),
    ("probes.bench",),
    ("probes.lanczos", "probes.noise", "probes.statistics", "probes.history"),
    ("probes.gradients", "probes.jacobian", "probes.responses", "probes.shattered", "probes.through_time"),
    ("watching",),
    ("training",),
    ("probes.surgery", "probes.directions", "probes.kept"),
    ("probes.effective_depth", "probes.lesion", "probes.landscape"),
    ("probes.registry",),
    ("probing",),
    ("budget",),
    ("published",),
    ("rows",),
    ("cells",),
    ("records",),
    ("captions", "verdicts"),
    ("render",),
    ("figure", "catalogue"),
    ("table",),
    ("plan", "engines.__init__", "engines.slurm", "engines.news", "engines.demand"),
    ("engines.ray_cluster",),
    ("attempt",),
    ("show", "roster", "verify", "rehearsal"),
    ("preflight",),
    ("forecast",),
    (
        "interop.__init__",
        "interop.constants",
        "interop.files",
        "interop.folder",
        "interop.names",
        "interop.layout",
    ),
    ("interop.matching", "interop.card", "interop.program", "interop.predicting"),
    ("interop.taking",),
    ("interop.exporting",),
    ("api",),
    ("verbs",),
    ("options",),
    ("__main__",),
)
LEVEL = {name: level for level, names in enumerate(LAYERS) for name in names}
MODULES = {
    ".".join(path.relative_to(ROOT / "resjax").with_suffix("").parts): path
    for path in sorted((ROOT / "resjax").rglob("*.py"))
}


def statements(tree: ast.AST, *, in_functions: bool) -> Iterator[ast.Import | ast.ImportFrom]:
    """The imports that run; those under `if TYPE_CHECKING` name types and do not."""
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.Import | ast.ImportFrom):
            yield node
        elif isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test):
            for other in node.orelse:
                yield from statements(ast.Module([other], []), in_functions=in_functions)
        elif in_functions or not isinstance(node, ast.FunctionDef):
            yield from statements(node, in_functions=in_functions)


def imports(path: Path, *, in_functions: bool = True) -> set[str]:
    """-> dotted names of all that a file imports, `resjax.step.train_step` for a function too."""
    found = set()
    for node in statements(ast.parse(path.read_text()), in_functions=in_functions):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        else:
            assert node.level == 0, f"{path}: relative imports hide where they lead"
            found |= {f"{node.module}.{alias.name}" for alias in node.names}
    return found


def own(path: Path, *, in_functions: bool = True) -> set[str]:
    """-> the modules of this package that a file imports, named as in `LAYERS`."""
    found = set()
    for name in imports(path, in_functions=in_functions):
        package, _, rest = name.partition(".")
        if package == "resjax":
            tries = (rest, f"{rest}.__init__", rest.rpartition(".")[0], f"{rest.rpartition('.')[0]}.__init__")
            found.add(next((each for each in tries if each in MODULES), "__init__"))
    return found


def packages(path: Path) -> set[str]:
    return {name.partition(".")[0] for name in imports(path)}


def test_every_module_has_its_layer() -> None:
    assert MODULES.keys() == LEVEL.keys()


def test_a_module_imports_nothing_of_a_higher_layer() -> None:
    imported = {name: own(path) for name, path in MODULES.items()}
    higher = {(name, to) for name, others in imported.items() for to in others if LEVEL[to] > LEVEL[name]}
    assert higher == set()


def test_no_modules_import_each_other_as_they_load() -> None:
    graph = {name: own(path, in_functions=False) - {name} for name, path in MODULES.items()}
    order = list(graphlib.TopologicalSorter(graph).static_order())
    assert order.index("errors") < order.index("step") < order.index("training")


@pytest.mark.parametrize("name", [name for name in MODULES if name.startswith("models.")])
def test_models_know_no_loss_no_data_and_no_config(name: str) -> None:
    assert {other for other in own(MODULES[name]) if not other.startswith("models.")} <= {
        "errors",
        "checks",
        "backend",
    }
    assert packages(MODULES[name]).isdisjoint({"ml_collections", "optax"})


def test_losses_and_the_step_know_no_config() -> None:
    for name in ("losses", "metrics", "optim", "weights", "step", "loop"):
        assert packages(MODULES[name]).isdisjoint({"ml_collections", "absl"})
        assert own(MODULES[name]).isdisjoint({"config", "schema", "assemble", "job"})


@pytest.mark.parametrize("name", ["data.sources", "data.batches", "data.tfds_source"])
def test_sources_and_batches_are_numpy_s(name: str) -> None:
    assert packages(MODULES[name]).isdisjoint({"jax", "flax", "optax"})


def test_augmentation_reads_no_files_and_knows_nothing_else_of_this_package() -> None:
    path = MODULES["data.augment"]
    assert own(path) == {"data.whitening"}
    assert own(MODULES["data.whitening"]) == set()
    assert packages(path) <= {
        "typing",
        "collections",
        "dataclasses",
        "functools",
        "jax",
        "numpy",
        "flax",
        "jaxtyping",
        "resjax",
    }


@pytest.mark.parametrize("path", sorted((ROOT / "configs").glob("*.py")), ids=lambda path: path.name)
def test_a_config_imports_ml_collections_only(path: Path) -> None:
    assert packages(path) == {"ml_collections"}


def test_one_file_knows_orbax() -> None:
    assert [name for name, path in MODULES.items() if "orbax" in packages(path)] == ["checkpoint"]


@pytest.mark.parametrize("verb", ["train", "table", "verify-resume", "models", "import", "export", "predict"])
def test_help_loads_no_jax(verb: str) -> None:
    argv = [sys.executable, "-X", "importtime", "-m", "resjax", verb, "--help"]
    done = subprocess.run(argv, cwd=ROOT, capture_output=True, text=True, check=True)
    lines = [line for line in done.stderr.splitlines() if line.startswith("import time:")]
    loaded = {line.rpartition("|")[2].strip().partition(".")[0] for line in lines}
    assert done.stdout.startswith(f"usage: resjax {verb}")
    assert {"argparse", "absl"} <= loaded
    assert loaded.isdisjoint(
        {"jax", "jaxlib", "flax", "optax", "orbax", "numpy", "scipy", "matplotlib", "ray", "wandb", "mlflow"}
    )
