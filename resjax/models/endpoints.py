"""The named outputs of a net's parts, which heads and probes read."""

from collections.abc import Collection

import jax
from jaxtyping import Array


class Endpoints(dict[str, Array]):
    """{name: activations}, filled as the net is applied; at the endpoints in `cut` the gradient ends.

    A cut makes local learning: what lies before it is taught by the heads there alone.
    """

    def __init__(self, cut: Collection[str] = ()):
        super().__init__()
        self._cut = frozenset(cut)

    def mark(self, name: str, x: Array) -> Array:
        """Notes an endpoint; -> what the rest of the net goes on with."""
        self[name] = x
        return jax.lax.stop_gradient(x) if name in self._cut else x
