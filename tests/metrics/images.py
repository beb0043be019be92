"""Images with lesions and detections, by hand and at random."""

from __future__ import annotations

from typing import List

import numpy as np

from gluon_liver.structures.image_result import ImageResult

CLASSES = ("cyst", "hemangioma", "hcc")
BOX, FAR, ELSE = (0, 0, 10, 10), (50, 50, 60, 60), (30, 30, 40, 40)


def image(image_id, patient="p0", *, gt=(), found=()) -> ImageResult:
    """gt: (label, box) pairs; found: (label, score, box) triples."""
    gt_labels, gt_boxes = zip(*gt) if gt else ((), ())
    labels, scores, boxes = zip(*found) if found else ((), (), ())
    return ImageResult(image_id, patient, gt_boxes, gt_labels, boxes, scores, labels)


def exact(result, label_of=lambda label: label) -> ImageResult:
    """The same image, every lesion detected where it is, as of the class that ``label_of`` its own gives."""
    truth = list(zip(result.gt_labels, result.gt_boxes))
    return image(result.image_id, result.patient, gt=truth, found=[(label_of(label), 0.9, box) for label, box in truth])


def random_results(seed, *, images=40, patients=8, classes=3, most_gt=3, most_found=8, steps=6) -> List[ImageResult]:
    """Random lesions: some found (jittered, scored higher), some twice, some mislabelled; tied scores."""
    rng = np.random.default_rng(seed)
    results = []
    for number in range(images):
        corner = rng.integers(0, 80, size=(rng.integers(0, most_gt + 1), 2))
        gt_boxes = np.concatenate([corner, corner + rng.integers(4, 30, size=corner.shape)], axis=1)
        gt_labels = rng.integers(0, classes, size=len(corner))
        boxes, labels, scores = [], [], []
        for _ in range(rng.integers(0, most_found + 1)):
            on_lesion = len(gt_boxes) > 0 and rng.random() < 0.6
            if on_lesion:
                row = rng.integers(len(gt_boxes))
                box = gt_boxes[row] + np.concatenate([rng.integers(-2, 3, 2), rng.integers(0, 4, 2)])
                label = gt_labels[row] if rng.random() < 0.8 else rng.integers(classes)
            else:
                low = rng.integers(0, 80, 2)
                box, label = np.concatenate([low, low + rng.integers(4, 30, 2)]), rng.integers(classes)
            boxes.append(box)
            labels.append(label)
            scores.append((rng.integers(0, steps) + on_lesion * (steps // 2)) / (2 * steps))
        patient = f"p{rng.integers(patients)}"
        results.append(ImageResult(number * 3 + 1, patient, gt_boxes, gt_labels, boxes, scores, labels))
    return results
