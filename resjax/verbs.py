"""What each verb of the command line does; each imports what it needs, so --help answers at once."""

import argparse
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from resjax.errors import UserError
from resjax.stop import interruptible, time_limit

if TYPE_CHECKING:
    from resjax.environment import Group
    from resjax.table import Engine, Work

PROCESSES = ("distributed", "coordinator", "processes", "process", "join_timeout")
# The options of `resjax table` that not all engines have.
OPTIONS_OF = {
    "plain": {"seconds", *PROCESSES},
    "slurm": {"cpus", "gpus", "partition", "time"},
    "ray": {"cpus", "gpus", "tpus", "address", "seconds"},
}


@interruptible()
def train(args: argparse.Namespace) -> None:
    group = _group(args)
    from resjax import budget, config, mesh, processes, tracking, training
    from resjax.progress import Display

    with processes.joined(group):
        with processes.agreeing():
            followed = tracking.Tracking(tracking.parse(args.track), args.workdir.absolute().name)
            loaded = budget.shorten(config.load(args.config, args.overrides), args.budget)
            layout = mesh.parse(args.mesh)
        display = Display(quiet=args.quiet or not processes.is_first())
        result = training.train(loaded, args.workdir, display, layout=layout, tracking=followed)
        if processes.is_first():
            _print_metrics(result["metrics"])
            print(
                f"{result['steps']} steps in {result['seconds']:.1f} s,"
                f" {result['images_per_second']:.0f} images/s; {args.workdir / 'result.json'}"
            )


def _group(args: argparse.Namespace) -> "Group | None":
    from resjax import environment

    return environment.parse(**{name: getattr(args, name) for name in PROCESSES})


def verify_resume(args: argparse.Namespace) -> None:
    from resjax import verify
    from resjax.errors import Differs
    from resjax.progress import Display

    flags = ["--config", args.config, *args.overrides, "--budget", str(args.budget)]
    flags += ["--mesh", args.mesh] if args.mesh else []
    with tempfile.TemporaryDirectory(prefix="resjax-") as folder:
        workdir = args.workdir or Path(folder)
        display, several = Display(quiet=args.quiet), args.processes
        found = verify.verify(flags, workdir, args.kills, args.seed, display, several)
    print("\n".join(found.kills))
    if found.difference:
        raise Differs(f"the bits differ, first in {found.difference}")
    print("the same bits: every report, the curve, and all arrays of the last state")


def evaluate(args: argparse.Namespace) -> None:
    if args.overrides and not args.config:
        raise UserError("overrides need --config FILE; without it the run's own config is used as it is")
    group = _group(args)
    from resjax import config, evaluation, mesh, processes

    which = {"split": args.split, "checkpoint": args.checkpoint}
    with processes.joined(group):
        with processes.agreeing():
            loaded = config.load(args.config, args.overrides) if args.config else None
            layout = mesh.parse(args.mesh)
        report = evaluation.evaluate(args.workdir, config=loaded, layout=layout, **which)
        if processes.is_first():
            print(f"step {report.pop('step')}, {report.pop('examples')} examples of {report.pop('split')}:")
            _print_metrics(report)


def _print_metrics(metrics: dict[str, float]) -> None:
    for name, value in metrics.items():
        print(f"  {name:24} {value:.2%}" if name.endswith("accuracy") else f"  {name:24} {value:.6g}")


@interruptible()
def table(args: argparse.Namespace) -> None:
    group = _group(args)
    if group and (args.list or args.render or args.plan):
        raise UserError("--list, --render and --plan run nothing; leave out the options of several processes")
    if args.track and (args.list or args.render or args.plan):
        raise UserError("--list, --render and --plan run nothing; leave out --track")
    from resjax import catalogue, mesh, processes, table, tracking

    if args.list:
        print(catalogue.listing(Path(args.file or "experiments")))
        return
    if not args.file:
        raise UserError("resjax table needs a table's file; resjax table --list shows those in experiments")
    engine = table.one_by_one if args.render else _engine(args)
    with processes.joined(group):
        with processes.agreeing():
            loaded, (file, _) = table.load(args.file), table.split(args.file)
            results = args.results / loaded.name if args.results else loaded.results(file)
            cells = [] if args.render else table.choose(loaded, file, args.row, args.seed)
            layout, trackers = mesh.parse(args.mesh), tracking.parse(args.track)
        if not args.render:
            work = table.Work(loaded, cells, args.budget, results, args.workdir, layout, trackers)
            _work(args, work, engine)
        if processes.is_first() and (args.render or not (args.plan or args.engine == "slurm")):
            print(table.publish(loaded, file, results))


def _work(args: argparse.Namespace, work: "Work", engine: "Engine") -> None:
    from resjax import plan, processes, table
    from resjax.progress import Display

    display = Display(quiet=args.quiet or not processes.is_first())
    if args.plan:
        print(plan.plan(work, display))
        return
    with time_limit(args.seconds):
        table.run(work, display, engine)


def _engine(args: argparse.Namespace) -> "Engine":
    """-> what runs a table's cells; raises UserError for an option that another engine has."""
    from resjax import table

    for name in sorted(set().union(*OPTIONS_OF.values()) - OPTIONS_OF[args.engine]):
        if getattr(args, name) is not None:
            having = " or ".join(engine for engine, options in OPTIONS_OF.items() if name in options)
            raise UserError(f"--{name.replace('_', '-')} goes with --engine {having}, not with {args.engine}")
    if args.engine == "slurm":
        from resjax.engines.slurm import Slurm

        requests = {"partition": args.partition, "time": args.time}
        return Slurm(args.file, requests | {"cpus-per-task": args.cpus, "gpus": args.gpus})
    if args.engine == "ray":
        return _ray(args)
    return table.one_by_one


def _ray(args: argparse.Namespace) -> "Engine":
    try:
        from resjax.engines.ray_cluster import Ray
    except ImportError as error:
        raise UserError(f"--engine ray needs Ray ({error}); python -m pip install 'resjax[ray]'") from error
    return Ray(args.address, args.cpus or 1, args.gpus, args.tpus or 0)


def show(args: argparse.Namespace) -> None:
    from resjax import config, show

    show.show(config.load(args.config, args.overrides))


def models(args: argparse.Namespace) -> None:
    from resjax import roster

    roster.show()


def plan(args: argparse.Namespace) -> None:
    from resjax import alone

    if args.topology:
        alone.run(f"the compiler for {args.topology}", _plan, args)
    else:
        _plan(args)


def _plan(args: argparse.Namespace) -> None:
    from resjax import backend

    backend.configure()  # it may be the first that this process does
    from resjax import config, forecast, mesh, preflight, topology

    loaded, layout = config.load(args.config, args.overrides), mesh.parse(args.mesh)
    target = topology.find(args.topology)
    found = preflight.plan(loaded, target, layout, lambda line: print(line, file=sys.stderr, flush=True))
    forecast.show(found, as_json=args.json)


def take(args: argparse.Namespace) -> None:
    from resjax import config
    from resjax.interop import constants, taking

    normalized = constants.overrides(args.normalize) if args.normalize else []
    loaded = config.load(args.config, [*args.overrides, *normalized])
    leave_out = [module for module in args.leave_out.split(",") if module]
    print(taking.take(args.checkpoint, loaded, args.out, args.padding, leave_out))
    print(f"{args.out}, a run at step 0: resjax eval --workdir {args.out}")


def export(args: argparse.Namespace) -> None:
    from resjax.interop import exporting

    print(exporting.export(args.workdir, args.out, args.checkpoint))


def predict(args: argparse.Namespace) -> None:
    from resjax.interop import predicting

    for found in predicting.Predictor(args.export).predict(args.images, args.top):
        best = ", ".join(f"{name} {probability:.4f}" for name, probability in found.classes)
        print(f"{found.path}: {best}")


def prepare(args: argparse.Namespace) -> None:
    from resjax.data import tfds_source

    kind, _, name = args.name.partition(":")
    if kind != "tfds" or not name:
        raise UserError(f"'{args.name}' is not a tensorflow-datasets name; it must look like tfds:cifar10")
    print(tfds_source.prepare(name, args.directory, overwrite=args.overwrite))


def probe(args: argparse.Namespace) -> None:
    from resjax import probing
    from resjax.probes import findings
    from resjax.progress import Display

    own = [flag for flag in args.overrides if flag.startswith("--probe.")]
    overrides = [flag for flag in args.overrides if flag not in own]
    given = probing.settings(args.name, own)
    single = [str(spec) for spec in (args.config, args.workdir) if spec]
    if not (single or args.compare):
        raise UserError("resjax probe needs --config FILE, --workdir DIR or --compare with several of them")
    nets = probing.subjects([*single, *args.compare], overrides, args.checkpoint, args.seeds)
    out = args.out or (args.workdir or Path()) / "probes"
    report = probing.probe(args.name, nets, given, out, Display(quiet=args.quiet))
    print(findings.table(report))
    print(f"{out / args.name}.json, .csv, .png, .pdf")
