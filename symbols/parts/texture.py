"""Stage one of the head (CT paper): normal or abnormal from the texture of an ROI in the shallow map."""

from __future__ import division

import mxnet as mx

from .layers import convolution, dense, relu
from .random_numbers import apply_dropout

CHANNELS = 16  # of the map that is described
HIDDEN = 64
ENERGY_FLOOR = 1e-4


def texture_map(block1, network):
    """Block1's map (B, C, h, w) -> (B, 16, h, w); None where the configuration has no texture stage."""
    return convolution(block1, "texture.reduce", CHANNELS, 1, bias=True) if network["texture_head"] else None


def texture_score(pooled, side, numbers=None):
    """ROIs of the reduced map (N, 16, side, side) -> (N, 1), above 0 for abnormal; in training with dropout."""
    flat = mx.sym.reshape(pooled, shape=(0, 0, -1))  # (N, C, side * side)
    energy = mx.sym.sqrt(mx.sym.mean(mx.sym.square(flat), axis=2, keepdims=True) + ENERGY_FLOOR)  # (N, C, 1)
    unit = mx.sym.broadcast_div(flat, energy)
    gram = mx.sym.batch_dot(unit, unit, transpose_b=True) / side**2  # (N, C, C)
    described = mx.sym.concat(mx.sym.Flatten(energy), mx.sym.Flatten(gram), dim=1)
    hidden = relu(dense(described, "texture.dense", HIDDEN))
    return dense(apply_dropout(hidden, HIDDEN, numbers), "texture.score", 1)
