"""Detections of one image, as every part passes them on, and COCO results of them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Dict, List, Sequence

import numpy as np

from gluon_liver.structures.image_result import ImageResult


@dataclass(frozen=True)
class Detections:
    """Boxes of one slice, best first: corners in stored-image pixels, float32; scores 0 to 1; class indices."""

    boxes: np.ndarray
    scores: np.ndarray
    labels: np.ndarray


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
