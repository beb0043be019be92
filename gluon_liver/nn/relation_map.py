"""A third graph over a detector's parts: what its relation between phases says (the CT paper's Fig. 4)."""

from __future__ import annotations

from typing import Any, List, NamedTuple

from mxnet import autograd
from mxnet.gluon import nn

from .ct_detector import CTDetector
from .layers.indexing import entry


class RelationOutputs(NamedTuple):
    """The relation of a detector of several phases, taken apart."""

    reference: Any  # the reference phase's map (B, C, h, w) at Block3, before anything is added to it
    # for each of the other phases, in their order, f / C of Equation 1 (B, J, I), J positions of the reference map and
    # I of the other phase's, row by row; an absent phase's are those of the reference, its stand-in, and mean nothing
    rows: List[Any]
    responses: List[Any]  # for each of them what is added to the reference map, (B, C, h, w); zero for an absent one


class RelationNet(nn.HybridBlock):
    """:class:`RelationOutputs` of the image (B, P, 1, D, H, W) and which phases are present (B, P).

    Raises :class:`ValueError` for a detector of one phase, which has no relation.
    """

    def __init__(self, detector: CTDetector, **kwargs: Any):
        super().__init__(**kwargs)
        if detector.phases < 2:
            raise ValueError("a detector of one phase has no relation")
        self._blocks, self._by_phase = detector.blocks, detector.by_phase
        with self.name_scope():
            # these parts alone: once hybridized, a net warns of every parameter that it has and does not use
            self.backbone, self.relation = detector.backbone, detector.relation

    def forward(self, *args: Any) -> RelationOutputs:
        if autograd.is_training():
            raise RuntimeError("RelationNet in training mode: the maps would be those of training's BatchNorm")
        return RelationOutputs(*super().forward(*args))

    def hybrid_forward(self, F: Any, x: Any, present: Any) -> RelationOutputs:
        _, _, block3 = self._blocks(F, x)
        maps = self._by_phase(F, block3)
        return RelationOutputs(
            entry(F, maps, 0, axis=1), self.relation.rows(F, maps), self.relation.responses(F, maps, present)
        )
