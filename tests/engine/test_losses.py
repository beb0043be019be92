"""The four losses against plain NumPy."""

import mxnet as mx
import numpy as np

from gluon_liver.engine.losses import HEAD_HUBER, RPN_HUBER, detection_losses


def huber(error, rho):
    error = np.abs(error)
    return np.where(error < rho, error**2 / (2 * rho), error - rho / 2)


def test_losses_equal_numpy():
    rng = np.random.default_rng(0)
    rpn_scores, rpn_boxes = rng.normal(0, 3, (2, 6, 1)), rng.normal(size=(2, 6, 4))
    class_scores, box_deltas = rng.normal(size=(2, 5, 4)), rng.normal(size=(2, 2, 3, 4))
    class_targets = np.array([[0, 1, 3, -1, 2], [0, 0, 0, -1, -1]], float)
    box_targets, box_masks = rng.normal(size=(2, 2, 3, 4)), rng.integers(0, 2, (2, 2, 3, 4)).astype(float)
    labels = np.array([[1, 0, -1, 0, 1, -1], [0, 0, 0, -1, -1, -1]], float)
    targets = rng.normal(size=(2, 6, 4))

    outputs = [mx.nd.array(a) for a in (rpn_scores, rpn_boxes, class_scores, box_deltas, class_targets, box_targets,
                                        box_masks)]
    losses = detection_losses(outputs, mx.nd.array(labels), mx.nd.array(targets))

    probability = 1 / (1 + np.exp(-rpn_scores[..., 0]))
    entropy = -np.where(labels == 1, np.log(probability), np.log(1 - probability))
    softmax = np.exp(class_scores) / np.exp(class_scores).sum(-1, keepdims=True)
    picked = [-np.log(softmax[b, r, int(t)]) for b in range(2) for r, t in enumerate(class_targets[b]) if t >= 0]
    expected = {
        "rpn_score": entropy[labels >= 0].mean(),
        "rpn_box": (huber(rpn_boxes - targets, RPN_HUBER) * (labels == 1)[..., None]).sum() / (labels >= 0).sum(),
        "rcnn_score": np.mean(picked),
        "rcnn_box": (huber(box_deltas - box_targets, HEAD_HUBER) * box_masks).sum() / len(picked),
    }
    assert set(losses) == set(expected)
    for name, value in expected.items():
        assert np.isclose(float(losses[name].asscalar()), value, rtol=1e-5), name

    abnormal = rng.normal(0, 2, (2, 5))
    with_texture = detection_losses(outputs + [mx.nd.array(abnormal)], mx.nd.array(labels), mx.nd.array(targets))
    p = 1 / (1 + np.exp(-abnormal))
    terms = np.where(class_targets > 0, -np.log(p), -np.log(1 - p))[class_targets >= 0]
    assert np.isclose(float(with_texture["texture"].asscalar()), terms.mean(), rtol=1e-5)
    assert set(with_texture) == set(expected) | {"texture"}


def test_extreme_scores_stay_finite():
    outputs = [mx.nd.array(a) for a in (np.array([[[1e4], [-1e4]]]), np.zeros((1, 2, 4)), np.zeros((1, 1, 2)),
                                        np.zeros((1, 1, 1, 4)), np.zeros((1, 1)), np.zeros((1, 1, 1, 4)),
                                        np.zeros((1, 1, 1, 4)))]
    losses = detection_losses(outputs, mx.nd.array([[0, 1]]), mx.nd.zeros((1, 2, 4)))
    assert float(losses["rpn_score"].asscalar()) == 1e4
