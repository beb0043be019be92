"""A third graph over a detector's parts: what its relation between phases says (the CT paper's Fig. 4)."""

from __future__ import annotations

from mxnet import autograd
from mxnet.gluon import nn

from .ct_detector import CTDetector
from .relation import phase_of


class RelationNet(nn.HybridBlock):
    """The relation of a detector of several phases, taken apart.

    Call it with the image (B, P, 1, D, H, W) and which phases are present (B, P). Returns the reference phase's map
    (B, C, h, w) at Block3, before anything is added to it; and for each of the other phases, in their order, the rows
    f / C of Equation 1 (B, J, I), J positions of the reference map and I of the other phase's, row by row; and its
    projected response (B, C, h, w), which is added to the reference map. The response of an absent phase is zero; its
    rows are those of the reference phase itself, which stands in for it, and mean nothing.

    Raises :class:`ValueError` for a detector of one phase, which has no relation.
    """

    def __init__(self, detector: CTDetector, **kwargs):
        super().__init__(**kwargs)
        if detector.phases < 2:
            raise ValueError("a detector of one phase has no relation")
        self._blocks, self._by_phase = detector.blocks, detector.by_phase
        with self.name_scope():
            # these parts alone: once hybridized, a net warns of every parameter that it has and does not use
            self.backbone, self.relation = detector.backbone, detector.relation

    def forward(self, *args):
        if autograd.is_training():
            raise RuntimeError("RelationNet in training mode: the maps would be those of training's BatchNorm")
        return super().forward(*args)

    def hybrid_forward(self, F, x, present):
        _, _, block3 = self._blocks(F, x)
        maps = self._by_phase(F, block3)
        return phase_of(F, maps, 0), self.relation.rows(F, maps), self.relation.responses(F, maps, present)
