"""What a step's images had to learn from: whether proposals reach the boxes, and how many positives there were.

Counted from what the step has computed anyway. They tell which part of a network does not learn (docs/training.md).
"""

from __future__ import annotations

from dataclasses import astuple, dataclass
from typing import Dict, Optional

import numpy as np

from .batches import Batch


@dataclass(frozen=True)
class StepCounts:
    """Sums over images, of one step or of several, of one worker or of all."""

    images: float = 0
    boxes: float = 0  # annotated
    covered: float = 0  # of these, which a proposal overlaps by an IoU of 0.5 or more
    positive_anchors: float = 0  # sampled for the loss of the proposal network
    positive_rois: float = 0  # sampled for the head; the annotated boxes themselves are among what it is sampled from

    def __add__(self, other: StepCounts) -> StepCounts:
        return StepCounts(*map(sum, zip(astuple(self), astuple(other))))

    def rates(self) -> Dict[str, Optional[float]]:
        """``rpn_recall`` a box, ``positive_anchors`` and ``positive_rois`` an image; None of no box and no image."""
        shares = {
            "rpn_recall": (self.covered, self.boxes),
            "positive_anchors": (self.positive_anchors, self.images),
            "positive_rois": (self.positive_rois, self.images),
        }
        return {name: round(count / of, 4) if of else None for name, (count, of) in shares.items()}


def count_step(batch: Batch, covered: np.ndarray, classes: np.ndarray) -> StepCounts:
    """Of one worker's batch, and what the network's pass says of its images, in their order.

    covered, classes: (B, M) and (B, R) of :class:`gluon_liver.nn.nets.TrainingOutputs`.
    """
    boxes = batch.gt_labels >= 0
    anchors, rois = (float((labels > 0).sum()) for labels in (batch.rpn_labels, classes))
    return StepCounts(len(batch), float(boxes.sum()), float((boxes & (covered > 0)).sum()), anchors, rois)
