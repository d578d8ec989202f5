"""A SLURM cluster: one run over several nodes, or the cells of a table, each a task of an array job.

    python -m experiments.launch slurm --nodes 2 --gpus 4 --time 8:00:00 -- \\
        train --config configs/imagenet_resnet.py:50 --workdir runs/r50

A run is one process for each GPU, as JAX expects of SLURM, or one for each node. Two minutes before the end
of its time SLURM sends SIGTERM to all of them; they save and end with exit code 75, and the job goes back
into the queue, to go on from there. A table is what `resjax table --engine slurm` writes, submitted. Nodes
share the folders of the source, of its environment, of runs and of results.
"""

import argparse
import shlex
import sys
from pathlib import Path
from string import Template

from experiments.launch.command import Command
from experiments.launch.steps import Run, Step, Write
from resjax.errors import Interrupted, UserError

NAME = "slurm"
SCRIPT = Template("""\
#!/bin/bash
# One run on several nodes, for sbatch.
$directives

cd $here || exit
srun $command
code=$$?
case $$code in
  $again | 143) # saved, or ended before there was anything to save: to be gone on with
    scontrol requeue "$$SLURM_JOB_ID" ;;
esac
exit "$$code"
""")


def add_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--nodes", type=int, default=1, metavar="N", help="of one run (default: 1)")
    parser.add_argument("--gpus", type=int, metavar="N", help="of each node, or of each cell of a table")
    parser.add_argument("--cpus", type=int, metavar="N", help="of each process, or of each cell of a table")
    parser.add_argument("--partition", metavar="NAME", help="sbatch's")
    parser.add_argument("--time", metavar="LIMIT", help="sbatch's, such as 8:00:00")


def steps(args: argparse.Namespace, command: Command) -> list[Step]:
    return _of_table(args, command) if command.is_table else _submitted(_of_run(args, command))


def _submitted(script: Write) -> list[Step]:
    return [script, Run(["sbatch", str(script.path)])]


def _of_run(args: argparse.Namespace, command: Command) -> Write:
    place: Path = command.args.workdir.absolute()
    options = {
        "job-name": place.name,
        "nodes": args.nodes,
        "ntasks-per-node": args.gpus or 1,
        "gpus-per-node": args.gpus,
        "cpus-per-task": args.cpus,
        "partition": args.partition,
        "time": args.time,
        "output": f"{place.parent}/{place.name}-%j.log",
        "open-mode": "append",
        "signal": "TERM@120",
    }
    words = [f"--{name}={shlex.quote(str(value))}" for name, value in options.items() if value]
    text = SCRIPT.substitute(
        directives="\n".join(f"#SBATCH {word}" for word in ("--requeue", *words)),
        here=shlex.quote(str(Path.cwd())),
        command=command.shell(shlex.quote(sys.executable), command.joined()),
        again=Interrupted.exit_code,
    )
    return Write(place.parent / f"{place.name}.slurm.sh", text)


def _of_table(args: argparse.Namespace, command: Command) -> list[Step]:
    from resjax import mesh, table, tracking
    from resjax.engines.slurm import NOTHING, Slurm

    if args.nodes > 1:
        raise UserError(f"--nodes is {args.nodes}, but a cell of a table runs on one node; leave it out")
    given = command.args
    loaded, (file, _) = table.load(given.file), table.split(given.file)
    results = given.results / loaded.name if given.results else loaded.results(file)
    cells = table.choose(loaded, file, given.row, given.seed)
    layout, trackers = mesh.parse(given.mesh), tracking.parse(given.track)
    work = table.Work(loaded, cells, given.budget, results, given.workdir, layout, trackers)
    missing = work.missing()
    if not missing:
        return [Run(["echo", NOTHING])]
    requests = {"partition": args.partition, "time": args.time, "cpus-per-task": args.cpus, "gpus": args.gpus}
    script = Slurm(given.file, requests).script(work, missing)
    return _submitted(Write(work.place.absolute() / "slurm.sh", script))
