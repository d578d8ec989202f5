"""A slice of Cloud TPU: made if need be, given the source, and the command run on all of its hosts.

    python -m experiments.launch tpu-vm --name r56 --zone us-west4-a --type v5litepod-8 -- \\
        train --config configs/cifar10_resnet.py:56 --workdir runs/r56

The source is the last commit. The same launch goes on where a stopped one was, and finds the slice that is
there; `gcloud compute tpus tpu-vm delete NAME` ends what it costs. Output comes to this terminal: start it in
tmux. A run that was saved for maintenance (exit code 75) is started again on the slice, one that was killed a
few times; a spot slice that was taken away is not: delete what is left of it, and launch again.

Hosts of a slice share no disk: where it has several, --nfs names what all of them mount at /mnt/resjax, and
folders of runs, results and data lie there.
"""

import argparse
import tempfile
from pathlib import Path

from experiments.launch import source
from experiments.launch.command import ENVIRONMENT, SETUP, Command
from experiments.launch.steps import Run, Step
from resjax.errors import UserError

NAME = "tpu-vm"
MOUNT = "/mnt/resjax"
RUNTIMES = {"v5litepod": "v2-alpha-tpuv5-lite", "v5p": "v2-alpha-tpuv5", "v6e": "v2-alpha-tpuv6e"}
OLDER = "tpu-ubuntu2204-base"  # up to v4
ON_A_HOST = 8  # at most: the number of a type counts chips of v5e and v6e, of others cores, two a chip
KILLS = 5  # of a process on a host, before it is left at that: memory may be short
CLONE = """\
test -d resjax || git -c advice.detachedHead=false clone --quiet resjax.bundle resjax
cd resjax
git fetch --quiet ../resjax.bundle HEAD
git checkout --quiet --detach FETCH_HEAD"""
NFS = """\
mountpoint --quiet {at} || sudo apt-get install --yes --quiet nfs-common
mountpoint --quiet {at} || (sudo mkdir -p {at} && sudo mount -t nfs {share} {at} && sudo chmod 777 {at})"""
# 143: asked to stop before there was anything to save. Where one process is killed, the others end with 75.
AGAIN = """\
kills=0
while true; do
  code=0
  {command} || code=$?
  case $code in
    75 | 143) ;;
    137) kills=$((kills + 1)); test "$kills" -le {kills} || exit "$code" ;;
    *) exit "$code" ;;
  esac
done"""


def add_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--name", required=True, metavar="NAME", help="of the slice")
    parser.add_argument("--zone", required=True, metavar="ZONE", help="of Google Cloud, such as us-west4-a")
    parser.add_argument("--type", required=True, metavar="TYPE", help="accelerator type, such as v5litepod-8")
    parser.add_argument("--runtime", metavar="VERSION", help="software of its hosts (default: by its type)")
    parser.add_argument("--project", metavar="PROJECT", help="of Google Cloud (default: gcloud's)")
    parser.add_argument("--spot", action="store_true", help="cheaper, and may be taken away at any time")
    parser.add_argument("--nfs", metavar="SERVER:/SHARE", help=f"mounted by all hosts at {MOUNT}")


def steps(args: argparse.Namespace, command: Command) -> list[Step]:
    source.check_in_commit(command.files)
    _check_disk(args, command)
    place = [f"--zone={args.zone}", *([f"--project={args.project}"] if args.project else [])]
    tpus = ["gcloud", "compute", "tpus", "tpu-vm"]
    kind = args.type.partition("-")[0]
    make = [*tpus, "create", args.name, *place, f"--accelerator-type={args.type}"]
    make += [f"--version={args.runtime or RUNTIMES.get(kind, OLDER)}", *(["--spot"] if args.spot else [])]
    bundle = Path(tempfile.gettempdir()) / f"{args.name}-resjax.bundle"
    copy = [*tpus, "scp", str(bundle), f"{args.name}:resjax.bundle", *place, "--worker=all"]
    run = [*tpus, "ssh", args.name, *place, "--worker=all", f"--command={_script(args, command)}"]
    return [
        Run(make, unless=[*tpus, "describe", args.name, *place]),
        Run(["git", "bundle", "create", "--quiet", str(bundle), "HEAD"]),
        Run(copy),
        Run(run),
    ]


def _check_disk(args: argparse.Namespace, command: Command) -> None:
    number = args.type.rpartition("-")[2]
    shared = args.nfs and command.args.workdir.is_relative_to(MOUNT)
    if number.isdecimal() and int(number) > ON_A_HOST and not shared:
        raise UserError(
            f"--type {args.type} has several hosts, which share no disk; give --nfs SERVER:/SHARE, and a"
            f" --workdir in {MOUNT}, where it is mounted"
        )


def _script(args: argparse.Namespace, command: Command) -> str:
    """-> what each host runs."""
    mount = [NFS.format(at=MOUNT, share=args.nfs)] if args.nfs else []
    run = command.shell(f"{ENVIRONMENT}/bin/python", command.joined())
    setup = SETUP.format(package=command.package("tpu"))
    return "\n".join(["set -e", *mount, CLONE, setup, AGAIN.format(command=run, kills=KILLS)])
