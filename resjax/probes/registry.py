"""All probes by name."""

from collections.abc import Mapping
from types import MappingProxyType

from resjax.probes import (
    effective_depth,
    gradients,
    jacobian,
    landscape,
    lesion,
    responses,
    shattered,
    through_time,
)
from resjax.probes.bench import Probe

PROBES: Mapping[str, Probe] = MappingProxyType(
    {
        "gradients": Probe(
            title="Norm of the loss gradient, block by block",
            measure=gradients.measure,
            quantities=gradients.QUANTITIES,
            draw=gradients.draw,
        ),
        "shattered": Probe(
            title="Gradients with respect to the input, from one input to the next",
            measure=shattered.measure,
            quantities=shattered.QUANTITIES,
            draw=shattered.draw,
        ),
        "responses": Probe(
            title="Standard deviations of layer responses",
            measure=responses.measure,
            quantities=responses.QUANTITIES,
        ),
        "lesion": Probe(
            title="Units deleted and reordered, and gradients along paths",
            measure=lesion.measure,
            quantities=lesion.QUANTITIES,
            draw=lesion.draw,
            trained=True,
        ),
        "landscape": Probe(
            title="Loss along random directions, each filter as long as the net's own",
            measure=landscape.measure,
            quantities=landscape.QUANTITIES,
            draw=landscape.draw,
        ),
        "effective-depth": Probe(
            title="Linear readout of each block, and CKA between blocks",
            measure=effective_depth.measure,
            quantities=effective_depth.QUANTITIES,
            draw=effective_depth.draw,
            trained=True,
        ),
        "jacobian": Probe(
            title="Singular values of Jacobians",
            measure=jacobian.measure,
            quantities=jacobian.QUANTITIES,
            draw=jacobian.draw,
        ),
        "through-time": Probe(
            title="Loss gradient at each step of a recurrent net",
            measure=through_time.measure,
            quantities=through_time.QUANTITIES,
        ),
    }
)
