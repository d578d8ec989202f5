"""A slice of a GKE cluster, through xpk, which submits a JobSet to the cluster's queue (Kueue).

    python -m experiments.launch xpk --name r56 --cluster mine --type v5litepod-16 -- \\
        train --config configs/cifar10_resnet.py:56 --workdir /data/runs/r56

The source is this folder, added to an image of Python. Folders of runs, results and data must lie on a
storage that is attached to the cluster and mounted by its workloads (xpk storage attach --auto-mount=true).
A run that is asked to stop has two minutes to save, and exit code 75 has it started again, as has the loss of
a machine.
"""

import argparse

from experiments.launch import source
from experiments.launch.command import Command
from experiments.launch.steps import Run, Step
from resjax.errors import Interrupted

NAME = "xpk"
IMAGE = "python:3.12"
RESTARTS = 50  # xpk's own advice for long jobs
SETUP = "python -m pip install --quiet -e {package} -c constraints.txt"


def add_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--name", required=True, metavar="NAME", help="of the workload")
    parser.add_argument("--cluster", required=True, metavar="CLUSTER", help="made by xpk cluster create")
    parser.add_argument("--type", required=True, metavar="TYPE", help="of the slice, such as v5litepod-16")
    parser.add_argument("--zone", metavar="ZONE", help="of Google Cloud (default: gcloud's)")
    parser.add_argument("--project", metavar="PROJECT", help="of Google Cloud (default: gcloud's)")
    parser.add_argument(
        "--image", default=IMAGE, metavar="IMAGE", help=f"with Python 3.11 or newer (default: {IMAGE})"
    )


def steps(args: argparse.Namespace, command: Command) -> list[Step]:
    source.check_in_folder(command.files)
    places = {"zone": args.zone, "project": args.project}
    create = ["xpk", "workload", "create", f"--workload={args.name}", f"--cluster={args.cluster}"]
    create += [f"--{option}={value}" for option, value in places.items() if value]
    create += [f"--tpu-type={args.type}", f"--base-docker-image={args.image}", "--script-dir=."]
    create += [f"--max-restarts={RESTARTS}", f"--restart-on-exit-codes={Interrupted.exit_code}"]
    create += ["--termination-grace-period-seconds=120"]
    setup, run = SETUP.format(package=command.package("tpu")), command.shell("python", command.joined())
    # xpk runs `(command) &` and hands SIGTERM on to that shell alone: exec puts Python in its place.
    return [Run([*create, f"--command={setup} && exec {run}"])]
