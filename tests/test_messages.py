"""Errors for impossible settings of models, head forms, optimizers, schedules, inputs and probes.

Each message begins with the key at fault. The wording is compared with one golden file per group.
"""

import dataclasses
import functools
import importlib
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from refusal import refused, transcript

from resjax import config as configs
from resjax.data.augment import fit
from resjax.models import MODELS, forms
from resjax.models.blocks import Layers
from resjax.optim import make_optimizer, make_schedule
from resjax.probes import subject
from resjax.probes.bench import Bench, Subject

Golden = Callable[[str, str], None]
Cases = list[tuple[str, dict[str, Any]]]
INF = math.inf
NAN = math.nan

# The last setting of each case is the one at fault. Models receive images of 8 x 8 x 3.
MODEL_CASES: Cases = [
    ("cifar_resnet", dict(depth=8, shortcut_scale=-1.0)),
    ("cifar_resnet", dict(depth=8, branch_scale=INF)),
    ("cifar_resnet", dict(depth=8, shortcut_dropout=1.0)),
    ("cifar_resnet", dict(depth=8, survival=1.5)),
    ("cifar_resnet", dict(depth=8, gate="shortcut", gate_bias=NAN)),
    ("cifar_resnet", dict(depth=8, gate_bias=-6.0)),
    ("cifar_resnet", dict(depth=8, gate="exclusive", branch_scale=0.5)),
    ("cifar_resnet", dict(depth=8, gate_bias=-6.0, shortcut_dropout=0.5, gate="shortcut")),
    ("cifar_resnet", dict(depth=8, gate="shortcut", learned_scale="scalar")),
    ("cifar_resnet", dict(depth=8, skip=False, shortcut_scale=0.5)),
    ("cifar_resnet", dict(depth=8, skip=False, gate="exclusive")),
    ("cifar_resnet", dict(depth=8, skip=False, shortcut_dropout=0.5)),
    ("cifar_resnet", dict(depth=8, skip=False, survival=0.5)),
    ("cifar_resnet", dict(depth=8, skip=False, learned_scale="scalar", branch_scale=0.0)),
    ("cifar_resnet", dict(depth=8, width=8, excitation=9)),
    ("imagenet_resnet", dict(depth=50, excitation=300)),
    ("cifar_resnext", dict(depth=30)),
    ("cifar_resnext", dict(cardinality=0)),
    ("cifar_resnext", dict(skip=False, survival=0.5)),
    ("cifar_resnext", dict(excitation=-1)),
    ("imagenet_resnext", dict(depth=34)),
    ("imagenet_resnext", dict(group_width=0)),
    ("wide_resnet", dict(depth=20)),
    ("wide_resnet", dict(widen=0)),
    ("wide_resnet", dict(dropout=1.0)),
    ("wide_resnet", dict(widen=1, excitation=17)),
    ("wide_resnet", dict(skip=False, survival=0.5)),
    ("wide_resnet", dict(branch_scale=-1.0)),
    ("fixup_resnet", dict(norm="batch")),
    ("fixup_resnet", dict(norm="none", depth=21)),
    ("fixup_resnet", dict(norm="none", width=0)),
    ("resnet9", dict(widths=(8,))),
    ("resnet9", dict(widths=(8, 0))),
    ("resnet9", dict(residual=(1, 4))),
    ("resnet9", dict(scale=0.0)),
    ("densenet", dict(depth=39)),
    ("densenet", dict(bottleneck=False, depth=41)),
    ("densenet", dict(growth=0)),
    ("densenet", dict(compression=0.0)),
    ("densenet", dict(compression=NAN)),
    ("densenet", dict(dropout=1.0)),
    ("imagenet_densenet", dict(depth=122)),
    ("imagenet_densenet", dict(growth=0)),
    ("highway", dict(norm="none", stages=())),
    ("highway", dict(norm="none", stages=(2, 0))),
    ("highway", dict(norm="none", width=0)),
    ("highway", dict(norm="none", gate_bias=NAN)),
    ("layerwise_cnn", dict(norm="none", k=0)),
    ("layerwise_cnn", dict(norm="none", growth=0)),
    ("layerwise_cnn", dict(norm="none", depth=4, downsample=(3, 5))),
    ("layerwise_cnn", dict(norm="none", downsample=(0,))),
    ("layerwise_cnn", dict(norm="group")),
    ("residual_mlp", dict(skip=False, survival=0.5)),
    ("residual_mlp", dict(norm="none", looks_linear=True)),
    ("residual_mlp", dict(norm="none", looks_linear=True, skip=False, width=7)),
    ("residual_mlp", dict(norm="none", skip=False, branch_scale=0.1)),
    ("residual_mlp", dict(norm="batch", bias_std=0.1)),
    ("residual_mlp", dict(norm="none", skip=False, looks_linear=True, bias_std=0.1)),
    ("residual_mlp", dict(norm="none", bias_std=-1.0)),
    ("residual_mlp", dict(norm="none", branch_scale=-1.0)),
    ("recurrent", dict(norm="none", cell="lstm", delay=5)),
    ("recurrent", dict(norm="none", delay=0)),
    ("ode_net", dict(norm="batch", solver="euler")),
    ("ode_net", dict(norm="group", solver="dopri5", skip=False)),
    ("ode_net", dict(norm="group", solver="euler", adjoint="backsolve")),
    ("ode_net", dict(norm="group", solver="euler", survival=0.5)),
    ("ode_net", dict(norm="group", solver="dopri5", tolerance=0.0)),
    ("ode_net", dict(norm="group", steps=0)),
    ("vit", dict(norm="layer", heads=2, width=9)),
    ("vit", dict(norm="layer", blocks=0)),
    ("vit", dict(norm="layer", hidden=-1)),
    ("vit", dict(norm="layer", skip=False, survival=0.5)),
    ("vit", dict(norm="layer", patch=3)),
    ("mixer", dict(norm="layer", hidden_tokens=0)),
    ("mixer", dict(norm="layer", skip=False, survival=0.5)),
    ("mixer", dict(norm="layer", patch=3)),
    ("unet", dict(scales=4)),
    ("unet", dict(scales=0)),
]
FORM_CASES: Cases = [
    ("googlenet", dict(dropout=1.0)),
    ("googlenet", dict(hidden=0)),
    ("googlenet", dict(filters=-1)),
]
OPTIMIZER_CASES: Cases = [
    *(("sgd", dict(weight_decay=value)) for value in (-1e-4, INF, NAN)),
    *(("sgd", dict(clip_norm=value)) for value in (-1.0, NAN)),
    *(("sgd", dict(momentum=value)) for value in (-0.9, 1.5, NAN)),
    *(("adam", dict(b1=value)) for value in (-0.1, 1.0)),
    *(("adam", dict(b2=value)) for value in (-0.1, 1.0)),
    *(("rmsprop", dict(decay_rate=value)) for value in (-0.1, 1.5)),
    *(("adadelta", dict(rho=value)) for value in (-0.5, 1.0)),
]
SCHEDULE_CASES: Cases = [
    *(("constant", dict(length=value)) for value in (0, -3, 0.4, INF, NAN)),
    *(("constant", dict(learning_rate=value)) for value in (0.0, -0.1, INF, NAN)),
    *(("constant", dict(warmup=value)) for value in (10, -1, NAN)),
    *(("constant", dict(warmup_from=value)) for value in (-0.1, NAN)),
    *(("step", dict(drops=value)) for value in ((0,), (10,), (6, 3), (3, 3), (NAN,))),
    *(("step", dict(drops=(3,), factor=value)) for value in (-0.1, NAN)),
    *(("cosine", dict(final=value)) for value in (-0.1, NAN)),
    *(("one_cycle", dict(rise=value)) for value in (0.0, 1.0, NAN)),
    *(("one_cycle", dict(start=value)) for value in (0.0, 1.5, NAN)),
    *(("one_cycle", dict(final=value)) for value in (-0.1, NAN)),
]
INPUT_CASES: Cases = [  # the name is that of the images, 6 x 5 pixels
    ("color", dict(pad=-1)),
    ("color", dict(pad_mode="reflect", pad=5)),
    ("color", dict(whiten=-1)),
    ("color", dict(whiten=6)),
    ("gray", dict(normalize="imagenet")),
    ("color", dict(normalize="constants", std=(0.5,), mean=())),
    ("color", dict(normalize="constants", mean=(NAN,), std=(0.5,))),
    ("color", dict(normalize="constants", mean=(0.5,), std=(0.1, 0.2))),
    ("color", dict(normalize="constants", mean=(0.5,), std=(0.0,))),
    ("color", dict(normalize="unit", std=(0.5,))),
]
PROBE_CASES: Cases = [
    *(("jacobian", {key: 0}) for key in ("examples", "steps", "draws")),
    *(("lesion", {key: 0}) for key in ("examples", "draws", "counts")),
    *(("landscape", dict(points=value)) for value in (1, 4)),
    ("landscape", dict(radius=0.0)),
    ("landscape", dict(examples=0)),
    ("landscape", dict(directions=-1)),
    ("responses", dict(examples=1)),
    ("shattered", dict(nets=-1)),
    ("shattered", dict(inputs=31)),
    ("shattered", dict(paths=-1)),
]


def build_model(name: str, **settings: Any) -> None:
    fields = {field.name for field in dataclasses.fields(Layers)}
    layers = Layers(**{key: settings.pop(key) for key in fields & settings.keys()})
    model = MODELS[name](10, layers, **settings)
    jax.eval_shape(lambda x: model.init(jax.random.key(0), x, train=False), jnp.zeros((2, 8, 8, 3)))


def build_form(name: str, **settings: Any) -> None:
    forms.FORMS[name]((10,), **settings)


def build_optimizer(name: str, **settings: Any) -> None:
    make_optimizer(optax.constant_schedule(0.1), {}, name=name, **settings)


def build_schedule(name: str, **settings: Any) -> None:
    defaults = {"unit": "steps", "length": 10, "learning_rate": 1.0, "warmup": 2}
    make_schedule(1.0, name=name, **{**defaults, **settings})


def build_input(name: str, **settings: Any) -> None:
    images = np.random.default_rng(0).integers(0, 256, (9, 6, 5, 3 if name == "color" else 1), np.uint8)
    fit(images, **settings)


@functools.cache
def subject_at_start() -> Subject:
    base: dict[str, Any] = {
        "data": {"name": "digits"},
        "model": {"name": "residual_mlp", "depth": 4, "width": 8, "norm": "none"},
        "schedule": {"length": 1, "learning_rate": 0.1},
    }
    return next(subject.at_start("net", configs.override(base, ()), 1))


def measure(name: str, **settings: Any) -> None:
    probe = importlib.import_module(f"resjax.probes.{name}")
    probe.measure(subject_at_start(), Bench(Path()), **settings)


GROUPS: dict[str, tuple[Callable[..., None], Cases]] = {
    "models": (build_model, MODEL_CASES),
    "head_forms": (build_form, FORM_CASES),
    "optimizers": (build_optimizer, OPTIMIZER_CASES),
    "schedules": (build_schedule, SCHEDULE_CASES),
    "inputs": (build_input, INPUT_CASES),
    "probes": (measure, PROBE_CASES),
}


@pytest.mark.golden
@pytest.mark.parametrize("group", GROUPS)
def test_impossible_settings_are_refused(group: str, golden: Golden) -> None:
    build, cases = GROUPS[group]
    messages = {}
    for name, settings in cases:
        key = list(settings)[-1]
        message = refused(ValueError, lambda name=name, settings=settings: build(name, **settings), key)
        assert message.startswith(f"{key} ")
        messages[f"{name}({', '.join(f'{key}={value!r}' for key, value in settings.items())})"] = message
    golden(f"messages/{group}.txt", transcript(messages))
