"""Detections of one image, as every part passes them on, and COCO results of them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Dict, List, Sequence

from .arrays import FloatArray, IntArray
from .image_result import ImageResult


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
        """COCO results: image_id, category_id (class index + 1), bbox (x, y, width, height), score."""
        rows = []
        for box, score, label in zip(self.boxes, self.scores, self.labels):
            x1, y1, x2, y2 = (round(float(edge), 2) for edge in box)
            rows.append(
                {
                    "image_id": image_id,
                    "category_id": int(label) + 1,
                    "bbox": [x1, y1, round(x2 - x1, 2), round(y2 - y1, 2)],
                    "score": round(float(score), 5),
                }
            )
        return rows


def detections_json(results: Sequence[ImageResult]) -> List[Dict[str, Any]]:
    """COCO results: image_id, category_id (class index + 1), bbox (x, y, width, height), score."""
    rows = []
    for result in results:
        for box, score, label in zip(result.boxes, result.scores, result.labels):
            x1, y1, x2, y2 = (round(float(edge), 2) for edge in box)
            rows.append(
                {
                    "image_id": result.image_id,
                    "category_id": int(label) + 1,
                    "bbox": [x1, y1, round(x2 - x1, 2), round(y2 - y1, 2)],
                    "score": round(float(score), 5),
                }
            )
    return rows
