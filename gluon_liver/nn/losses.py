"""The four losses of Faster R-CNN (Ren et al. 2015, equation 1; Girshick 2015, equation 1), and the texture stage's."""

from __future__ import annotations

from typing import Any, Dict, Optional

import mxnet as mx

from .nets import TrainingOutputs

RPN_HUBER = 1.0 / 9.0  # GluonCV's transition points of the smooth L1 loss
HEAD_HUBER = 1.0


def detection_losses(
    outputs: TrainingOutputs, rpn_labels: mx.nd.NDArray, rpn_targets: mx.nd.NDArray
) -> Dict[str, mx.nd.NDArray]:
    """Losses of each image (B,), each a mean over what is sampled of the image.

    The loss of a batch is their mean over the images, so that it does not matter which device an image is on.

    rpn_labels: (B, A) 1 positive, 0 negative, -1 ignored.
    rpn_targets: (B, A, 4) box offsets where positive.
    """
    sampled = rpn_labels >= 0
    sampled_count = _per_image(sampled, floor=1)
    entropy = _binary_entropy(outputs.rpn_scores.reshape((0, -1)), rpn_labels > 0)
    positive = (rpn_labels > 0).expand_dims(2)

    valid = outputs.class_targets >= 0
    valid_count = _per_image(valid, floor=1)
    log_probability = mx.nd.log_softmax(outputs.class_scores, axis=-1)
    chosen = mx.nd.pick(log_probability, mx.nd.maximum(outputs.class_targets, 0), axis=-1)
    box_errors = _huber(outputs.box_deltas - outputs.box_targets, HEAD_HUBER)
    losses = {
        "rpn_score": _per_image(entropy * sampled) / sampled_count,
        "rpn_box": _per_image(_huber(outputs.rpn_boxes - rpn_targets, RPN_HUBER) * positive) / sampled_count,
        "rcnn_score": -_per_image(chosen * valid) / valid_count,
        "rcnn_box": _per_image(box_errors * outputs.box_masks) / valid_count,
    }
    if outputs.abnormal_scores is not None:
        entropy = _binary_entropy(outputs.abnormal_scores, outputs.class_targets > 0)
        losses["texture"] = _per_image(entropy * valid) / valid_count
    return losses


def _per_image(values: Any, *, floor: Optional[float] = None) -> Any:
    """(B, ...) -> sums (B,), not below ``floor``."""
    sums = values.sum(axis=0, exclude=True)
    return sums if floor is None else mx.nd.maximum(sums, floor)


def _binary_entropy(scores: Any, labels: Any) -> Any:
    """log(1 + exp(-|x|)) + max(x, 0) - x * label: the stable form of binary cross-entropy."""
    return mx.nd.relu(scores) - scores * labels + mx.nd.Activation(-mx.nd.abs(scores), "softrelu")


def _huber(error: Any, rho: float) -> Any:
    """Smooth L1: error^2 / (2 rho) below rho, |error| - rho / 2 above."""
    return mx.nd.smooth_l1(error, scalar=float((1.0 / rho) ** 0.5))
