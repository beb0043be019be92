"""Metrics of many patients, and boxes of many slices."""

from __future__ import annotations

from pathlib import Path
from typing import Callable

Work = Callable[[], object]
SLICES, BOXES = 8, 10  # that are scored of a patient, and detections on each


def scoring(folder: Path, patients: int) -> Work:
    """What evaluation computes of detections that it has."""
    import numpy as np

    from gluon_liver.metrics.ct_summary import ct_curves, ct_summary
    from gluon_liver.metrics.lesion_summary import lesion_summary
    from gluon_liver.metrics.lesions import Scan
    from gluon_liver.structures.image_result import ImageResult

    rng = np.random.default_rng(0)
    scans, results = [], []
    for number in range(patients):
        corner = rng.uniform(0, 200, (1, 2))
        truth = np.concatenate([corner, corner + 20], 1).astype(np.float32)
        of_scan = {}
        for index in range(SLICES):
            near = truth[:, :2] + rng.uniform(-15, 15, (BOXES, 2))
            boxes = np.concatenate([near, near + 20], 1).astype(np.float32)
            scores, labels = np.sort(rng.random(BOXES))[::-1], rng.integers(0, 3, BOXES)
            kind = np.array([number % 3])
            of_scan[index] = ImageResult(len(results), f"p{number}", truth, kind, boxes, scores, labels)
            results.append(of_scan[index])
        scans.append(Scan(f"p{number}", (5.0, 0.8, 0.8), of_scan, SLICES))
    classes = ("cyst", "hemangioma", "hcc")

    def work() -> None:
        ct_summary(results, classes=classes)
        ct_curves(results, classes)
        lesion_summary(scans, classes=classes)

    return work


def joining(folder: Path, slices: int) -> Work:
    """Ten boxes a slice, as a detector leaves them, into lesions."""
    import numpy as np

    from gluon_liver.structures.detections import Detections
    from gluon_liver.structures.geometry import Geometry
    from gluon_liver.structures.lesions import find_lesions

    rng = np.random.default_rng(0)
    detections = []
    for _ in range(slices):
        corners = rng.uniform(0, 400, (BOXES, 2))
        boxes = np.concatenate([corners, corners + rng.uniform(10, 60, (BOXES, 2))], 1).astype(np.float32)
        detections.append(Detections(boxes, np.sort(rng.random(BOXES))[::-1], rng.integers(0, 3, BOXES)))
    axes = ((1.0, 0.0, 0.0), (0.0, 1.0, 0.0), (0.0, 0.0, 1.0))
    geometry = Geometry((0.0, 0.0, 0.0), (1.0, 0.8, 0.8), axes, (slices, 512, 512))
    classes = ("cyst", "hemangioma", "hcc")
    return lambda: find_lesions(detections, geometry=geometry, classes=classes, score_threshold=0.05)
