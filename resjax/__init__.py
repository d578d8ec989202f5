"""resjax: skip connections, auxiliary heads and pretraining on one bench.

Where things are, in the order in which a run meets them:

    __main__    the command line; verbs: train, eval, table, show, probe, import, export, ...
    schema      the keys of a config, their types and defaults; config: files and overrides
    job         a config in, the objects that it describes out, all checked before anything runs
    data/       disk -> checked arrays -> order of examples -> augmentation inside jit
    models/     blocks, nets and their plain twins, forms of heads, the net that carries them
    losses      per-example losses; weights: of each output over training; metrics: masked sums
    optim       optimizers, schedules, the mask of weight decay
    step        one training step and one evaluation step, pure functions; accumulate: a batch in parts
    mesh        what of a run each of many devices holds
    training    the main job: config and folder in, result out
    evaluation  a finished run's accuracy on any split
    checkpoint  save and resume; record: logs, result.json, provenance
    table       rows x seeds of runs; stats and render turn their records into tables and figures
    interop/    weights from PyTorch's files; weights and programs to elsewhere; classes of image files
    probing     what a net's gradients, responses and losses look like; probes/: one file each
"""

__version__ = "0.1.0"
