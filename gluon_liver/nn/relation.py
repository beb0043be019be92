"""The relation between contrast phases (CT paper, Equation 1), read as a non-local block between two of them.

    L(x -> y)_j = 1 / C_j * sum_i f(x_i, y_j) g(x_i)
    f(x_i, y_j) = exp(theta(y_j) . phi(x_i) / sqrt(d) - |p_i - p_j|^2 / (2 reach^2))        C_j = sum_i f(x_i, y_j)

x and y are the maps of two phases at equal size, i and j run over their positions p, and theta, phi and g are 1x1
convolutions to d channels. The response is projected back and added to y (Wang et al. 2018, "Non-local neural
networks", embedded Gaussian; the square root of d keeps exp() away from one-hot rows at initialisation).

The second term of the exponent is ours: the paper calls the relation a registration, and content alone cannot tell
one place of the liver from another. It puts the position into the embedding, as non-local means does with its search
window. Without it (``reach`` None) the rows start almost even over all positions, and the response at a lesion is the
mean of the whole other phase (docs/measurements.md has the measurement).

Two forms have less of it, to tell what of the whole does the work (``network.relation``): by position alone f has no
theta and phi, and is a Gaussian pooling of the other phase around the same place; ``same_cell`` has no f at all.
"""

from __future__ import annotations

from typing import Any, List, Optional, Tuple

from mxnet.gluon import nn

from gluon_liver.flow.operators import exp_of_largest

from .layers.indexing import entry

FULL, SAME_CELL = "full", "same_cell"  # of network.relation, beside position


class Relation(nn.HybridBlock):
    """What one phase x says of another phase y: the projected L(x -> y).

    channels: of the maps. inner: of theta, phi and g, half of ``channels`` by default.
    kind: ``full``, f as above; ``position``, f by distance alone; ``same_cell``, no f: the response at a position is g
        of x there. All three have ``g`` and ``project``, ``full`` alone ``theta`` and ``phi``.
    reach: standard deviation in cells of how far a position looks; None for content alone.
    """

    def __init__(
        self,
        channels: int,
        *,
        inner: Optional[int] = None,
        kind: str = FULL,
        reach: Optional[float] = None,
        **kwargs: Any,
    ):
        super().__init__(**kwargs)
        if kind not in (FULL, "position", SAME_CELL):
            raise ValueError(f"a relation is full, position or same_cell, not {kind}")
        inner = max(8, channels // 2) if inner is None else inner
        self._scale, self._kind, self._reach = inner**-0.5, kind, reach
        with self.name_scope():
            options = {"use_bias": False, "in_channels": channels}
            if kind == FULL:
                # zero at first, so that rows start from the position alone: maps are not negative, and random
                # embeddings of them look at whatever is brightest, ribs say, however far away
                self.theta = nn.Conv2D(inner, 1, weight_initializer="zeros", prefix="theta_", **options)
                self.phi = nn.Conv2D(inner, 1, prefix="phi_", **options)
            self.g = nn.Conv2D(inner, 1, prefix="g_", **options)
            # zero at first, so that a net with relations starts as the net without them
            options["in_channels"] = inner
            self.project = nn.Conv2D(channels, 1, weight_initializer="zeros", prefix="project_", **options)

    def hybrid_forward(self, F: Any, x: Any, y: Any, present: Any) -> Any:
        """Maps (B, C, H, W) of the phases and (B,), 1 where x is present and 0 where not -> (B, C, H, W).

        Zero where x is absent, whatever its map holds.
        """
        g = self.g(x)
        share = F.reshape(present, (-1, 1, 1))
        if self._kind == SAME_CELL:
            response = F.broadcast_mul(g, F.expand_dims(share, axis=3))
        else:
            f, one = self._f(F, x, y), F.ones_like(F.slice_axis(g, axis=1, begin=0, end=1))
            # C is f's product with ones, and the quotient is of d x J numbers: division of f by its sums, J x I, has
            # gradients that are slow to sum, a seventh of a training step at 22 x 22 cells
            sums = F.batch_dot(F.reshape(F.concat(g, one, dim=1), (0, 0, -1)), f, transpose_b=True)  # (B, d + 1, J)
            total, c = F.slice_axis(sums, axis=1, begin=0, end=-1), F.slice_axis(sums, axis=1, begin=-1, end=None)
            response = F.reshape_like(F.broadcast_mul(total, F.broadcast_div(share, c)), g)  # (B, d, J)
        return self.project(response)

    def rows(self, F: Any, x: Any, y: Any) -> Any:
        """f / C: for each position j of y where it looks in x, (B, J, I), rows summing to one.

        With ``position`` they are the same for every image, with ``same_cell`` the identity.
        """
        if self._kind == SAME_CELL:
            return each_cell_itself(F, x)
        f = self._f(F, x, y)
        return F.broadcast_div(f, F.sum(f, axis=2, keepdims=True))  # by C, (B, J, 1)

    def _f(self, F: Any, x: Any, y: Any) -> Any:
        """(B, J, I), each row divided by its largest, as C is then."""
        parts = [(self.theta(y) * self._scale, self.phi(x))] if self._kind == FULL else []
        parts += [places(F, x, self._reach)] if self._reach is not None else []
        theta, phi = (F.reshape(F.concat(*one, dim=1), (0, 0, -1)) for one in zip(*parts))
        return exp_of_largest(F, F.batch_dot(theta, phi, transpose_a=True), axis=2)


def places(F: Any, like: Any, reach: float) -> Tuple[Any, Any]:
    """Embeddings (B, 3, H, W) of y's and x's positions, whose product is -|p_i - p_j|^2 / (2 reach^2).

    Less |p_j|^2 / (2 reach^2), which is the same for a whole row and falls out of f / C.
    """
    one = F.ones_like(F.slice_axis(like, axis=1, begin=0, end=1))  # (B, 1, H, W)

    def along(axis, shape):
        place = F.contrib.arange_like(like, axis=axis)
        place = F.broadcast_sub(place, F.mean(place))  # around 0, where float32 squares are finer
        return F.broadcast_mul(one, F.reshape(place, shape) / reach)

    y, x = along(2, (1, 1, -1, 1)), along(3, (1, 1, 1, -1))
    return F.concat(y, x, one, dim=1), F.concat(y, x, (F.square(y) + F.square(x)) * -0.5, dim=1)


def each_cell_itself(F: Any, like: Any) -> Any:
    """(B, J, I) of a map (B, C, H, W): 1 where i is j, else 0."""
    one = F.reshape(F.ones_like(F.slice_axis(like, axis=1, begin=0, end=1)), (0, 0, -1))  # (B, 1, I)
    place = F.contrib.arange_like(one, axis=2)
    same = F.broadcast_equal(F.reshape(place, (1, -1, 1)), F.reshape(place, (1, 1, -1)))  # (1, J, I)
    return F.broadcast_mul(same, one)


class PhaseRelation(nn.HybridBlock):
    """Every ordered pair of phases that ends in the reference phase, added to its map.

    Each of the other phases has a relation of its own, so that a missing phase is never taken for another.
    kind, reach: as of :class:`Relation`.
    """

    def __init__(self, channels: int, *, phases: int, kind: str = FULL, reach: Optional[float] = None, **kwargs: Any):
        super().__init__(**kwargs)
        with self.name_scope():
            self.pairs = nn.HybridSequential(prefix="")
            for number in range(1, phases):
                self.pairs.add(Relation(channels, kind=kind, reach=reach, prefix=f"phase{number}_"))

    def hybrid_forward(self, F: Any, maps: Any, present: Any) -> Any:
        """Maps (B, P, C, H, W), the reference phase first, and present (B, P), 1 or 0 -> (B, C, H, W)."""
        related = entry(F, maps, 0, axis=1)
        for response in self.responses(F, maps, present):
            related = related + response
        return related

    def responses(self, F: Any, maps: Any, present: Any) -> List[Any]:
        """What each of the other phases adds to the reference phase's map, (B, C, H, W) each."""
        pairs = enumerate(self._pairs(F, maps), start=1)
        return [relation(x, y, entry(F, present, number, axis=1)) for number, (relation, x, y) in pairs]

    def rows(self, F: Any, maps: Any) -> List[Any]:
        """For each of the other phases where the reference phase's positions look in it, (B, J, I) each."""
        return [relation.rows(F, x, y) for relation, x, y in self._pairs(F, maps)]

    def _pairs(self, F: Any, maps: Any) -> List[Tuple[Relation, Any, Any]]:
        y = entry(F, maps, 0, axis=1)
        return [(relation, entry(F, maps, number, axis=1), y) for number, relation in enumerate(self.pairs, start=1)]
