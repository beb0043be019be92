"""The losses of Faster R-CNN and of the texture stage, as gluon_liver.nn.losses has them: of each image, (B,), a
mean over what is sampled of it."""

from __future__ import division

import mxnet as mx

RPN_HUBER, HEAD_HUBER = 3.0, 1.0  # sigma of smooth_l1; sigma^2 is 1 over GluonCV's transition points


def binary_loss(scores, labels):
    """Scores (B, n) above 0 for 1 and labels (B, n), 1, 0 or -1 for ignored."""
    # log(1 + exp(-|x|)) + max(x, 0) - x * label: the stable form of binary cross-entropy
    positive = mx.sym.Activation(scores, act_type="relu") - scores * (labels > 0)
    entropy = positive + mx.sym.Activation(-mx.sym.abs(scores), act_type="softrelu")
    return per_image(entropy * (labels >= 0)) / sampled(labels)


def class_loss(scores, labels):
    """Scores (B, S, C + 1) before the softmax and labels (B, S), -1 for ignored."""
    chosen = mx.sym.pick(mx.sym.log_softmax(scores, axis=2), mx.sym.maximum(labels, 0), axis=2)
    return -per_image(chosen * (labels >= 0)) / sampled(labels)


def box_loss(error, mask, labels, sigma):
    """Smooth L1 of the error (B, n, ...) where the mask is 1, divided by the labels (B, m) that are not ignored."""
    return per_image(mx.sym.broadcast_mul(mx.sym.smooth_l1(error, scalar=sigma), mask)) / sampled(labels)


def per_image(values):
    """(B, ...) -> sums (B,)."""
    return mx.sym.sum(values, axis=0, exclude=True)


def sampled(labels):
    """(B, n) -> how many are not ignored, (B,), at least 1."""
    return mx.sym.maximum(per_image(labels >= 0), 1)
