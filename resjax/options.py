"""The options of the command line; what its verbs do is in `verbs`."""

import argparse
from collections.abc import Callable
from pathlib import Path
from typing import NoReturn

from resjax import __version__, usage, verbs
from resjax.errors import UserError

BUDGET_HELP = "shorten the schedule to this share, such as 0.1 (default: 1)"
TRACK_HELP = "send all reports there too: wandb or mlflow; once for each"
MESH_HELP = "devices that share the work: data=8, or data=4,fsdp=2 (default: all, along data)"


class Parser(argparse.ArgumentParser):
    """Says what is wrong in one line."""

    def error(self, message: str) -> NoReturn:
        self.exit(UserError.exit_code, f"resjax: {message}; see {self.prog} --help\n")


def parser() -> Parser:
    parser = Parser(
        prog="resjax",
        description="Skip connections, auxiliary heads and pretraining on one bench.",
        epilog="resjax VERB --help explains each.",
        allow_abbrev=False,
    )
    parser.add_argument("--version", action="version", version=f"resjax {__version__}")
    subparsers = parser.add_subparsers(dest="verb", metavar="VERB", required=True)

    def add(
        name: str, run: Callable[[argparse.Namespace], None], short: str, text: str, takes_overrides: bool
    ) -> argparse.ArgumentParser:
        verb = subparsers.add_parser(
            name,
            help=short,
            description=text,
            formatter_class=argparse.RawDescriptionHelpFormatter,
            allow_abbrev=False,
        )
        verb.set_defaults(run=run, takes_overrides=takes_overrides)
        return verb

    verb = add("train", verbs.train, "train a net; goes on where a stopped run was", usage.TRAIN, True)
    verb.add_argument("--config", required=True, metavar="FILE[:ARG]", help="a config file")
    verb.add_argument("--workdir", required=True, type=_folder, metavar="DIR", help="the run's folder")
    verb.add_argument("--budget", type=float, default=1.0, metavar="SHARE", help=BUDGET_HELP)
    verb.add_argument("--mesh", metavar="AXIS=N", help=MESH_HELP)
    verb.add_argument("--track", action="append", default=[], metavar="NAME", help=TRACK_HELP)
    verb.add_argument("--quiet", action="store_true", help="no progress, just the result")
    _add_processes(verb)

    verb = add(
        "verify-resume", verbs.verify_resume, "kill a run, resume it, compare bits", usage.VERIFY, True
    )
    verb.add_argument("--config", required=True, metavar="FILE[:ARG]", help="a config file")
    verb.add_argument(
        "--workdir",
        type=_folder,
        metavar="DIR",
        help="keep both runs in this empty folder (default: neither)",
    )
    verb.add_argument("--budget", type=float, default=1.0, metavar="SHARE", help=BUDGET_HELP)
    verb.add_argument("--mesh", metavar="AXIS=N", help=MESH_HELP)
    verb.add_argument("--kills", type=int, default=3, metavar="N", help="how many (default: 3)")
    verb.add_argument("--seed", type=int, default=0, metavar="N", help="of signals and moments (default: 0)")
    verb.add_argument(
        "--processes",
        type=_at_least(1),
        default=1,
        metavar="N",
        help="of each run, on this machine (default: 1)",
    )
    verb.add_argument("--quiet", action="store_true", help="no progress, just the kills and the verdict")

    verb = add("eval", verbs.evaluate, "a run's accuracy on any split", usage.EVAL, True)
    verb.add_argument("--workdir", required=True, type=_folder, metavar="DIR", help="the run's folder")
    verb.add_argument("--config", metavar="FILE[:ARG]", help="a config file other than the run's own")
    verb.add_argument("--split", default="test", choices=("test", "validation", "train"))
    verb.add_argument("--checkpoint", default="last", metavar="last|best|STEP", help="which (default: last)")
    verb.add_argument("--mesh", metavar="AXIS=N", help=MESH_HELP)
    _add_processes(verb)

    verb = add("table", verbs.table, "run what is missing of a comparison, and print it", usage.TABLE, False)
    verb.add_argument(
        "file", nargs="?", metavar="FILE[:ARG]", help="a table file, such as experiments/quickstart.py"
    )
    verb.add_argument("--row", metavar="LABEL", help="run this row only")
    verb.add_argument("--seed", type=int, metavar="N", help="run this seed only")
    verb.add_argument("--budget", type=float, default=1.0, metavar="SHARE", help=BUDGET_HELP)
    verb.add_argument("--mesh", metavar="AXIS=N", help=MESH_HELP)
    verb.add_argument("--track", action="append", default=[], metavar="NAME", help=TRACK_HELP)
    verb.add_argument("--seconds", type=_seconds, metavar="N", help="save and stop behind this time")
    verb.add_argument(
        "--results", type=Path, metavar="DIR", help="records and rendered files (default: the table's)"
    )
    verb.add_argument(
        "--workdir", type=Path, default=Path("runs"), metavar="DIR", help="runs (default: runs)"
    )
    instead = verb.add_mutually_exclusive_group()
    instead.add_argument("--render", action="store_true", help="run nothing, render from the records")
    instead.add_argument("--plan", action="store_true", help="run nothing, say what is missing and its time")
    instead.add_argument(
        "--list", action="store_true", help="all tables of the folder FILE (default: experiments)"
    )
    verb.add_argument("--quiet", action="store_true", help="no progress, just the table")
    where = verb.add_argument_group("where the cells run")
    where.add_argument(
        "--engine",
        default="plain",
        choices=("plain", "slurm", "ray"),
        help="one by one here, by an array job that you submit, or as tasks of Ray (default: plain)",
    )
    where.add_argument("--cpus", type=_at_least(1), metavar="N", help="slurm, ray: of each cell (ray: 1)")
    where.add_argument(
        "--gpus", type=_at_least(0), metavar="N", help="slurm, ray: of each cell (ray: 1 where there are any)"
    )
    where.add_argument("--tpus", type=_at_least(0), metavar="N", help="ray: chips of each cell (default: 0)")
    where.add_argument("--partition", metavar="NAME", help="slurm: sbatch's")
    where.add_argument("--time", metavar="LIMIT", help="slurm: sbatch's, such as 8:00:00, of each cell")
    where.add_argument(
        "--address", metavar="HOST:PORT", help="ray: of a running cluster (default: one on this machine)"
    )

    _add_processes(verb)

    verb = add("show", verbs.show, "every layer: shape, parameters, multiply-adds", usage.SHOW, True)
    verb.add_argument("--config", required=True, metavar="FILE[:ARG]", help="a config file")

    add("models", verbs.models, "families of nets: parameters, multiply-adds, source", usage.MODELS, False)

    verb = add("plan", verbs.plan, "memory and time on devices, before there are any", usage.PLAN, True)
    verb.add_argument("--config", required=True, metavar="FILE[:ARG]", help="a config file")
    verb.add_argument(
        "--topology", metavar="CHIP:AxB", help="a TPU slice, such as v5e:2x4 (default: this machine)"
    )
    verb.add_argument("--mesh", metavar="AXIS=N", help=MESH_HELP)
    verb.add_argument("--json", action="store_true", help="print the same as JSON")

    verb = add("probe", verbs.probe, "see a net's gradients, responses, losses", usage.PROBE, True)
    verb.add_argument("name", metavar="NAME", help="what to measure, of the list above")
    verb.add_argument(
        "--config", metavar="FILE[:ARG]", help="a config file: its net at the start of training"
    )
    verb.add_argument(
        "--workdir", type=_folder, metavar="DIR", help="a run's folder: its net at a checkpoint"
    )
    verb.add_argument(
        "--compare", nargs="+", default=[], metavar="[LABEL=]FILE|DIR", help="several of either"
    )
    verb.add_argument(
        "--checkpoint", default="last", metavar="last|best|STEP", help="of runs (default: last)"
    )
    verb.add_argument("--seeds", type=int, default=3, metavar="N", help="of each config (default: 3)")
    verb.add_argument(
        "--out", type=Path, metavar="DIR", help="default: probes, in the run's folder if it is one"
    )
    verb.add_argument("--quiet", action="store_true", help="no progress, just the table")

    verb = add("import", verbs.take, "weights from PyTorch or a .safetensors file", usage.IMPORT, True)
    verb.add_argument(
        "checkpoint", type=Path, metavar="CHECKPOINT", help="a .safetensors, .pt, .pth or .th file"
    )
    verb.add_argument("--config", required=True, metavar="FILE[:ARG]", help="a config file with the net")
    verb.add_argument("--out", required=True, type=_folder, metavar="DIR", help="the new run's folder")
    verb.add_argument(
        "--padding", choices=("both", "behind"), help="where the file's shortcuts of option A put zeros"
    )
    verb.add_argument(
        "--normalize",
        metavar="NAME|M,M,M/S,S,S",
        help="how its images were normalised (default: the config's)",
    )
    verb.add_argument(
        "--leave-out", default="", metavar="MODULE,...", help="what of the file is not read: aux1,aux2"
    )

    verb = add("export", verbs.export, "weights, inference program and model card", usage.EXPORT, False)
    verb.add_argument("--workdir", required=True, type=_folder, metavar="DIR", help="the run's folder")
    verb.add_argument("--out", required=True, type=_folder, metavar="DIR", help="the export's new folder")
    verb.add_argument("--checkpoint", default="last", metavar="last|best|STEP", help="which (default: last)")

    verb = add("predict", verbs.predict, "classes of image files, by an export", usage.PREDICT, False)
    verb.add_argument("export", type=Path, metavar="EXPORT", help="an export's folder")
    verb.add_argument("images", nargs="+", type=Path, metavar="IMAGE|DIR", help="files, or folders of them")
    verb.add_argument("--top", type=_at_least(1), default=1, metavar="N", help="classes a file (default: 1)")

    verb = add("prepare", verbs.prepare, "download a data set", usage.PREPARE, False)
    verb.add_argument("name", metavar="tfds:NAME", help="the data set")
    verb.add_argument("--directory", default="", metavar="DIR", help="default: ~/tensorflow_datasets")
    verb.add_argument("--overwrite", action="store_true", help="replace what is there")
    return parser


def _add_processes(verb: argparse.ArgumentParser) -> None:
    """Their default is None: what is not given can be told from what is."""
    group = verb.add_argument_group("several processes, each started with the same command")
    group.add_argument(
        "--distributed",
        action="store_true",
        default=None,
        help="as the environment says: Cloud TPU, SLURM, ...",
    )
    group.add_argument("--coordinator", metavar="HOST:PORT", help="by hand: a free port of process 0's host")
    group.add_argument("--processes", type=_at_least(1), metavar="N", help="by hand: how many")
    group.add_argument("--process", type=_at_least(0), metavar="I", help="by hand: which one, from 0")
    group.add_argument(
        "--join-timeout", type=_seconds, metavar="N", help="seconds for all to come (default: 300)"
    )


def _folder(text: str) -> Path:
    if not text:
        raise argparse.ArgumentTypeError("it is empty; give a folder")
    return Path(text)


def _at_least(least: int) -> Callable[[str], int]:
    def parse(text: str) -> int:
        if not text.isdecimal() or int(text) < least:
            raise argparse.ArgumentTypeError(f"it is '{text}'; give a whole number from {least}")
        return int(text)

    return parse


def _seconds(text: str) -> float:
    try:
        found = float(text)
    except ValueError:
        found = 0.0
    if not 0 < found < float("inf"):
        raise argparse.ArgumentTypeError(f"it is '{text}'; give a number of seconds above 0")
    return found
