"""Speed, measured against the peers in one run: `python -m experiments.benchmarks --help`.

__main__   the command line
cpu        a benchmark: its sides, its texts           workload   what all its sides train on
benchmark  what a benchmark is; one run of it          render     record -> table and figure
harness    a side: a live process with a protocol      summary    medians and ratios over rounds
rounds     turns, the probe, which rounds count        sides/     the processes
"""
