"""The backbone of nine slices along a whole study: what neighbouring windows share is computed once.

The window around slice c reads conv1 around the slices c-4, c-2, c, c+2 and c+4, five maps F of seven slices each:

    block1 = B1(F[c-4], F[c-2]), B1(F[c-2], F[c], F[c+2]), B1(F[c+2], F[c+4])      B1: Block1 of the maximum
    block2 = B2(block1 0 and 1), B2(block1 1 and 2)                                B2: Block2 of the maximum
    and Block3 of these, of which the mean is taken.

None of it is equal in two windows, for a window repeats its own end slices where conv1 would read beyond it. Along a
study conv1 reads the slices themselves (those of the study's ends repeat), and there is one map of each kind a slice:

    P[y] = B1(F[y-1], F[y+1])     Q[q] = B2(P[q-2], P[q+2])     block3 of slice c = mean of Block3 of Q[c-1], Q[c+1]

so that Block2 and Block3 see the same five F as in the window. Where all slices are alike both forms are equal. This is
of ``network.slice_fusion`` pools, with either ``network.stem``; the other two have no such form here.
"""

from __future__ import annotations

from collections import deque
from typing import Any, Deque, List, Optional, Sequence

import mxnet as mx
from mxnet.gluon import nn

from .backbones.stem import Stem
from .ct_detector import CTDetector
from .layers.indexing import entry

STEP = 2  # slices that are read at a time: all shifts between maps are multiples of it
KERNEL = 7  # slices that conv1 reads at most
Ring = Deque[mx.nd.NDArray]
PLANES = 4  # steps of planes that conv1 reads for two maps
REACH = 7  # slices before and after a slice that its maps are made of


class StemMaps(nn.HybridBlock):
    """F of two neighbouring slices: conv1 and the in-plane part of pool1."""

    def __init__(self, stem: Stem, **kwargs: Any):
        super().__init__(**kwargs)
        with self.name_scope():
            self.stem = stem

    def hybrid_forward(self, F: Any, *planes: Any) -> Any:
        """Four arrays (2, P, H, W) of neighbouring slices -> F (2 * P, C, H / 4, W / 4) of the middle two."""
        stack = F.concat(*planes, dim=0)  # (8, P, H, W)
        taps = self.stem.conv1.taps
        firsts = [first + (KERNEL - taps) // 2 for first in range(STEP)]
        windows = [F.slice_axis(stack, axis=0, begin=first, end=first + taps) for first in firsts]
        x = F.transpose(F.stack(*windows, axis=0), axes=(0, 2, 1, 3, 4))
        return self.stem.in_plane(F, F.reshape(x, (-3, 0, 0, 0)))  # of (2 * P, taps, H, W)


class Block1Maps(nn.HybridBlock):
    """P of two slices: Block1 of the larger of two F."""

    def __init__(self, block1: nn.HybridBlock, **kwargs: Any):
        super().__init__(**kwargs)
        with self.name_scope():
            self.block1 = block1

    def hybrid_forward(self, F: Any, below: Any, above: Any) -> Any:
        return self.block1(F.maximum(below, above))


class UpperMaps(nn.HybridBlock):
    """Maps of Block2 and Block3 of two slices, from the larger of two P."""

    def __init__(self, block2: nn.HybridBlock, block3: nn.HybridBlock, **kwargs: Any):
        super().__init__(**kwargs)
        with self.name_scope():
            self.block2, self.block3 = block2, block3

    def hybrid_forward(self, F: Any, below: Any, above: Any) -> List[Any]:
        block2 = self.block2(F.maximum(below, above))
        return [block2, self.block3(block2)]


class SliceFeatures(nn.HybridBlock):
    """What proposals and ROIs read of two slices: :class:`gluon_liver.nn.rcnn.Features` as a list."""

    def __init__(self, detector: CTDetector, **kwargs: Any):
        super().__init__(**kwargs)
        self._relate, self._phases, config = detector.relate, detector.phases, detector.config
        self._texture = config.texture_head
        # what else of P (four neighbours), Block2's maps (two) and which phases are there is read
        self.reads = (config.fusion or config.texture_head, config.fusion, detector.phases > 1)
        with self.name_scope():
            # these parts alone: once hybridized, a net warns of every parameter that it has and does not use
            if config.texture_head:
                self.reduce = detector.texture.reduce
            if config.fusion:
                self.fusion, self.block4 = detector.fusion, detector.block4
            if detector.phases > 1:
                self.relation = detector.relation

    def hybrid_forward(self, F: Any, block3: Any, *others: Any) -> List[Any]:
        """Block3's two maps (2 * P, C, h, w), and those of :attr:`reads` that are read -> the maps of two slices."""
        rest = iter(others)
        block1, block2, present = (next(rest) if read else None for read in self.reads)
        block1, block2 = (None if maps is None else self._reference(F, mean(F, maps)) for maps in (block1, block2))
        shallow = self.reduce(block1) if self._texture else None
        features = self._relate(F, None, block1, block2, mean(F, block3), shallow, present)
        return [*features.maps, *([] if features.shallow is None else [features.shallow])]

    def _reference(self, F: Any, maps: Any) -> Any:
        """(2 * P, C, h, w) -> (2, C, h, w) of the first phase."""
        if self._phases == 1:
            return maps
        return entry(F, F.reshape(maps, (-4, -1, self._phases, 0, 0, 0)), 0, axis=1)


def mean(F: Any, maps: Sequence[Any]) -> Any:
    """The mean of arrays of one shape."""
    return F.add_n(*maps) / len(maps)


class DenseBackbone:
    """The backbone along the slices of a study, two at a time, in memory that does not grow with the study.

    The maps of a slice are known when the slice :data:`REACH` above has been read, and the first to be read is as far
    below the first of interest.
    """

    def __init__(self, detector: CTDetector):
        backbone = detector.backbone
        self._stem, self._block1 = StemMaps(backbone.stem), Block1Maps(backbone.block1)
        self._upper, self._features = UpperMaps(backbone.block2, backbone.block3), SliceFeatures(detector)
        for net in (self._stem, self._block1, self._upper, self._features):
            net.hybridize()
        self.restart()

    def restart(self) -> None:
        """Forget what was read: another study begins."""
        self._planes: Ring = deque(maxlen=PLANES)
        self._stems: Ring = deque(maxlen=2)
        self._block1s: Ring = deque(maxlen=4)
        self._uppers: Deque[List[mx.nd.NDArray]] = deque(maxlen=2)

    def read(self, planes: mx.nd.NDArray, present: mx.nd.NDArray) -> Optional[List[mx.nd.NDArray]]:
        """The next two slices (2, P, H, W) -> features of the two that lie :data:`REACH` + 1 slices before.

        None until so many have been read. present: (2, P), 1 or 0, which phases those two have.
        """
        self._planes.append(planes)
        if len(self._planes) < PLANES:
            return None
        self._stems.append(self._stem(*self._planes))
        if len(self._stems) < 2:
            return None
        self._block1s.append(self._block1(*self._stems))
        if len(self._block1s) < 3:
            return None
        self._uppers.append(self._upper(self._block1s[-3], self._block1s[-1]))
        if len(self._uppers) < 2:
            return None
        block2, block3 = ([maps[part] for maps in self._uppers] for part in (0, 1))
        others = (list(self._block1s), block2, present)
        return self._features(block3, *(one for one, read in zip(others, self._features.reads) if read))
