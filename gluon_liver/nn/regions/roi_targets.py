"""Which proposals the head learns from, and what it should say of each (Ren et al. 2015, section 3.2; Girshick 2015,
section 2.3).

The targets of the proposal network itself are in :mod:`gluon_liver.nn.regions.rpn_targets`.
"""

from __future__ import annotations

from typing import Any, List, NamedTuple, Tuple

from gluoncv.model_zoo.rcnn.faster_rcnn.rcnn_target import RCNNTargetGenerator
from mxnet import autograd
from mxnet.gluon import nn

from gluon_liver.config.network import HeadConfig
from gluon_liver.nn.layers.indexing import entry

from .roi_align import BOX_STDS

RECALL_IOU = 0.5  # of a proposal that covers a box


class RoiTargets(NamedTuple):
    """ROIs to learn from, S of each image, the P that can be positive first."""

    rois: Any  # (B, S, 4) corners in pixels of the input
    classes: Any  # (B, S), 0 background, from 1 the classes, -1 ignored
    boxes: Any  # (B, P, C, 4) normalised offsets to the true box
    masks: Any  # (B, P, C, 4), 1 where they count: at the class of a positive
    positives: Any  # (B, P), which of the S the P are
    covered: Any  # (B, M), 1 where a proposal covers the true box: for the log


class RoiTargetAssigner(nn.HybridBlock):
    """Samples proposals, and encodes the true box of each that is positive for one of ``classes`` classes."""

    def __init__(self, config: HeadConfig, *, classes: int, batch_size: int, **kwargs: Any):
        super().__init__(**kwargs)
        with self.name_scope():
            self.sampler = RoiSampler(config, batch_size=batch_size)
            # as many as the sampler takes at most: every ROI that can be positive gets its box target
            self.encoder = RCNNTargetGenerator(classes, self.sampler.most_positives, batch_size, stds=BOX_STDS)

    def forward(self, *args: Any) -> RoiTargets:
        return RoiTargets(*super().forward(*args))

    def hybrid_forward(
        self, F: Any, rois: Any, scores: Any, gt_boxes: Any, gt_labels: Any, keys: Any
    ) -> Tuple[Any, ...]:
        """The arrays of :class:`RoiSampler`, and labels (B, M) padded with -1 -> :class:`RoiTargets`."""
        rois, samples, matches, covered = self.sampler(rois, scores, gt_boxes, keys)
        return (rois, *self.encoder(rois, samples, matches, gt_labels, gt_boxes), covered)


class RoiSampler(nn.HybridBlock):
    """Samples positive and negative ROIs of each image, as GluonCV's ``RCNNTargetSampler`` does but for two things.

    Its random numbers are an input (:mod:`.random_numbers`), and no ROI is taken twice. ``config`` says how many of
    each image are taken, and which are positive.
    """

    def __init__(self, config: HeadConfig, *, batch_size: int, **kwargs: Any):
        super().__init__(**kwargs)
        self._batch_size, self._samples, self._positive_iou = batch_size, config.samples, config.positive_iou
        self.most_positives = int(round(config.samples * config.positive_ratio))

    def hybrid_forward(self, F: Any, rois: Any, scores: Any, gt_boxes: Any, keys: Any) -> List[Any]:
        """Proposals (B, P, 4), their scores (B, P, 1) with -1 for those that were suppressed, boxes (B, M, 4) padded
        with -1, and keys (B, P + M) from 0 to below 1 -> ROIs (B, S, 4), samples (B, S) with 1 for positive, -1 for
        negative and 0 to be ignored, the box (B, S) that each overlaps most, and of each box (B, M) whether a proposal
        has an IoU of :data:`RECALL_IOU` or more with it.

        The boxes themselves are candidates too. Of each kind those with the largest keys are taken; negatives fill up
        what positives leave, then further positives, then proposals to be ignored.
        """
        with autograd.pause():
            images = [
                self._sample(F, *(entry(F, array, index, axis=0) for array in (rois, scores, gt_boxes, keys)))
                for index in range(self._batch_size)
            ]
            return [F.stack(*parts, axis=0) for parts in zip(*images)]

    def _sample(self, F: Any, rois: Any, scores: Any, gt_boxes: Any, keys: Any) -> Tuple[Any, ...]:
        candidates = F.concat(rois, gt_boxes, dim=0)
        there = F.squeeze(F.concat(scores >= 0, F.sum(gt_boxes, axis=-1, keepdims=True) >= 0, dim=0), axis=-1)
        overlaps = F.contrib.box_iou(candidates, gt_boxes, format="corner")
        positive = there * (F.max(overlaps, axis=-1) >= self._positive_iou)
        negative = there * (1 - positive)
        order = F.argsort(keys + 4 * positive + 2 * negative, is_ascend=False)
        first = F.slice_axis(order, axis=0, begin=0, end=self.most_positives)
        rest = F.slice_axis(order, axis=0, begin=self.most_positives, end=None)
        preference = F.take(keys + 2 * positive + 4 * negative, rest)
        rest = F.take(rest, F.argsort(preference, is_ascend=False))
        sampled = F.concat(first, F.slice_axis(rest, axis=0, begin=0, end=self._samples - self.most_positives), dim=0)
        matches = F.argmax(overlaps, axis=-1)
        chosen = (F.take(array, sampled) for array in (candidates, positive - negative, matches))
        # proposals that were not suppressed, without the boxes themselves
        proposed = F.slice_like(F.broadcast_mul(overlaps, F.expand_dims(there, axis=1)), rois, axes=(0,))
        return (*chosen, F.max(proposed, axis=0) >= RECALL_IOU)
