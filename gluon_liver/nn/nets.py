"""The two graphs over a detector's parts: what the losses need, and boxes.

They are explicit because GluonCV's proposal network traces another graph in training than in inference.
"""

from __future__ import annotations

from typing import Any, Callable, List, NamedTuple, Optional, Tuple

from mxnet import autograd
from mxnet.gluon import nn

from .layers.indexing import entry
from .random_numbers import RandomNumbers
from .rcnn import Features, HeadOutput, RegionDetector
from .regions.roi_align import decode_boxes
from .regions.roi_targets import RoiTargetAssigner
from .regions.rpn import without_nan


class TrainingOutputs(NamedTuple):
    """What the losses need of B images, A anchors, R sampled ROIs, of which R_pos can be positive, and C classes.

    M is ``network.head.max_boxes``.
    """

    rpn_scores: Any  # (B, A, 1), before the sigmoid
    rpn_boxes: Any  # (B, A, 4), offsets from the anchors
    class_scores: Any  # (B, R, C + 1), before the softmax
    box_deltas: Any  # (B, R_pos, C, 4), normalised offsets from the ROIs
    class_targets: Any  # (B, R), 0 background, -1 ignored
    box_targets: Any  # like box_deltas
    box_masks: Any  # like box_deltas
    covered: Any  # (B, M), 1 where a proposal covers the true box, which no loss reads
    abnormal_scores: Optional[Any] = None  # (B, R) of the texture stage, before the sigmoid; None without one

    def arrays(self) -> List[Any]:
        """Those that are there, in this order."""
        return [array for array in self if array is not None]


class TrainingNet(nn.HybridBlock):
    """:class:`TrainingOutputs` for a fixed number of images a device.

    Call it inside ``autograd.record()`` with the image (B, P, 1, D, H, W), ground-truth boxes (B, M, 4) in pixels of
    the input and labels (B, M), both padded with -1, random numbers for each image (B, N), uniform from 0 to below 1, N
    the detector's ``random_number_count``, and, for several phases, which of them are present (B, P).
    """

    def __init__(self, detector: RegionDetector, *, batch_size: int, **kwargs: Any):
        super().__init__(**kwargs)
        self._batch_size = batch_size
        self._classes = len(detector.classes)
        with self.name_scope():
            self.detector = detector
            self.targets = RoiTargetAssigner(detector.config.head, classes=self._classes, batch_size=batch_size)

    def forward(self, *args: Any) -> TrainingOutputs:
        if not autograd.is_training():
            raise RuntimeError("TrainingNet outside autograd.record(): use DetectionNet for inference")
        return TrainingOutputs(*super().forward(*args))

    def hybrid_forward(
        self, F: Any, x: Any, gt_boxes: Any, gt_labels: Any, random_numbers: Any, present: Any = None
    ) -> List[Any]:
        detector, numbers = self.detector, RandomNumbers(F, random_numbers)
        keys = numbers.next(detector.roi_key_count)
        features = detector.features(F, x, present)
        scores, proposals, rpn_scores, rpn_boxes, anchors = detector.rpn(features.image, *features.maps)
        targets = self.targets(proposals, scores, gt_boxes, gt_labels, self._candidate_keys(F, keys, anchors))
        head = detector.head(F, features, targets.rois, numbers)
        outputs = TrainingOutputs(
            rpn_scores=rpn_scores,
            rpn_boxes=rpn_boxes,
            class_scores=self._by_image(F, detector.class_predictor(head.abstract)),
            box_deltas=self._box_deltas(F, self._by_image(F, head.abstract), targets.positives),
            class_targets=targets.classes,
            box_targets=targets.boxes,
            box_masks=targets.masks,
            covered=targets.covered,
            abnormal_scores=None if head.abnormal is None else F.reshape(head.abnormal, (self._batch_size, -1)),
        )
        return outputs.arrays()

    def _candidate_keys(self, F: Any, keys: Any, anchors: Any) -> Any:
        """Keys (B, A + M) of anchors and true boxes -> (B, P + M) of proposals, by their anchors (B, P, 1), and boxes.

        Scores that differ in their last bit change places when sums are formed in another order. Keys of places would
        then sample other ROIs; those of anchors sample the same.
        """
        boxes = F.slice_axis(keys, axis=1, begin=-self.detector.config.head.max_boxes, end=None)
        chosen = [
            F.take(entry(F, keys, index, axis=0), F.reshape(entry(F, anchors, index, axis=0), (-1,)))
            for index in range(self._batch_size)
        ]
        return F.concat(F.stack(*chosen, axis=0), boxes, dim=1)

    def _box_deltas(self, F: Any, features: Any, positives: Any) -> Any:
        """Features (B, R, F) and those that can be positive (B, R_pos), which alone get boxes -> (B, R_pos, C, 4)."""
        chosen = [
            F.take(entry(F, features, index, axis=0), entry(F, positives, index, axis=0))
            for index in range(self._batch_size)
        ]
        deltas = self._by_image(F, self.detector.box_predictor(F.concat(*chosen, dim=0)))
        return F.reshape(deltas, (0, 0, self._classes, 4))

    def _by_image(self, F: Any, rows: Any) -> Any:
        """(B * R, F) -> (B, R, F)."""
        return F.reshape(rows, (-4, self._batch_size, -1, 0))


class DetectionOutputs(NamedTuple):
    """Boxes of a batch, (class, score, x1, y1, x2, y2) in pixels of the input, unclipped, sorted by score."""

    rows: Any  # (B, K, 6); class -1 marks rows that non-maximum suppression emptied
    check: Any  # (B,), not finite where what the head says is not; the rows are then worth nothing


class InferenceNet(nn.HybridBlock):
    """A graph over a detector's parts that gives ``outputs``."""

    outputs: Callable[..., Any] = DetectionOutputs

    def __init__(self, detector: RegionDetector, **kwargs: Any):
        super().__init__(**kwargs)
        with self.name_scope():
            self.detector = detector

    def forward(self, *args: Any) -> Any:
        if autograd.is_training():
            raise RuntimeError(f"{type(self).__name__} in training mode: use TrainingNet inside autograd.record()")
        return type(self).outputs(*super().forward(*args))


class DetectionNet(InferenceNet):
    """A batch of any size, (B, P, 1, D, H, W), and for several phases which of them are present, (B, P)."""

    def hybrid_forward(self, F: Any, x: Any, present: Any = None) -> List[Any]:
        return detect_regions(F, self.detector, self.detector.features(F, x, present))


def detect_regions(F: Any, detector: RegionDetector, features: Features) -> List[Any]:
    """``rows`` and ``check``: proposals, ROI head, decoding and suppression over given features."""
    rpn_scores, rois = detector.rpn(features.image, *features.maps)
    count = detector.proposals(training=False)
    head = detector.head(F, features, rois)
    rows, check = decode_regions(F, detector, rois, rpn_scores, head, shape=(-1, count))
    most = min(detector.config.head.max_detections, count * len(detector.classes))
    return [F.slice_axis(rows, axis=1, begin=0, end=most), check]


def decode_regions(
    F: Any, detector: RegionDetector, rois: Any, rpn_scores: Any, head: HeadOutput, *, shape: Tuple[int, int]
) -> List[Any]:
    """All rows (B, R * classes, 6) and ``check`` of what the head says of ROIs (B, R, 4), ``shape`` is (B, R).

    One of the two may be -1.
    """
    config = detector.config.head
    classes = len(detector.classes)
    raw = F.reshape(detector.class_predictor(head.abstract), (-4, *shape, 0))
    check = F.sum(raw, axis=(1, 2))
    scores = F.slice_axis(F.softmax(raw, axis=-1), axis=2, begin=1, end=None)  # (B, R, C), without background
    if head.abnormal is not None:
        abnormal = F.reshape(head.abnormal, (-4, *shape, 0))
        check = check + F.sum(abnormal, axis=(1, 2))
        scores = F.broadcast_mul(scores, F.sigmoid(abnormal))
    deltas = F.reshape(detector.box_predictor(head.abstract), (-4, *shape, 0))
    check = check + F.sum(deltas, axis=(1, 2))
    boxes = decode_boxes(F, rois, F.reshape(deltas, (0, 0, classes, 4)))
    ids = F.broadcast_like(F.reshape(F.arange(classes), (1, 1, classes)), scores)
    # suppressed proposals fill the fixed count with score -1: nothing may be detected in them
    scores = F.broadcast_mul(without_nan(F, scores, 0.0), rpn_scores >= 0)
    rows = F.concat(F.expand_dims(ids, 3), F.expand_dims(scores, 3), boxes, dim=3)  # (B, R, C, 6)
    rows = F.contrib.box_nms(
        F.reshape(rows, (0, -3, 0)),
        overlap_thresh=config.nms_threshold,
        valid_thresh=config.score_threshold,
        id_index=0,
        score_index=1,
        coord_start=2,
    )
    return [rows, check]
