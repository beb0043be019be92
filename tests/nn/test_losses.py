"""The four losses against plain NumPy."""

import mxnet as mx
import numpy as np

from gluon_liver.nn.losses import detection_losses
from gluon_liver.nn.nets import TrainingOutputs

# where smooth L1 turns: 1 in the head (Girshick 2015, equation 3), 1/9 in the proposal network (sigma 3 of Ren's code)
HEAD_TURNS, RPN_TURNS = 1.0, 1 / 9


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

    outputs = TrainingOutputs(
        *map(mx.nd.array, (rpn_scores, rpn_boxes, class_scores, box_deltas, class_targets, box_targets, box_masks)),
        covered=mx.nd.zeros((2, 1)),
    )
    losses = detection_losses(outputs, mx.nd.array(labels), mx.nd.array(targets))

    probability = 1 / (1 + np.exp(-rpn_scores[..., 0]))
    entropy = -np.where(labels == 1, np.log(probability), np.log(1 - probability))
    softmax = np.exp(class_scores) / np.exp(class_scores).sum(-1, keepdims=True)
    abnormal = rng.normal(0, 2, (2, 5))
    p = 1 / (1 + np.exp(-abnormal))
    texture = np.where(class_targets > 0, -np.log(p), -np.log(1 - p))
    outputs = outputs._replace(abnormal_scores=mx.nd.array(abnormal))
    with_texture = detection_losses(outputs, mx.nd.array(labels), mx.nd.array(targets))
    assert set(with_texture) == set(losses) | {"texture"}
    for b in range(2):
        sampled, valid = labels[b] >= 0, class_targets[b] >= 0
        picked = [-np.log(softmax[b, r, int(t)]) for r, t in enumerate(class_targets[b]) if t >= 0]
        box = huber(rpn_boxes[b] - targets[b], RPN_TURNS) * (labels[b] == 1)[:, None]
        head_box = huber(box_deltas[b] - box_targets[b], HEAD_TURNS) * box_masks[b]
        expected = {
            "rpn_score": entropy[b][sampled].mean(),
            "rpn_box": box.sum() / sampled.sum(),
            "rcnn_score": np.mean(picked),
            "rcnn_box": head_box.sum() / valid.sum(),
            "texture": texture[b][valid].mean(),
        }
        for name, value in expected.items():
            assert np.isclose(with_texture[name].asnumpy()[b], value, rtol=1e-5), name
        for name in losses:
            assert losses[name].asnumpy()[b] == with_texture[name].asnumpy()[b]


def test_an_image_without_samples_loses_nothing():
    outputs = TrainingOutputs(
        *(mx.nd.ones(shape) for shape in ((1, 2, 1), (1, 2, 4), (1, 1, 2), (1, 1, 1, 4))),
        class_targets=-mx.nd.ones((1, 1)),
        box_targets=mx.nd.zeros((1, 1, 1, 4)),
        box_masks=mx.nd.zeros((1, 1, 1, 4)),
        covered=mx.nd.zeros((1, 1)),
    )
    losses = detection_losses(outputs, -mx.nd.ones((1, 2)), mx.nd.zeros((1, 2, 4)))
    assert all(float(loss.asscalar()) == 0 for loss in losses.values())


def test_extreme_scores_stay_finite():
    shapes = (1, 2, 4), (1, 1, 2), (1, 1, 1, 4), (1, 1), (1, 1, 1, 4), (1, 1, 1, 4), (1, 1)
    outputs = TrainingOutputs(mx.nd.array([[[1e4], [-1e4]]]), *map(mx.nd.zeros, shapes))
    losses = detection_losses(outputs, mx.nd.array([[0, 1]]), mx.nd.zeros((1, 2, 4)))
    assert float(losses["rpn_score"].asscalar()) == 1e4
