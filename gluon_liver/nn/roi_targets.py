"""Which proposals the head learns from (Ren et al. 2015, section 3.2; Girshick 2015, section 2.3)."""

from __future__ import annotations

from typing import Any, Tuple

from mxnet import autograd
from mxnet.gluon import nn


class RoiSampler(nn.HybridBlock):
    """Draws positive and negative ROIs of each image, as GluonCV's ``RCNNTargetSampler`` does but for two things.

    Its random numbers are an input (:mod:`.draws`), and no ROI is drawn twice.

    Parameters
    ----------
    batch_size: images of a batch. samples: ROIs drawn of each. positive_iou: with a box that makes a ROI positive.
    positive_ratio: largest share of positives.
    """

    def __init__(self, *, batch_size: int, samples: int, positive_iou: float, positive_ratio: float, **kwargs):
        super().__init__(**kwargs)
        self._batch_size, self._samples, self._positive_iou = batch_size, samples, positive_iou
        self.most_positives = int(round(samples * positive_ratio))

    def hybrid_forward(self, F: Any, rois: Any, scores: Any, gt_boxes: Any, keys: Any) -> Tuple[Any, Any, Any]:
        """Proposals (B, P, 4), their scores (B, P, 1) with -1 for those that were suppressed, boxes (B, M, 4) padded
        with -1, and keys (B, P + M) from 0 to below 1 -> ROIs (B, S, 4), samples (B, S) with 1 for positive, -1 for
        negative and 0 to be ignored, and the box (B, S) that each overlaps most.

        The boxes themselves are candidates too. Of each kind those with the largest keys are drawn; negatives fill up
        what positives leave, then further positives, then proposals to be ignored.
        """
        with autograd.pause():
            images = [
                self._draw(F, *(self._image(F, array, index) for array in (rois, scores, gt_boxes, keys)))
                for index in range(self._batch_size)
            ]
            return tuple(F.stack(*parts, axis=0) for parts in zip(*images))

    def _draw(self, F: Any, rois: Any, scores: Any, gt_boxes: Any, keys: Any) -> Tuple[Any, Any, Any]:
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
        drawn = F.concat(first, F.slice_axis(rest, axis=0, begin=0, end=self._samples - self.most_positives), dim=0)
        matches = F.argmax(overlaps, axis=-1)
        return F.take(candidates, drawn), F.take(positive - negative, drawn), F.take(matches, drawn)

    @staticmethod
    def _image(F: Any, array: Any, index: int) -> Any:
        return F.squeeze(F.slice_axis(array, axis=0, begin=index, end=index + 1), axis=0)
