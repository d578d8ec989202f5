"""Machines of any cloud, through SkyPilot: a managed job, which goes on elsewhere if its machines are lost.

    python -m experiments.launch skypilot --name r56 --accelerators tpu-v6e-8 --spot --bucket my-runs -- \\
        train --config configs/cifar10_resnet.py:56 --workdir /mnt/resjax/runs/r56

The source is this folder, but for what git ignores. --bucket is mounted at /mnt/resjax on all machines, also
on those that take over: folders of runs, results and data lie there. It must rename folders at once (on
Google Cloud: a bucket with hierarchical namespace), for that is how a checkpoint comes to be. Exit code 75
has the job started again.
"""

import argparse
import json
import textwrap
from pathlib import Path
from string import Template

from experiments.launch import source
from experiments.launch.command import ENVIRONMENT, SETUP, Command
from experiments.launch.steps import Run, Step, Write
from resjax.errors import Interrupted

NAME = "skypilot"
MOUNT = "/mnt/resjax"
PORT = 8476
# Machines with GPUs do not tell by themselves who takes part; those with TPUs do.
JOIN = (
    f' --coordinator "$(head -n 1 <<< "$SKYPILOT_NODE_IPS"):{PORT}"'
    ' --processes "$SKYPILOT_NUM_NODES" --process "$SKYPILOT_NODE_RANK"'
)
TASK = Template("""\
# For sky jobs launch.
name: $name
num_nodes: $nodes
workdir: .
resources:
  accelerators: $accelerators
  use_spot: $spot
  job_recovery:
    recover_on_exit_codes: [$again]
file_mounts:
  $mount:
    name: $bucket
    mode: MOUNT
setup: |
$setup
run: |
$run
""")


def add_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--name", required=True, metavar="NAME", help="of the job")
    parser.add_argument(
        "--accelerators", required=True, metavar="KIND[:N]", help="of each machine, such as tpu-v6e-8, H100:8"
    )
    parser.add_argument("--bucket", required=True, metavar="NAME", help=f"mounted at {MOUNT}")
    parser.add_argument("--nodes", type=int, default=1, metavar="N", help="machines with GPUs (default: 1)")
    parser.add_argument("--spot", action="store_true", help="cheaper, and may be taken away at any time")


def steps(args: argparse.Namespace, command: Command) -> list[Step]:
    source.check_not_ignored(command.files)
    path = Path("runs") / "launch" / f"{args.name}.yaml"
    launch = ["sky", "jobs", "launch", "--yes", f"--name={args.name}", str(path)]
    return [Write(path, _task(args, command)), Run(launch)]


def _task(args: argparse.Namespace, command: Command) -> str:
    tpu = args.accelerators.startswith("tpu")
    run = command.shell(f"{ENVIRONMENT}/bin/python", command.joined() if tpu else None)
    run += JOIN if args.nodes > 1 and not tpu else ""
    package = command.package("tpu" if tpu else "cuda")
    return TASK.substitute(
        name=json.dumps(args.name),  # a text of JSON is one of YAML
        nodes=args.nodes,
        accelerators=json.dumps(args.accelerators),
        spot=json.dumps(args.spot),
        again=Interrupted.exit_code,
        mount=MOUNT,
        bucket=json.dumps(args.bucket),
        setup=textwrap.indent(f"set -e\n{SETUP.format(package=package)}", "  "),
        run=textwrap.indent(run, "  "),
    )
