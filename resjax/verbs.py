"""The verbs of the command line and their options; each imports what it needs, so --help answers at once."""

import argparse
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

from resjax import __version__, usage
from resjax.errors import UserError

if TYPE_CHECKING:
    from resjax.table import Work

BUDGET_HELP = "shorten the schedule to this share, such as 0.1 (default: 1)"
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
    verbs = parser.add_subparsers(dest="verb", metavar="VERB", required=True)

    def add(
        name: str, run: Callable[[argparse.Namespace], None], short: str, text: str, takes_overrides: bool
    ) -> argparse.ArgumentParser:
        verb = verbs.add_parser(
            name,
            help=short,
            description=text,
            formatter_class=argparse.RawDescriptionHelpFormatter,
            allow_abbrev=False,
        )
        verb.set_defaults(run=run, takes_overrides=takes_overrides)
        return verb

    verb = add("train", _train, "train a net; goes on where a stopped run was", usage.TRAIN, True)
    verb.add_argument("--config", required=True, metavar="FILE[:ARG]", help="a config file")
    verb.add_argument("--workdir", required=True, type=_folder, metavar="DIR", help="the run's folder")
    verb.add_argument("--budget", type=float, default=1.0, metavar="SHARE", help=BUDGET_HELP)
    verb.add_argument("--mesh", metavar="AXIS=N", help=MESH_HELP)
    verb.add_argument("--quiet", action="store_true", help="no progress, just the result")

    verb = add("eval", _eval, "a run's accuracy on any split", usage.EVAL, True)
    verb.add_argument("--workdir", required=True, type=_folder, metavar="DIR", help="the run's folder")
    verb.add_argument("--config", metavar="FILE[:ARG]", help="a config file other than the run's own")
    verb.add_argument("--split", default="test", choices=("test", "validation", "train"))
    verb.add_argument("--checkpoint", default="last", metavar="last|best|STEP", help="which (default: last)")
    verb.add_argument("--mesh", metavar="AXIS=N", help=MESH_HELP)

    verb = add("table", _table, "run what is missing of a comparison, and print it", usage.TABLE, False)
    verb.add_argument(
        "file", nargs="?", metavar="FILE[:ARG]", help="a table file, such as experiments/quickstart.py"
    )
    verb.add_argument("--row", metavar="LABEL", help="run this row only")
    verb.add_argument("--seed", type=int, metavar="N", help="run this seed only")
    verb.add_argument("--budget", type=float, default=1.0, metavar="SHARE", help=BUDGET_HELP)
    verb.add_argument("--mesh", metavar="AXIS=N", help=MESH_HELP)
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

    verb = add("show", _show, "every layer: shape, parameters, multiply-adds", usage.SHOW, True)
    verb.add_argument("--config", required=True, metavar="FILE[:ARG]", help="a config file")

    verb = add("plan", _plan, "memory and time on devices, before there are any", usage.PLAN, True)
    verb.add_argument("--config", required=True, metavar="FILE[:ARG]", help="a config file")
    verb.add_argument(
        "--topology", metavar="CHIP:AxB", help="a TPU slice, such as v5e:2x4 (default: this machine)"
    )
    verb.add_argument("--mesh", metavar="AXIS=N", help=MESH_HELP)
    verb.add_argument("--json", action="store_true", help="print the same as JSON")

    verb = add("probe", _probe, "see a net's gradients, responses, losses", usage.PROBE, True)
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

    verb = add("prepare", _prepare, "download a data set", usage.PREPARE, False)
    verb.add_argument("name", metavar="tfds:NAME", help="the data set")
    verb.add_argument("--directory", default="", metavar="DIR", help="default: ~/tensorflow_datasets")
    verb.add_argument("--overwrite", action="store_true", help="replace what is there")
    return parser


def _folder(text: str) -> Path:
    if not text:
        raise argparse.ArgumentTypeError("it is empty; give a folder")
    return Path(text)


def _seconds(text: str) -> float:
    try:
        found = float(text)
    except ValueError:
        found = 0.0
    if not 0 < found < float("inf"):
        raise argparse.ArgumentTypeError(f"it is '{text}'; give a number of seconds above 0")
    return found


def _train(args: argparse.Namespace) -> None:
    from resjax import budget, config, mesh, train
    from resjax.progress import Display

    loaded = budget.shorten(config.load(args.config, args.overrides), args.budget)
    display, layout = Display(quiet=args.quiet), mesh.parse(args.mesh)
    result = train.train(loaded, args.workdir, display, layout=layout)
    _print_metrics(result["metrics"])
    print(
        f"{result['steps']} steps in {result['seconds']:.1f} s, {result['images_per_second']:.0f} images/s;"
        f" {args.workdir / 'result.json'}"
    )


def _eval(args: argparse.Namespace) -> None:
    from resjax import config, evaluate, mesh

    if args.overrides and not args.config:
        raise UserError("overrides need --config FILE; without it the run's own config is used as it is")
    loaded = config.load(args.config, args.overrides) if args.config else None
    which = {"split": args.split, "checkpoint": args.checkpoint}
    report = evaluate.evaluate(args.workdir, config=loaded, layout=mesh.parse(args.mesh), **which)
    print(f"step {report.pop('step')}, {report.pop('examples')} examples of {report.pop('split')}:")
    _print_metrics(report)


def _print_metrics(metrics: dict[str, float]) -> None:
    for name, value in metrics.items():
        print(f"  {name:24} {value:.2%}" if name.endswith("accuracy") else f"  {name:24} {value:.6g}")


def _table(args: argparse.Namespace) -> None:
    from resjax import catalogue, mesh, table

    if args.list:
        print(catalogue.listing(Path(args.file or "experiments")))
        return
    if not args.file:
        raise UserError("resjax table needs a table's file; resjax table --list shows those in experiments")
    loaded, (file, _) = table.load(args.file), table.split(args.file)
    results = args.results / loaded.name if args.results else loaded.results(file)
    if not args.render:
        cells = table.choose(loaded, file, args.row, args.seed)
        layout = mesh.parse(args.mesh)
        _work(args, table.Work(loaded, cells, args.budget, results, args.workdir, layout))
    if not args.plan:
        print(table.publish(loaded, file, results))


def _work(args: argparse.Namespace, work: "Work") -> None:
    from resjax import plan, table
    from resjax.progress import Display
    from resjax.stop import time_limit

    display = Display(quiet=args.quiet)
    if args.plan:
        print(plan.plan(work, display))
        return
    with time_limit(args.seconds):
        table.run(work, display)


def _show(args: argparse.Namespace) -> None:
    from resjax import config, show

    show.show(config.load(args.config, args.overrides))


def _plan(args: argparse.Namespace) -> None:
    from resjax import config, forecast, mesh, preflight, topology

    loaded, layout = config.load(args.config, args.overrides), mesh.parse(args.mesh)
    target = topology.find(args.topology)
    found = preflight.plan(loaded, target, layout, lambda line: print(line, file=sys.stderr, flush=True))
    forecast.show(found, as_json=args.json)


def _prepare(args: argparse.Namespace) -> None:
    from resjax.data import tfds_source

    kind, _, name = args.name.partition(":")
    if kind != "tfds" or not name:
        raise UserError(f"'{args.name}' is not a tensorflow-datasets name; it must look like tfds:cifar10")
    print(tfds_source.prepare(name, args.directory, overwrite=args.overwrite))


def _probe(args: argparse.Namespace) -> None:
    from resjax import probe
    from resjax.probes import findings
    from resjax.progress import Display

    own = [flag for flag in args.overrides if flag.startswith("--probe.")]
    overrides = [flag for flag in args.overrides if flag not in own]
    given = probe.settings(args.name, own)
    single = [str(spec) for spec in (args.config, args.workdir) if spec]
    if not (single or args.compare):
        raise UserError("resjax probe needs --config FILE, --workdir DIR or --compare with several of them")
    if args.seeds < 1:
        raise UserError(f"--seeds is {args.seeds}; it must be at least 1")
    nets = probe.subjects([*single, *args.compare], overrides, args.checkpoint, args.seeds)
    out = args.out or (args.workdir or Path()) / "probes"
    report = probe.probe(args.name, nets, given, out, Display(quiet=args.quiet))
    print(findings.table(report))
    print(f"{out / args.name}.json, .csv, .png, .pdf")
