"""The relation between contrast phases (CT paper, Equation 1), read as a non-local block between two of them.

    L(x -> y)_j = 1 / C_j * sum_i f(x_i, y_j) g(x_i)        f(x_i, y_j) = exp(theta(y_j) . phi(x_i) / sqrt(d))
    C_j = sum_i f(x_i, y_j)

x and y are the maps of two phases at equal size, i and j run over their positions, and theta, phi and g are 1x1
convolutions to d channels. The response is projected back and added to y (Wang et al. 2018, "Non-local neural
networks", embedded Gaussian; the square root of d keeps exp() away from one-hot rows at initialisation).
"""

from __future__ import annotations

from typing import Any, Optional

import mxnet as mx
from mxnet.gluon import nn


class Relation(nn.HybridBlock):
    """What one phase x says of another phase y: the projected L(x -> y).

    Parameters
    ----------
    channels: of the maps. inner: of theta, phi and g, half of ``channels`` by default.
    """

    def __init__(self, channels: int, *, inner: Optional[int] = None, **kwargs):
        super().__init__(**kwargs)
        inner = max(8, channels // 2) if inner is None else inner
        self._scale = inner**-0.5
        with self.name_scope():
            self.theta = nn.Conv2D(inner, 1, use_bias=False, in_channels=channels, prefix="theta_")
            self.phi = nn.Conv2D(inner, 1, use_bias=False, in_channels=channels, prefix="phi_")
            self.g = nn.Conv2D(inner, 1, use_bias=False, in_channels=channels, prefix="g_")
            # zero at first, so that a net with relations starts as the net without them
            self.project = nn.Conv2D(
                channels, 1, use_bias=False, in_channels=inner, weight_initializer=mx.init.Zero(), prefix="project_"
            )

    def hybrid_forward(self, F: Any, x: Any, y: Any, present: Any) -> Any:
        """Maps (B, C, H, W) of the phases and (B,), 1 where x is present and 0 where not -> (B, C, H, W).

        Zero where x is absent, whatever its map holds.
        """
        theta = self.theta(y)
        response = F.reshape_like(relate(F, self.phi(x), theta, self.g(x), self._scale), theta)
        return F.broadcast_mul(self.project(response), F.reshape(present, (-1, 1, 1, 1)))


def relate(F: Any, phi: Any, theta: Any, g: Any, scale: float) -> Any:
    """Equation 1 on embedded maps (B, d, H, W): the response (B, d, H * W), one column for each position of y."""
    phi, theta, g = (F.reshape(part, (0, 0, -1)) for part in (phi, theta, g))  # (B, d, I) and (B, d, J)
    affinity = F.batch_dot(theta, phi, transpose_a=True) * scale  # (B, J, I)
    # the largest of a row divides f and C by the same factor, so that exp() cannot overflow
    affinity = F.broadcast_sub(affinity, F.stop_gradient(F.max(affinity, axis=2, keepdims=True)))
    f = F.exp(affinity)
    normaliser = F.sum(f, axis=2, keepdims=True)  # C, (B, J, 1)
    return F.batch_dot(g, F.broadcast_div(f, normaliser), transpose_b=True)  # (B, d, J)


class PhaseRelation(nn.HybridBlock):
    """Every ordered pair of phases that ends in the reference phase, added to its map.

    Each of the other phases has a relation of its own, so that a missing phase is never taken for another.
    """

    def __init__(self, channels: int, *, phases: int, **kwargs):
        super().__init__(**kwargs)
        self._phases = phases
        with self.name_scope():
            self.pairs = nn.HybridSequential(prefix="")
            for number in range(1, phases):
                self.pairs.add(Relation(channels, prefix="phase{}_".format(number)))

    def hybrid_forward(self, F: Any, maps: Any, present: Any) -> Any:
        """Maps (B, P, C, H, W), the reference phase first, and present (B, P), 1 or 0 -> (B, C, H, W)."""

        def phase(array, number):
            return F.squeeze(F.slice_axis(array, axis=1, begin=number, end=number + 1), axis=1)

        reference = phase(maps, 0)
        related = reference
        for number, relation in enumerate(self.pairs, start=1):
            related = related + relation(phase(maps, number), reference, phase(present, number))
        return related
