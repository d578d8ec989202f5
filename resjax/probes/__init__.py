"""Probes: what a net's gradients, responses and losses look like, at the start of training or behind it."""

from collections.abc import Mapping
from types import MappingProxyType

from resjax.probes import gradients
from resjax.probes.bench import Probe

PROBES: Mapping[str, Probe] = MappingProxyType(
    {
        "gradients": Probe(
            title="Norm of the loss gradient, block by block",
            measure=gradients.measure,
            quantities=gradients.QUANTITIES,
        ),
    }
)
