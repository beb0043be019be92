"""What every metric reads: the ground truth and the detections of one image."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Dict, List, Sequence

import numpy as np

from gluon_liver.errors import InputError

from .arrays import Array, FloatArray, IntArray
from .detections import Detections


@dataclass(frozen=True, eq=False)
class ImageResult:
    """Ground truth and detections of one evaluated slice.

    Boxes are (x1, y1, x2, y2) in pixels of one frame, the same for both; x2 and y2 are exclusive. Arrays are copied
    and made read-only. An image without ground truth (background) or without detections is valid. Raises
    :class:`InputError` when a shape, a coordinate, a score or a label is not as described.

    image_id: unique within an evaluation; ties between images are broken by it.
    patient: salted patient id, the unit of the bootstrap.
    gt_boxes: (n, 4) float32, of positive width and height.
    gt_labels: (n,) int32, index into the class list.
    boxes: (m, 4) float32, x2 >= x1 and y2 >= y1 (an empty box is valid and matches nothing).
    scores: (m,) float64, finite; only their order and the score threshold matter.
    labels: (m,) int32. Padding rows (label -1) must be dropped first.
    gt_lesions: (n,) int32 numbers of the true 3D lesions within the study, 0 where there is none; empty where no box
        has one.
    """

    image_id: int
    patient: str
    gt_boxes: FloatArray
    gt_labels: IntArray
    boxes: FloatArray
    scores: FloatArray
    labels: IntArray
    gt_lesions: IntArray = field(default_factory=lambda: np.zeros(0, np.int32))

    def __post_init__(self) -> None:
        where = f"image {self.image_id}"
        if not isinstance(self.patient, str) or not self.patient:
            raise InputError(f"{where}: the patient id must be a non-empty string, found {self.patient!r}")
        gt_boxes = _boxes(self.gt_boxes, f"{where}: gt_boxes", least_side=float(np.finfo(np.float32).tiny))
        boxes = _boxes(self.boxes, f"{where}: boxes", least_side=0.0)
        gt_labels = _labels(self.gt_labels, f"{where}: gt_labels", len(gt_boxes))
        labels = _labels(self.labels, f"{where}: labels", len(boxes))
        scores = np.array(self.scores, dtype=np.float64).reshape(-1)
        if len(scores) != len(boxes):
            raise InputError(f"{where}: {len(boxes)} boxes but {len(scores)} scores; one score a box is needed")
        if not np.isfinite(scores).all():
            raise InputError(f"{where}: scores hold a value that is not finite")
        object.__setattr__(self, "image_id", int(self.image_id))
        gt_lesions: IntArray = np.zeros(0, np.int32)
        if np.array(self.gt_lesions).any():
            gt_lesions = _labels(self.gt_lesions, f"{where}: gt_lesions", len(gt_boxes))
        names = "gt_boxes", "gt_labels", "boxes", "scores", "labels", "gt_lesions"
        arrays: Sequence[Array] = (gt_boxes, gt_labels, boxes, scores, labels, gt_lesions)
        for name, array in zip(names, arrays):
            array.setflags(write=False)
            object.__setattr__(self, name, array)

    @property
    def detections(self) -> Detections:
        """The detections alone."""
        return Detections(self.boxes, self.scores, self.labels)


def detections_json(results: Sequence[ImageResult]) -> List[Dict[str, Any]]:
    """COCO results of several images, see :meth:`Detections.to_coco`."""
    return [row for result in results for row in result.detections.to_coco(result.image_id)]


def check_results(results: Sequence[ImageResult], classes: Sequence[str]) -> List[ImageResult]:
    """The results sorted by image id.

    Raises :class:`InputError` when an image id occurs twice, or a label has no class.
    """
    ordered = sorted(results, key=lambda result: result.image_id)
    for previous, current in zip(ordered, ordered[1:]):
        if previous.image_id == current.image_id:
            raise InputError(f"image {current.image_id} occurs twice in the results; evaluate each image once")
    for result in ordered:
        for name in ("gt_labels", "labels"):
            largest = getattr(result, name).max(initial=-1)
            if largest >= len(classes):
                known = f"0 to {len(classes) - 1} ({', '.join(classes)})"
                raise InputError(f"image {result.image_id}: {name} holds {largest}, but the classes are {known}")
    return ordered


def patient_ids(results: Sequence[ImageResult]) -> List[str]:
    """The patients of the results, sorted, each once: the order of all per-patient arrays here."""
    return sorted({result.patient for result in results})


def _boxes(values: Any, where: str, *, least_side: float) -> FloatArray:
    boxes = np.array(values, dtype=np.float32)
    if boxes.size == 0:
        return np.zeros((0, 4), np.float32)
    if boxes.ndim != 2 or boxes.shape[1] != 4:
        raise InputError(f"{where} has shape {boxes.shape}; (n, 4) is needed: x1, y1, x2, y2")
    if not np.isfinite(boxes).all():
        raise InputError(f"{where} holds a coordinate that is not finite")
    sides = boxes[:, 2:] - boxes[:, :2]
    if (sides < least_side).any():
        row = int(np.argmax((sides < least_side).any(axis=1)))
        raise InputError(f"{where}: row {row} is {boxes[row].tolist()}; x2 and y2 must lie beyond x1 and y1")
    return boxes


def _labels(values: Any, where: str, count: int) -> IntArray:
    given = np.array(values).reshape(-1)
    labels = given.astype(np.int32)
    if len(labels) != count:
        raise InputError(f"{where}: {len(labels)} labels for {count} boxes; one label a box is needed")
    if (labels != given).any():
        raise InputError(f"{where} holds a value that is not a whole number")
    if (labels < 0).any():
        raise InputError(f"{where} holds {labels.min()}; drop padding rows (label -1) before evaluating")
    return labels
