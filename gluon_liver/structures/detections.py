"""Boxes of one image: what a network says, as every part passes it on, and COCO's words for it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Dict, List, Protocol, Sequence, Tuple

import numpy as np

from .arrays import FloatArray, IntArray

SCORE_THRESHOLD = 0.5  # ultrasound paper, Figure S1: boxes "with a probability of 50% or more were shown"


class Boxes(Protocol):
    """Anything with boxes (n, 4) and their labels (n,): detections, or what was drawn by hand."""

    @property
    def boxes(self) -> FloatArray:
        """(n, 4) corners x1, y1, x2, y2 in pixels of the stored image, x2 and y2 exclusive."""

    @property
    def labels(self) -> IntArray:
        """(n,) indices of the classes."""


@dataclass(frozen=True)
class CocoDetection:
    """One entry of COCO results: category_id is the class index + 1, bbox is x, y, width, height."""

    image_id: int
    category_id: int
    bbox: Tuple[float, float, float, float]
    score: float


@dataclass(frozen=True, eq=False)
class Detections:
    """What a network says of one image.

    boxes: (n, 4) float32 corners x1, y1, x2, y2 in pixels of the stored image, x2 and y2 exclusive.
    scores: (n,) 0 to 1; a detector gives the best first.
    labels: (n,) whole numbers, indices of the classes.
    """

    boxes: FloatArray
    scores: FloatArray
    labels: IntArray

    def __len__(self) -> int:
        return len(self.boxes)

    def at_score(self, threshold: float) -> Detections:
        """Those with a score of ``threshold`` or more."""
        keep = self.scores >= threshold
        return Detections(self.boxes[keep], self.scores[keep], self.labels[keep])

    def to_coco(self, image_id: int) -> List[Dict[str, Any]]:
        """The keys of :class:`CocoDetection`, for :func:`json.dumps`: pixels with two digits, scores with five."""
        rows = []
        for box, score, label in zip(self.boxes, self.scores, self.labels):
            x1, y1, x2, y2 = (round(float(edge), 2) for edge in box)
            row: Dict[str, Any] = {"image_id": image_id, "category_id": int(label) + 1}
            row.update(bbox=[x1, y1, round(x2 - x1, 2), round(y2 - y1, 2)], score=round(float(score), 5))
            rows.append(row)
        return rows

    def as_written(self) -> Detections:
        """What a reader of :meth:`to_coco` gets: scored as such, a file has the score of what it was written from."""
        return self.from_coco([CocoDetection(**row) for row in self.to_coco(0)])

    @classmethod
    def from_coco(cls, rows: Sequence[CocoDetection]) -> Detections:
        """COCO results of one image, in float64, in an order that is theirs alone: best first, ties by class and place.

        Metrics that have to choose between tied detections take the first; the order of a file's rows must not choose.
        """
        rows = sorted(rows, key=lambda row: (-row.score, row.category_id, row.bbox))
        boxes = np.array([row.bbox for row in rows], np.float64).reshape(-1, 4)
        boxes[:, 2:] += boxes[:, :2]
        scores = np.array([row.score for row in rows], np.float64)
        return cls(boxes, scores, np.array([row.category_id - 1 for row in rows], np.int64))


NOTHING = Detections(np.zeros((0, 4), np.float32), np.zeros(0, np.float32), np.zeros(0, np.int32))
