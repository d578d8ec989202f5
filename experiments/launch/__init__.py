"""Runs and tables on machines elsewhere: `python -m experiments.launch --help`.

__main__   the command line
command    the resjax command that is to run there, checked here
source     what goes there, and whether it has the files that the command names
steps      what a launch does: files that are written, commands that are run; shown or done
tpu_vm, xpk, skypilot, slurm   one target each: its options, and its steps

A launch is a list of steps, and --dry-run prints that very list as a shell script. What a target does where a
run ends with "saved, to be gone on with" (75) stands in its module.
"""
