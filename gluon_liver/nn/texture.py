"""Stage one of the head (CT paper, "a classifier based on texture features"): normal or abnormal from texture alone.

The texture of an ROI is described by second-order statistics of the shallow map (Block1): the energy of each channel
and the Gram matrix, the correlation of each two channels over the ROI (as in Gatys et al. 2015, "Texture synthesis
using convolutional neural networks"). A small dense net turns them into one score, trained with a binary loss of its
own; the probability of a class is P(abnormal) times what stage two says of the class.

Texture does not know where a lesion ends: an ROI that covers half of it has the texture of one that fits. Stage two
therefore keeps a background class, which rejects such ROIs (docs/measurements.md has the measurement).
"""

from __future__ import annotations

from typing import Any, Optional

import mxnet as mx
from mxnet.gluon import nn

from .random_numbers import apply_dropout

CHANNELS = 16  # of the map that is described: 16 energies and 256 entries of the Gram matrix
ENERGY_FLOOR = 1e-4  # keeps the root's gradient finite where a channel is silent


class TextureHead(nn.HybridBlock):
    """Reduces the shallow map once, then scores ROIs of it.

    in_channels: of the shallow map. hidden: of the dense layer, followed by dropout in training.
    """

    def __init__(self, *, in_channels: int, hidden: int = 64, **kwargs: Any):
        super().__init__(**kwargs)
        self.hidden = hidden
        with self.name_scope():
            self.reduce = nn.Conv2D(CHANNELS, 1, in_channels=in_channels, prefix="reduce_")
            self.dense = nn.Dense(hidden, in_units=CHANNELS + CHANNELS**2, activation="relu", prefix="dense_")
            self.score = nn.Dense(1, in_units=hidden, weight_initializer=mx.init.Normal(0.01), prefix="score_")

    def hybrid_forward(self, F: Any, pooled: Any, dropout_mask: Optional[Any] = None) -> Any:
        """ROIs of the reduced map (N, 16, h, w), in training with the dropout mask (N, hidden) -> (N, 1), above 0 for
        abnormal."""
        return self.score(apply_dropout(self.dense(texture(F, pooled)), dropout_mask))


def texture(F: Any, pooled: Any) -> Any:
    """(N, C, h, w) -> (N, C + C * C): root energies, and the Gram matrix of channels scaled to energy one."""
    flat = F.reshape(pooled, (0, 0, -1))  # (N, C, h * w)
    energy = F.sqrt(F.mean(F.square(flat), axis=2, keepdims=True) + ENERGY_FLOOR)  # (N, C, 1)
    scaled = F.broadcast_div(flat, energy)
    gram = F.batch_dot(scaled, scaled, transpose_b=True)  # (N, C, C)
    positions = F.sum(F.ones_like(F.slice_axis(flat, axis=1, begin=0, end=1)), axis=2, keepdims=True)  # (N, 1, 1)
    return F.concat(F.flatten(energy), F.flatten(F.broadcast_div(gram, positions)), dim=1)
