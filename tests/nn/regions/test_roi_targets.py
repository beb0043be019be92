"""The sampling of ROIs and the numbers it uses, against plain NumPy."""

import mxnet as mx
import numpy as np
import pytest

from gluon_liver.config.network import HeadConfig
from gluon_liver.nn.random_numbers import RandomNumbers, apply_dropout, draw_numbers
from gluon_liver.nn.regions.roi_targets import RoiSampler
from tests.nn.conftest import training_net


def overlap(a, b):
    width, height = (min(a[2 + i], b[2 + i]) - max(a[i], b[i]) for i in (0, 1))
    shared = max(width, 0) * max(height, 0)
    area = sum((box[2] - box[0]) * (box[3] - box[1]) for box in (a, b))
    return shared / (area - shared)


def sampled(rois, scores, boxes, keys, samples, most):
    """Rows of (candidate, sample, box) in the order of the sampling."""
    candidates = list(rois) + list(boxes)
    there = [score >= 0 for score in scores] + [box[2] > box[0] for box in boxes]
    real = [box for box in boxes if box[2] > box[0]]
    best = [max([overlap(one, box) for box in real] or [0]) if ok else 0 for one, ok in zip(candidates, there)]
    kind = [0 if not ok else (1 if iou >= 0.5 else -1) for ok, iou in zip(there, best)]
    order = sorted(range(len(candidates)), key=lambda i: (-{1: 2, -1: 1, 0: 0}[kind[i]], -keys[i]))
    rest = sorted(order[most:], key=lambda i: (-{-1: 2, 1: 1, 0: 0}[kind[i]], -keys[i]))
    return [(i, kind[i]) for i in order[:most] + rest[: samples - most]]


@pytest.mark.parametrize("boxes, scored", [(2, 9), (2, 12), (0, 12), (3, 2)])
def test_the_sampling_is_numpys(boxes, scored):
    rng = np.random.default_rng(boxes)
    corners = rng.uniform(0, 40, (2, 12, 2))
    rois = np.concatenate([corners, corners + rng.uniform(8, 40, (2, 12, 2))], axis=-1)
    truth = -np.ones((2, 3, 4))
    truth[:, :boxes] = rois[:, :boxes] + 1  # some proposals fit
    scores = np.where(np.arange(12) < scored, 0.5, -1.0)[None, :, None].repeat(2, axis=0)
    keys = rng.uniform(size=(2, 15)).astype(np.float32)
    sampler = RoiSampler(HeadConfig(samples=8), batch_size=2)
    found = [out.asnumpy() for out in sampler(*(mx.nd.array(array) for array in (rois, scores, truth, keys)))]
    for image in range(2):
        expected = sampled(rois[image], scores[image, :, 0], truth[image], keys[image], 8, 2)
        candidates = np.concatenate([rois[image], truth[image]])
        assert np.allclose(found[0][image], candidates[[index for index, _ in expected]], atol=1e-5)
        assert found[1][image].tolist() == [kind for _, kind in expected]
        for row, (index, kind) in enumerate(expected):
            if kind == 1:
                fits = [overlap(candidates[index], box) if box[2] > box[0] else -1 for box in truth[image]]
                assert found[2][image, row] == np.argmax(fits)
    assert len({tuple(row) for row in found[0][0]}) == 8 or scored < 8 or boxes == 0


def test_no_candidate_is_taken_twice():
    rois = np.arange(40.0).reshape(1, 10, 4) * [1, 1, 1.5, 1.5]
    sampler = RoiSampler(HeadConfig(samples=10, positive_ratio=0.5), batch_size=1)
    arrays = rois, np.ones((1, 10, 1)), -np.ones((1, 2, 4)), np.random.default_rng(0).uniform(size=(1, 12))
    found = sampler(*map(mx.nd.array, arrays))[0].asnumpy()[0]
    assert sorted(map(tuple, found)) == sorted(map(tuple, rois[0]))


def test_numbers_are_handed_out_one_after_the_other():
    numbers = np.random.default_rng(0).uniform(size=(2, 20)).astype(np.float32)
    handed_out = RandomNumbers(mx.nd, mx.nd.array(numbers))
    assert np.array_equal(handed_out.next(4).asnumpy(), numbers[:, :4])
    mask = handed_out.dropout_mask(0.25, rows=5, units=3).asnumpy()
    assert np.allclose(mask, np.where(numbers[:, 4:19].reshape(10, 3) >= 0.25, 4 / 3, 0))
    features = mx.nd.ones((10, 3))
    assert np.array_equal(apply_dropout(features, mx.nd.array(mask)).asnumpy(), mask)
    assert apply_dropout(features, None) is features


def test_what_is_sampled_does_not_depend_on_the_ranks_of_proposals(detector):
    """As where two scores that differ in their last bit change places."""
    net, rng = training_net(detector, 2), np.random.default_rng(0)
    corners = rng.uniform(0, 40, (2, 30, 2))
    rois = np.concatenate([corners, corners + rng.uniform(8, 40, (2, 30, 2))], axis=-1)
    anchors = np.stack([rng.permutation(detector.roi_key_count - 4)[:30] for _ in range(2)])
    keys = np.stack([draw_numbers(rng, keys=detector.roi_key_count, uniform=0) for _ in range(2)])
    truth = np.concatenate([rois[:, :2] + 1, -np.ones((2, 2, 4))], axis=1)
    sampled = []
    for order in (np.arange(30), rng.permutation(30)):
        arrays = [mx.nd.array(array) for array in (rois[:, order], np.ones((2, 30, 1)), truth)]
        candidates = net._candidate_keys(mx.nd, mx.nd.array(keys), mx.nd.array(anchors[:, order, None]))
        sampled.append(net.targets.sampler(*arrays, candidates)[0].asnumpy())
    assert np.array_equal(*sampled) and len(np.unique(sampled[0][0], axis=0)) == 16


def test_no_two_keys_are_equal_and_every_order_is_as_likely():
    numbers = draw_numbers(np.random.default_rng(0), keys=200_000, uniform=1000)
    assert numbers.shape == (201_000,) and numbers.dtype == np.float32 and 0 <= numbers.min() and numbers.max() < 1
    assert len(np.unique(numbers[:200_000] + np.float32(6))) == 200_000  # the sampler adds up to 6
    first = [draw_numbers(np.random.default_rng(seed), keys=4, uniform=0).argmax() for seed in range(400)]
    assert np.bincount(first).min() > 70


def test_a_box_is_covered_by_proposals_alone_and_by_half():
    """Boxes: one that a proposal has by 6 tenths, one by 4 tenths, one that no proposal touches, and a padded one."""
    truth = np.array([[[0, 0, 10, 10], [20, 20, 30, 30], [40, 40, 50, 50], [-1, -1, -1, -1]]], float)
    rois = np.array([[[0, 0, 10, 6], [20, 20, 30, 24], [60, 60, 70, 70], [-1, -1, -1, -1]]], float)
    scores = np.array([[[0.9], [0.8], [0.7], [-1]]])
    sampler = RoiSampler(HeadConfig(samples=8, max_boxes=4), batch_size=1)
    for hybrid in (False, True):
        sampler.hybridize(hybrid)
        covered = sampler(*map(mx.nd.array, (rois, scores, truth, np.arange(8).reshape(1, 8) / 8)))[3]
        assert covered.asnumpy()[0, :3].tolist() == [1, 0, 0]
    rois[0, 1] = 20, 20, 30, 25  # an IoU of a half counts
    covered = sampler(*map(mx.nd.array, (rois, scores, truth, np.arange(8).reshape(1, 8) / 8)))[3]
    assert covered.asnumpy()[0, :3].tolist() == [1, 1, 0]
    scores[0, 0] = -1  # a suppressed proposal covers nothing
    covered = sampler(*map(mx.nd.array, (rois, scores, truth, np.arange(8).reshape(1, 8) / 8)))[3]
    assert covered.asnumpy()[0, :3].tolist() == [0, 1, 0]
