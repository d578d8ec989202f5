"""What `resjax VERB --help` says."""

PROCESSES = """\
Several processes, on one host or on many, share the work when each is started with the same command and
--distributed, where Cloud TPU, SLURM, Kubernetes or Open MPI tell them who they are, or with --coordinator
HOST:PORT --processes N --process I: a free port of the host of process 0, and 0 to N-1. They must share the
folder. A signal to one stops all of them at the same step; where one is lost, the others say so and exit with
code 75 too. Start all again, as many as you like.
"""

TRACK = """\
--track wandb, --track mlflow or both send config, reports and result to Weights & Biases or MLflow too, by
their own settings: WANDB_PROJECT, WANDB_MODE=offline, MLFLOW_TRACKING_URI, MLFLOW_EXPERIMENT_NAME. A tracker
that cannot start is refused; one that fails later is left out with a warning, and the run goes on.
"""

OVERRIDES = """\
Any key of the config can be overridden, in ml_collections' way, as often as you like:
  --config.model.depth=56  --config.schedule.drops="(80,120)"  --config.heads[0].weight=0.1
A config file may take an argument after a colon: --config configs/cifar10_resnet.py:56
"""

TRAIN = f"""\
Trains the net that a config describes, in a folder of its own.

{OVERRIDES}
The folder receives config.json, metrics.jsonl, TensorBoard events, checkpoints and, at the end,
result.json. If the run is stopped or killed, the same command goes on where the last checkpoint was
made, to the same bits. Ctrl-C and SIGTERM save first and exit with code 75; before there is anything to
save, as data are read, they exit with 75 at once.

All devices of the machine share out each batch. --mesh data=4 takes four of them; --mesh data=4,fsdp=2 eight,
and splits parameters and optimizer state over pairs. The numbers are the same to rounding, and a run may go
on with another mesh.

{TRACK}
{PROCESSES}
examples:
  resjax train --config configs/digits.py --workdir runs/digits
  resjax train --config configs/digits.py --workdir runs/digits --track wandb --track mlflow
  resjax train --config configs/cifar10_resnet.py --workdir runs/r20 --mesh data=8
  resjax train --config configs/cifar10_resnet.py --workdir runs/r56 --config.model.depth=56
  srun resjax train --config configs/cifar10_resnet.py --workdir runs/r20 --distributed
"""

VERIFY = f"""\
Trains the net that a config describes twice, as real processes of resjax train: once in peace, and once
killed at random moments, SIGKILL and SIGTERM mixed, and resumed as often. Then compares the reports, the
curve and every array of the last state, bit by bit. Prints a line for each kill and the verdict.

With --processes N each run is shared by N processes on this machine; every signal goes to one of them, at
random, and the others must notice and end before all are started again.

Exit code 0: the same bits; 1: they differ, and the first that does is named.
{OVERRIDES}
examples:
  resjax verify-resume --config configs/digits.py
  resjax verify-resume --config configs/cifar10_resnet.py:56 --budget 0.01 --kills 5 --seed 1
  resjax verify-resume --config configs/digits.py --processes 2 --kills 20
"""

EVAL = f"""\
Evaluates a run's checkpoint on every example of a split, each counted once.

Without --config, the run's own config is used. All devices share out the examples; --mesh is as in training,
and need not be the one that the run was trained on. Several processes share them too, with the options of
resjax train.
{OVERRIDES}
examples:
  resjax eval --workdir runs/digits
  resjax eval --workdir runs/r56 --split train --checkpoint best
"""

TABLE = f"""\
Runs the cells of a table that are missing, then prints the table and writes it as .md, .csv, .tex, .png.

A table is a Python file with get_table(): rows of configs, each run with several seeds, and beside them
the published numbers if there are any. Every cell leaves a record (.json) in the table's folder of
results; a cell whose record is there is not run again, and a cell that was stopped goes on where it was.
Several processes may share a table: start the same command twice. A table file may take an argument
after a colon.

--budget runs every schedule shortened to a share, drops and warm-up with it; such runs are recorded and
shown apart, never as the full ones. --seconds ends like Ctrl-C: saved, exit code 75, to be gone on with.
--mesh is as in resjax train; what is recorded depends on it by rounding alone. So are --distributed and
--coordinator: all processes then go through the cells together, and process 0 writes the records.

--engine slurm writes the script of an array job, one missing cell a task, and says how to submit it; a
task whose time ends is saved and queued again. --engine ray runs the cells as tasks of a Ray cluster; where
a worker dies, its cell goes on elsewhere from its last checkpoint. In both, the machines must share the
folders of records and runs, and a cell that fails stops no other; one by one here, the table ends with it.

{TRACK}A cell is a run of the table's group in W&B, or of the experiment by the table's name in MLflow.

examples:
  resjax table --list
  resjax table experiments/quickstart.py [--render]
  resjax table experiments/quickstart.py --row "plain 8" --seed 0
  resjax table experiments/skip_heads_pretraining.py:mnist --plan
  resjax table experiments/he2015_table6.py --budget 0.05 --seconds 3600
  resjax table experiments/he2015_table6.py --engine slurm --partition gpu --gpus 1 --time 8:00:00
  resjax table experiments/he2015_table6.py --engine ray --address head:6379
"""

SHOW = f"""\
Prints every layer of a config's net: output shape, parameters, multiply-adds; and the endpoints that
an auxiliary head can attach to. Nothing is trained, and the data set need not be on this machine.
Multiply-adds are those of one image; of an adaptive solver (ode_net by dopri5), of one evaluation.

{OVERRIDES}
examples:
  resjax show --config configs/cifar10_resnet.py
  resjax show --config configs/imagenet_resnet.py:50 --config.model.skip=False
"""

MODELS = """\
Lists the families of nets, each by nets that its paper prints: their settings, which are keys of
config.model, and at the input that is told their parameters, multiply-adds of one image and source. Nothing
is trained or downloaded. A family's keys and defaults are the arguments of its function in resjax/models/.
A net of your own is --config.model.name=FILE.py:FUNCTION, as in experiments/examples/own_module.py.

examples:
  resjax models
  resjax show --config configs/cifar10_resnet.py --config.model.name=wide_resnet --config.model.depth=16
  resjax show --config configs/digits.py --config.model.name=experiments/examples/own_module.py:gated
"""

PLAN = f"""\
Compiles a config's programs of training and evaluation, for a TPU slice that need not be there or for this
machine's own devices, and prints what each device needs: memory, operations, bytes, collectives, and the
least time of a step by the chip's peak figures. Nothing is run, and the data set need not be on this machine.

Where training does not fit, rematerialisation, smaller batches, and the batch in parts of such a size
(config.train.accumulate) are compiled in turn, until one of each fits.
--topology takes v4, v5e, v5p and v6e with the slice's shape, and needs libtpu: pip install 'resjax[tpu]'.
--mesh is as in training. Without --topology, XLA_FLAGS as below has this machine's processor stand for eight.
{OVERRIDES}
examples:
  resjax plan --config configs/cifar10_resnet.py:56
  XLA_FLAGS=--xla_force_host_platform_device_count=8 resjax plan --config configs/cifar10_resnet.py:56
  resjax plan --config configs/imagenet_resnet.py:50 --topology v5e:2x4 --config.train.batch_size=1024
  resjax plan --config configs/cifar10_resnet.py:110 --topology v6e:1x1 --json
"""

PROBE = f"""\
Measures a net at the start of training, of a config, or at a checkpoint of a run, and writes the numbers
(.json, .csv) and a figure (.png, .pdf). Configs are measured with several seeds.

  gradients        norm of the loss gradient by block, of the main loss and of each head; their cosine
                   examples=128
  shattered        how fast the gradient with respect to the input changes with the input
                   nets=8 inputs=256 paths=8
  responses        standard deviation of every layer's response
                   examples=512
  lesion           error of a trained net when units are deleted or swapped; gradient by length of path
                   examples=250 draws=10 counts=12
  landscape        loss around the net's values, along random directions
                   points=21 radius=1.0 examples=250 directions=0
  effective-depth  accuracy of linear probes behind every block of a trained net; similarity of blocks
                   epochs=20 learning_rate=0.1 examples=500
  jacobian         singular values of the blocks' and the net's input-output Jacobian
                   examples=8 steps=16 draws=16
  through-time     norm of the loss gradient at each step of a recurrent net
                   examples=128

--compare overlays several: each is a config or a run's folder, with a label of its own, and behind a
config overrides of its own. Those of one label are seeds of one arm. The settings below each probe are
changed by --probe.KEY=VALUE; what they mean, and what is measured, its .json says.
{OVERRIDES}
examples:
  resjax probe gradients --config configs/cifar10_resnet.py:56
  resjax probe gradients --compare residual=configs/digits.py:32 \\
      "plain=configs/digits.py:32 --config.model.skip=False" --probe.examples=256
  resjax probe lesion --workdir runs/r56
"""

IMPORT = f"""\
Reads the weights of a net of PyTorch's, or of an export, into the net that a config describes, and writes the
folder of a run that has been saved before its first step: resjax eval and probe read it, config.start.run of
another run starts from it, and resjax train goes on from it with the config that lies in it.

CHECKPOINT is a .safetensors file, or a .pt, .pth or .th file, which needs PyTorch: pip install
'resjax[torch]'. Nothing in it is executed: a file that holds more than tensors is refused. It is a state
dict, or holds one as state_dict, model or net; a prefix such as module. is left out. Layers are named as in

  torchvision   ResNet, Wide ResNet (wide_resnet50_2 is imagenet_resnext with cardinality=1 group_width=128),
                ResNeXt; timm's ResNets that have the same layers, with squeeze-and-excitation too
  timm          resnet50d and others of d: conv1.6, downsample.1 (imagenet_resnet with stem=deep shortcut=D)
  pytorch-cifar, pytorch_resnet_cifar10   conv1, bn1, layer1.0.conv1, layer1.0.shortcut.0, linear
  WideResNet-pytorch                      block1.layer.0.conv1, convShortcut, fc
  efficient_densenet_pytorch              features.denseblock1.denselayer1.conv1, norm_final, classifier
  torchvision's DenseNet, and timm's      the same, with norm0 and norm5 (imagenet_densenet)
  torchvision's GoogLeNet                 conv1.conv, inception3a.branch2.0.conv, fc (configs/googlenet.py)
  resjax export                           parameters.safetensors, of any net

What was mapped is printed. A tensor that is missing, left over or of another shape is told, and nothing is
written. What a file does not say is the config's to say: the place of strides (stride_in), the norms' epsilon
(norm_epsilon; PyTorch's is 1e-5, as here), and how images are normalised.

--padding says where shortcuts of option A put the zeros of new channels: on both sides, as
pytorch_resnet_cifar10 has them, or behind; the channels of an imported net are put in this project's order.
--leave-out names modules of the file that are not read: aux1,aux2, the heads of torchvision's GoogLeNet.
--normalize sets the config's section input: imagenet, cifar10, cifar10_kuangliu (pytorch-cifar's, with the
deviations 0.2023, 0.1994, 0.2010), cifar100, mnist, half, or numbers, means/deviations of images in [0, 1].

{OVERRIDES}
examples:
  resjax import resnet20.th --config configs/cifar10_resnet.py:20 --out runs/r20 \\
      --padding both --normalize imagenet
  resjax import resnet50.safetensors --config configs/imagenet_resnet.py:50 --out runs/r50
  resjax import exported/parameters.safetensors --config configs/digits.py --out runs/again
"""

EXPORT = """\
Writes a run's net for use elsewhere, as evaluation has it (the moving average where there is one), without
heads, into a new folder:

  parameters.safetensors   parameters and batch statistics, by this project's names
  pytorch.safetensors      the same as a state dict, where a class of PyTorch's is the same function; see
                           resjax import. Zeros of option A are on both sides, as in pytorch_resnet_cifar10
  program.jax_export       inference, from stored uint8 images to logits, normalisation included: StableHLO by
                           jax.export, for cpu, cuda and tpu and any number of images. It runs where jax and
                           flatbuffers are and resjax is not
  export.json, README.md   what resjax predict reads, and the model card: metrics, config, data, commit

The data set must be on this machine, for the normalisation is of its training images.

examples:
  resjax export --workdir runs/r56 --out exported/r56
  resjax export --workdir runs/r56 --checkpoint best --out exported/best
"""

PREDICT = """\
Prints the likeliest class of each image file, and its probability, by the program of an export alone: its run
and its data are not needed. A folder stands for the images in it. An image of another size or shape than the
net's is cut to its shape in the middle and resized; colour becomes grey where the net reads grey.

examples:
  resjax predict exported/r56 cat.png dog.png
  resjax predict exported/r56 pictures/ --top 3
"""

PREPARE = """\
Downloads a data set with tensorflow-datasets and stores it as array_record files, which training then
reads without TensorFlow. Some data sets need TensorFlow here: pip install 'resjax[prepare]'.

example:
  resjax prepare tfds:cifar10
"""
