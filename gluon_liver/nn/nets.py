"""The two graphs over a detector's parts: what the losses need, and boxes.

They are explicit because GluonCV's proposal network traces another graph in training than in inference.
"""

from __future__ import annotations

from typing import Any, Tuple

from gluoncv.model_zoo.rcnn.faster_rcnn.rcnn_target import RCNNTargetGenerator
from mxnet import autograd
from mxnet.gluon import nn

from .random_numbers import Draws
from .rcnn import Features, RegionDetector
from .roi_align import BOX_STDS, decode_boxes
from .roi_targets import RoiSampler
from .rpn import without_nan


class TrainingNet(nn.HybridBlock):
    """What the losses need, for a fixed number of images a device.

    Call it inside ``autograd.record()`` with the image (B, P, 1, D, H, W), ground-truth boxes (B, M, 4) in pixels of
    the input and labels (B, M), both padded with -1, the detector's ``draws`` for each image (B, N), uniform from 0 to
    below 1, and, for several phases, which of them are present (B, P).

    Returns rpn_scores (B, A, 1) before the sigmoid, rpn_boxes (B, A, 4), class_scores (B, R, C + 1) before the softmax,
    box_deltas (B, R_pos, C, 4), class_targets (B, R) with 0 background and -1 ignored, box_targets and box_masks
    like box_deltas; with a texture stage also its abnormal_scores (B, R) before the sigmoid.
    """

    def __init__(self, detector: RegionDetector, *, batch_size: int, **kwargs):
        super().__init__(**kwargs)
        head = detector.config.head
        self._batch_size = batch_size
        self._classes = len(detector.classes)
        with self.name_scope():
            self.detector = detector
            self.sampler = RoiSampler(
                batch_size=batch_size,
                samples=head.samples,
                positive_iou=head.positive_iou,
                positive_ratio=head.positive_ratio,
            )
            # as many as the sampler draws at most: every ROI that can be positive gets its box target
            self.targets = RCNNTargetGenerator(self._classes, self.sampler.most_positives, batch_size, stds=BOX_STDS)

    def forward(self, *args):
        if not autograd.is_training():
            raise RuntimeError("TrainingNet outside autograd.record(): use DetectionNet for inference")
        return super().forward(*args)

    def hybrid_forward(self, F, x, gt_boxes, gt_labels, draws, present=None):
        parts, draws = self.detector, Draws(F, draws)
        keys = draws.take(parts.proposals(training=True) + parts.config.head.max_boxes)
        found = parts.features(F, x, present)
        scores, proposals, rpn_scores, rpn_boxes, _ = parts.rpn(found.image, *found.maps)
        rois, samples, matches = self.sampler(proposals, scores, gt_boxes, keys)
        head = parts.head(F, found, rois, draws)
        features = head.abstract
        class_scores = F.reshape(parts.class_predictor(features), (-4, self._batch_size, -1, 0))
        class_targets, box_targets, box_masks, positives = self.targets(rois, samples, matches, gt_labels, gt_boxes)
        # boxes are predicted for the ROIs that can be positive only: features (B * R, F) -> (B * R_pos, F)
        features = F.reshape(features, (-4, self._batch_size, -1, 0))
        chosen = [
            F.take(
                F.squeeze(F.slice_axis(features, axis=0, begin=image_index, end=image_index + 1), axis=0),
                F.squeeze(F.slice_axis(positives, axis=0, begin=image_index, end=image_index + 1), axis=0),
            )
            for image_index in range(self._batch_size)
        ]
        box_deltas = F.reshape(parts.box_predictor(F.concat(*chosen, dim=0)), (-4, self._batch_size, -1, 0))
        box_deltas = F.reshape(box_deltas, (0, 0, self._classes, 4))
        outputs = [rpn_scores, rpn_boxes, class_scores, box_deltas, class_targets, box_targets, box_masks]
        if head.abnormal is not None:
            outputs.append(F.reshape(head.abnormal, (self._batch_size, -1)))
        return outputs


class DetectionNet(nn.HybridBlock):
    """Boxes of a batch of any size: (B, P, 1, D, H, W) -> rows (B, K, 6) and a check value (B,).

    For several phases it also takes which of them are present, (B, P).

    A row is (class, score, x1, y1, x2, y2): boxes in pixels of the input, unclipped, sorted by score; class -1 marks
    rows that non-maximum suppression emptied. The check value is not finite where what the head says is not; the rows
    are then worth nothing.
    """

    def __init__(self, detector: RegionDetector, **kwargs):
        super().__init__(**kwargs)
        with self.name_scope():
            self.detector = detector

    def forward(self, *args):
        if autograd.is_training():
            raise RuntimeError("DetectionNet in training mode: use TrainingNet inside autograd.record()")
        return super().forward(*args)

    def hybrid_forward(self, F, x, present=None):
        return detect_regions(F, self.detector, self.detector.features(F, x, present))


def detect_regions(F: Any, parts: RegionDetector, found: Features) -> Tuple[Any, Any]:
    """Proposals, ROI head, decoding and suppression over given features: rows and check value of DetectionNet."""
    config = parts.config.head
    classes = len(parts.classes)
    rpn_scores, rois = parts.rpn(found.image, *found.maps)
    count = parts.proposals(training=False)
    head = parts.head(F, found, rois)
    raw = F.reshape(parts.class_predictor(head.abstract), (-4, -1, count, 0))
    check = F.sum(raw, axis=(1, 2))
    scores = F.slice_axis(F.softmax(raw, axis=-1), axis=2, begin=1, end=None)  # (B, R, C), background dropped
    if head.abnormal is not None:
        abnormal = F.reshape(head.abnormal, (-4, -1, count, 0))
        check = check + F.sum(abnormal, axis=(1, 2))
        scores = F.broadcast_mul(scores, F.sigmoid(abnormal))
    deltas = F.reshape(parts.box_predictor(head.abstract), (-4, -1, count, 0))
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
    return F.slice_axis(rows, axis=1, begin=0, end=min(config.max_detections, count * classes)), check
