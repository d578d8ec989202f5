"""One bench for three cures of depth: skip connections, auxiliary heads and pretraining, at equal budgets.

    resjax train --config configs/supervision.py:digits,44,heads,greedy --workdir runs/lab

The argument is TASK,DEPTH and then, in any order, `heads` and `greedy` or `denoising`; the plain twin of
a net by --config.model.skip=False. experiments/skip_heads_pretraining.py runs all of them.

- Tasks: `digits` and `mnist`, fully connected nets of 64 units on images of 8 x 8 and 28 x 28 pixels;
  `mnist_conv`, the CIFAR family 8 wide behind a stem that leaves 7 x 7 pixels; `cifar10`, that family as in
  configs/cifar10_resnet.py: 64k steps, two drops of the rate, crops and mirroring, and at 110 layers the
  warm-up; its pretraining has the same two drops. Elsewhere all rates are cosines.
- `heads`: a linear classifier with cross-entropy at every block (of its pooled output, where it is an image
  plane), of weight 3, on CIFAR-10 of 0.3, the main loss's being 1.
- `greedy`: block after block is trained with a fresh linear classifier while all below it is frozen, then
  the whole net (Bengio et al. 2007, the supervised variant; by blocks, not layers).
- `denoising`: the same with masking noise on the block's input and a linear decoder that gives the input
  back, by its mean squared error (Vincent et al. 2010, section 3; tied weights and sigmoids left out).
- The budget of a net without heads and pretraining is the task's epochs. Pretraining takes a third of
  those multiply-adds, in phases of one length, and the training of the whole net, of the same schedule,
  is a third shorter; with heads it is shorter by as much as they cost. The tables tell the sums.

The rates of pretraining and the heads' weight are the best of three on a held-out slice of train for the
deepest nets, of digits and of mnist_conv: experiments/supervision_rates.py. The task `mnist` takes over those
of digits. An arm may carry another value: heads=0.3, greedy=0.05.

Test accuracy on digits, 44 layers, five seeds: plain 43.17 +- 6.49 %; with heads 87.17 +- 4.80, greedy 96.61
+- 2.00, denoising 66.78 +- 15.00; residual 98.39 +- 0.60. On MNIST the fully connected net behaves alike, but
skips alone mend the convolutional one: plain 67.94 +- 8.00, with heads 65.87 +- 1.98, greedy 44.01 +- 19.70,
denoising 62.89 +- 6.14; residual 97.54 +- 0.14. All of it: experiments/skip_heads_pretraining.py.
"""

from ml_collections import ConfigDict

BUDGET = 1 / 3  # share of pretraining
NOISE = 0.25  # share of masked inputs: Vincent et al. 2010, table 3, for MNIST
VALUES = {"heads": 3.0, "greedy": 0.2, "denoising": 0.2}  # weight, and learning rates, of most tasks

FULLY_CONNECTED = dict(name="residual_mlp", width=64)
CONVOLUTIONAL = dict(name="cifar_resnet", width=8, stem="imagenet")
WARMUP = dict(warmup=400 * 128 / 50_000, warmup_from=0.01, warmup_shape="constant")  # in epochs
TASKS: dict[str, dict] = {
    "digits": dict(
        data=dict(name="digits"),
        input=dict(normalize="pixel_mean_scalar_std"),
        model=FULLY_CONNECTED,
        train=dict(batch_size=64, eval_every=10, steps_per_dispatch=20),
        pixels=8 * 8,
        epochs=30,
        rate=0.02,
    ),
    "mnist": dict(
        data=dict(name="tfds:mnist"),
        input=dict(normalize="pixel_mean_scalar_std"),
        model=FULLY_CONNECTED,
        train=dict(batch_size=128, steps_per_dispatch=20),
        pixels=28 * 28,
        epochs=2,
        rate=0.02,
    ),
    "mnist_conv": dict(
        data=dict(name="tfds:mnist"),
        input=dict(normalize="pixel_mean_scalar_std"),
        model=CONVOLUTIONAL,
        train=dict(batch_size=128),
        sides=(7, 4, 2),
        stem=(7**2 * 14**2, 7**2 * 7**2),
        epochs=1,
        rate=0.02,
        values=dict(heads=3.0, greedy=0.0125, denoising=0.0025),
    ),
    "cifar10": dict(
        data=dict(name="tfds:cifar10"),
        input=dict(normalize="pixel_mean", pad=4, flip=True),
        model=dict(name="cifar_resnet", width=16),
        train=dict(batch_size=128, checkpoint_every=2_000),
        sides=(32, 16, 8),
        stem=(3 * 3**2 * 32**2, 3 * 3**2 * 32**2),
        epochs=64_000 * 128 / 50_000,
        rate=0.1,
        drops=(1 / 2, 3 / 4),
        warmups={110: WARMUP},
        values=dict(heads=0.3, greedy=0.0625, denoising=0.0125),
    ),
}


def get_config(arg: str = "digits,44") -> ConfigDict:
    name, _, rest = arg.partition(",")
    depth, *arms = rest.split(",")
    if name not in TASKS or not depth.isdigit():
        raise ValueError(f"'{arg}' is not TASK,DEPTH and arms; tasks are {', '.join(TASKS)}")
    task = TASKS[name]
    values = arm_values(arg, arms, task.get("values", VALUES))
    parts = PARTS[task["model"]["name"]](task, int(depth))
    config = ConfigDict()
    config.data, config.input, config.train = task["data"], task["input"], task["train"]
    config.model = dict(task["model"], depth=int(depth), skip=True)
    config.optim = dict(name="sgd", momentum=0.9, weight_decay=1e-4)
    epochs = task["epochs"]
    for kind in values.keys() & {"greedy", "denoising"}:
        config.phases = phases(kind, task, parts, BUDGET * epochs, values[kind])
        epochs *= 1 - BUDGET
    if "heads" in values:
        config.heads = tuple(classifier(part, values["heads"]) for part in parts)
        whole = sum(part["cost"] for part in parts)
        epochs *= whole / (whole + sum(part["head"] for part in parts))
    warmup = task.get("warmups", {}).get(int(depth), {})
    config.schedule = schedule(task, epochs, task["rate"]) | warmup
    return config


def schedule(task: dict, length: float, rate: float) -> dict:
    if "drops" not in task:
        return dict(name="cosine", length=length, learning_rate=rate)
    drops = tuple(length * share for share in task["drops"])
    return dict(name="step", length=length, drops=drops, learning_rate=rate)


def arm_values(arg: str, arms: list[str], usual: dict[str, float]) -> dict[str, float]:
    values = {}
    for arm in arms:
        kind, _, value = arm.partition("=")
        if kind not in usual or kind in values:
            raise ValueError(
                f"'{arg}' has the arm '{arm}'; arms are heads and greedy or denoising, each once"
            )
        values[kind] = float(value) if value else usual[kind]
    if {"greedy", "denoising"} <= values.keys():
        raise ValueError(f"'{arg}' has two kinds of pretraining; it must have one at most")
    return values


def part(endpoint: str, cost: int, decoder: int, features: int) -> dict:
    """Multiply-adds of a block, its decoder and its linear classifier."""
    return dict(endpoint=endpoint, cost=cost, decoder=decoder, head=10 * features)


def fully_connected(task: dict, depth: int) -> list[dict]:
    """The first block's part has the first layer too."""
    pixels, width = task["pixels"], task["model"]["width"]
    first = part("block1", (pixels + 2 * width) * width, pixels * width, width)
    return [first] + [part(f"block{n}", 2 * width**2, width**2, width) for n in range(2, depth // 2)]


def convolutional(task: dict, depth: int) -> list[dict]:
    """A task names the sides of the stages' planes, and for each feature of the first one the multiply-adds
    of the stem and of a decoder back to the image.
    """
    width, found = task["model"]["width"], []
    for stage, side in enumerate(task["sides"], 1):
        out = width * 2 ** (stage - 1)
        for number in range(1, (depth - 2) // 6 + 1):
            into = out // 2 if stage > 1 and number == 1 else out
            cost, back = 9 * side**2 * out * (into + out), 9 * side**2 * out * into
            if not found:
                stem, to_image = task["stem"]
                cost, back = cost + stem * width, to_image * width
            found.append(part(f"stage{stage}_block{number}", cost, back, out))
    return found


PARTS = {"residual_mlp": fully_connected, "cifar_resnet": convolutional}


def classifier(part: dict, weight: float) -> dict:
    endpoint = part["endpoint"]
    return dict(name=f"at_{endpoint}", endpoint=endpoint, weight=weight)


def decoder(part: dict) -> dict:
    endpoint = part["endpoint"]
    form = "conv_decoder" if endpoint.startswith("stage") else "flattened_linear"
    head = dict(name=f"decode_{endpoint}", endpoint=endpoint, form=form, weight=1.0)
    return head | dict(target="input", loss="squared_error")


def phases(kind: str, task: dict, parts: list[dict], budget: float, rate: float) -> tuple[dict, ...]:
    """Phases of one length, which together cost as much as `budget` epochs of the whole net.

    What is trained counts three times at each step. What is frozen counts once for each example and block:
    its features are kept, and taken further from phase to phase. With augmentation they differ from step to
    step, and all that lies below counts once at each.
    """
    attached = "head" if kind == "greedy" else "decoder"
    whole = sum(part["cost"] for part in parts)
    below = [sum(part["cost"] for part in parts[:number]) for number in range(len(parts))]
    trained = 3 * sum(part["cost"] + part[attached] for part in parts)
    if task["input"].get("pad"):
        length = 3 * budget * whole / (trained + sum(below))
    else:
        length = (3 * budget * whole - below[-1]) / trained
    found = []
    for number, part in enumerate(parts):
        found.append(
            dict(
                name=f"{kind}_{part['endpoint']}",
                after=parts[number - 1]["endpoint"] if number else "",
                until=part["endpoint"],
                noise=NOISE if kind == "denoising" else 0.0,
                heads=(classifier(part, 1.0) if kind == "greedy" else decoder(part),),
                schedule=schedule(task, length, rate),
            )
        )
    return tuple(found)
