"""A table's missing cells as an array job of SLURM: a script for sbatch, one cell a task.

A task runs `resjax table FILE --row LABEL --seed N`, so that records and locks are as with any other engine.
Two minutes before the end of its time SLURM sends SIGTERM to the script's shell alone, which hands it on; the
run saves and ends with exit code 75, and the task goes back into the queue, to go on from there. One that is
preempted goes on from its last checkpoint.
"""

import dataclasses
import shlex
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from string import Template

from resjax.budget import FULL
from resjax.cells import Cell
from resjax.progress import Display
from resjax.record import write_atomically
from resjax.table import Work

SCRIPT = Template("""\
#!/bin/bash
# The missing cells of $name, one a task, for sbatch.
$directives

rows=($rows)
seeds=($seeds)
cd $here || exit
trap 'asked=1; kill -TERM "$$run"' TERM
$command \\
  --row "$${rows[SLURM_ARRAY_TASK_ID]}" --seed "$${seeds[SLURM_ARRAY_TASK_ID]}" &
run=$$!
wait "$$run"
code=$$?
if [ -n "$$asked" ]; then  # the signal ended the waiting, not yet the run
  wait "$$run"
  code=$$?
fi
case $$code in
  75 | 143) # saved, or ended before there was anything to save: to be gone on with
    if [ -n "$$SLURM_JOB_ID" ]; then scontrol requeue "$$SLURM_JOB_ID"; fi ;;
esac
exit "$$code"
""")
NOTHING = "no cell is missing, so that there is nothing to submit"


@dataclasses.dataclass(frozen=True)
class Slurm:
    """Writes the script of a table, and runs nothing.

    Attributes:
      spec: the table's file, with its argument.
      requests: options of sbatch and their values; a cluster has its own defaults for those that are None.
    """

    spec: str
    requests: Mapping[str, str | int | None]

    def __call__(self, work: Work, missing: Sequence[Cell], display: Display) -> None:
        if not missing:
            print(NOTHING)
            return
        path = work.place / "slurm.sh"
        path.parent.mkdir(parents=True, exist_ok=True)
        write_atomically(path, self.script(work, missing))
        print(f"sbatch {shlex.quote(str(path))}  # {len(missing)} tasks; their output goes to {path.parent}")

    def script(self, work: Work, missing: Sequence[Cell]) -> str:
        options = {
            "job-name": work.table.name,
            "array": f"0-{len(missing) - 1}",
            "output": f"{work.place.absolute()}/slurm-%A_%a.log",
            "open-mode": "append",
            "signal": "B:TERM@120",
            **{name: value for name, value in self.requests.items() if value is not None},
        }
        directives = [f"--{name}={shlex.quote(str(value))}" for name, value in options.items()]
        return SCRIPT.substitute(
            name=work.name,
            directives="\n".join(f"#SBATCH {each}" for each in ("--requeue", *directives)),
            rows=shlex.join(cell.row.label for cell in missing),
            seeds=" ".join(str(cell.seed) for cell in missing),
            here=shlex.quote(str(Path.cwd())),
            command=shlex.join(self.command(work)),
        )

    def command(self, work: Work) -> list[str]:
        """-> what runs a cell, but for its row and seed."""
        places = ["--results", str(work.results.parent), "--workdir", str(work.workdir)]
        shortened = [] if work.share == FULL else ["--budget", str(work.share)]
        mesh = [] if work.layout is None else ["--mesh", str(work.layout)]
        trackers = [flag for name in work.trackers for flag in ("--track", name)]
        return [sys.executable, "-m", "resjax", "table", self.spec, *places, *shortened, *mesh, *trackers]
