"""The relation between contrast phases (CT paper, Equation 1); gluon_liver.nn.relation has the formula."""

from __future__ import division

import mxnet as mx

from .layers import convolution, exp_of_largest, part_of


def relation(x, y, present, name, channels, batch, side, kind, reach):
    """What a phase x says of the reference phase y: maps (B, C, side, side), present (B,) -> (B, C, side, side).

    kind: ``full``, f by content and, with a reach, by distance; ``position``, by distance alone; ``same_cell``, no f.
    """
    inner = max(8, channels // 2)
    g = convolution(x, name + ".g", inner, 1)
    share = mx.sym.reshape(present, shape=(-1, 1, 1))
    if kind == "same_cell":
        response = mx.sym.broadcast_mul(g, mx.sym.expand_dims(share, axis=3))
    else:
        theta, phi = [], []
        if kind == "full":
            theta.append(convolution(y, name + ".theta", inner, 1) * inner**-0.5)
            phi.append(convolution(x, name + ".phi", inner, 1))
        if reach is not None:
            for parts, places in zip((theta, phi), positions(batch, side, reach)):
                parts.extend(places)
        g = mx.sym.concat(g, mx.sym.ones((batch, 1, side, side)), dim=1)  # f times ones is C
        sums = looked_up(mx.sym.concat(*theta, dim=1), mx.sym.concat(*phi, dim=1), g)
        share = mx.sym.broadcast_div(share, mx.sym.slice_axis(sums, axis=1, begin=inner, end=inner + 1))
        total = mx.sym.broadcast_mul(mx.sym.slice_axis(sums, axis=1, begin=0, end=inner), share)
        response = mx.sym.reshape(total, shape=(0, 0, side, side))
    return convolution(response, name + ".project", channels, 1)


def looked_up(theta, phi, g):
    """Embeddings of y's and x's positions and g of x, (B, any, side, side) each -> f times g, (B, d, J)."""
    theta, phi, g = (mx.sym.reshape(part, shape=(0, 0, -1)) for part in (theta, phi, g))
    affinity = mx.sym.batch_dot(theta, phi, transpose_a=True)  # (B, J, I)
    return mx.sym.batch_dot(g, exp_of_largest(affinity, axis=2), transpose_b=True)


def positions(batch, side, reach):
    """Of y's and of x's positions three maps (B, 1, side, side) each, whose product is -|p_i - p_j|^2 / (2 reach^2) and
    a term that is the same for a whole row."""
    place = (mx.sym.arange(side) - (side - 1) / 2.0) / reach
    y, x = (
        mx.sym.broadcast_to(mx.sym.reshape(place, shape=shape), shape=(batch, 1, side, side))
        for shape in ((1, 1, side, 1), (1, 1, 1, side))
    )
    return [y, x, mx.sym.ones((batch, 1, side, side))], [y, x, (mx.sym.square(y) + mx.sym.square(x)) * -0.5]


def phase_relation(maps, present, phases, channels, batch, side, kind, reach):
    """Maps (B, P, C, side, side), the reference phase first, and present (B, P) -> (B, C, side, side)."""
    each = [mx.sym.reshape(part_of(maps, 1, number), shape=(0, -3, 0, 0)) for number in range(phases)]
    related = each[0]
    for number in range(1, phases):
        there = mx.sym.reshape(part_of(present, 1, number), shape=(-1,))
        name = "relation.pairs.{}".format(number - 1)
        related = related + relation(each[number], each[0], there, name, channels, batch, side, kind, reach)
    return related
