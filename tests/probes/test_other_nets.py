"""What probes say of nets that label pixels, and of equations, where they cannot measure them."""

from pathlib import Path
from typing import Any

import pytest

from resjax import config as configs
from resjax.config import Config
from resjax.errors import UserError
from resjax.probes import effective_depth, jacobian, subject
from resjax.probes.bench import Bench, Subject

BENCH = Bench(Path())
CANVAS = ("--config.data.name=canvas:digits", "--config.data.holdout=1800", "--config.model.width=4")


def at_start(tiny: Config, name: str, *flags: str) -> Subject:
    base: dict[str, Any] = {**tiny.to_dict(), "model": {"name": name}}
    return next(subject.at_start("net", configs.override(base, flags), 1))


@pytest.mark.slow
def test_a_part_that_reads_two_has_no_jacobian(tiny: Config) -> None:
    net = at_start(tiny, "unet", *CANVAS, "--config.model.scales=1")
    with pytest.raises(UserError, match=r"config\.model\.name is 'unet'"):
        jacobian.measure(net, BENCH)


def test_a_solver_that_chooses_its_steps_has_no_jacobian(tiny: Config) -> None:
    pytest.importorskip("diffrax")
    flags = ("--config.model.norm=group", "--config.model.width=8", "--config.model.solver=dopri5")
    net = at_start(tiny, "ode_net", *flags)
    with pytest.raises(UserError, match=r"config\.model\.name is 'ode_net'"):
        jacobian.measure(net, BENCH)


@pytest.mark.slow
@pytest.mark.parametrize(("name", "flag"), [("unet", "scales=1"), ("fcn", "depth=8")])
def test_a_net_that_labels_pixels_has_no_effective_depth(name: str, flag: str, tiny: Config) -> None:
    net = at_start(tiny, name, *CANVAS, f"--config.model.{flag}")
    with pytest.raises(UserError, match=rf"config\.model\.name is '{name}'"):
        effective_depth.measure(net, BENCH)
