"""Stage two on what the texture stage lets through gives the detections of both stages on all proposals."""

import mxnet as mx
import numpy as np
import pytest

from gluon_liver.errors import RunError
from gluon_liver.nn.cascade import Cascade
from gluon_liver.nn.nets import DetectionNet

from .conftest import SIZE, ct_detector, images


def features_of(detector, x):
    found = detector.features(mx.nd, x)
    return found.image, [*found.maps, *([] if found.shallow is None else [found.shallow])]


def rows_by_both(detector, x):
    cascade = Cascade(detector)
    found = cascade.detect(*features_of(detector, x))
    rows, _ = DetectionNet(detector)(x)
    return cascade, found, [one[one[:, 0] >= 0] for one in rows.asnumpy()]


@pytest.mark.parametrize("fusion", [False, True])
@pytest.mark.parametrize("bias", [-6.0, -4.55, 0.0])
def test_the_detections_are_those_of_all_proposals(bias, fusion):
    """At a bias of -6 no proposal can be detected, at -4.55 some can (P(abnormal) about 0.01), at 0 all."""
    sizes = {"rpn__anchor_sizes": [8, 16, 32, 64]} if fusion else {}
    detector = ct_detector(texture_head=True, fusion=fusion, **sizes)
    detector.texture.score.bias.data()[:] = bias
    detector.texture.score.weight.data()[:] *= 20
    detector.class_predictor.bias.data()[:] = mx.nd.array([-9, 5, 0, 0])
    cascade, found, expected = rows_by_both(detector, images(2))
    assert cascade.seen == 40
    assert {-6.0: cascade.left == 0, -4.55: 0 < cascade.left < 40, 0.0: cascade.left == 40}[bias]
    assert (bias == -6) == (sum(map(len, expected)) == 0)
    for one, other in zip(found, expected):
        one = one[one[:, 0] >= 0]
        assert one.shape == other.shape and np.allclose(one, other, atol=1e-3)


@pytest.mark.parametrize("at_once", [7, 8, 100])
def test_how_many_rois_go_through_block4_at_once_changes_nothing(at_once, monkeypatch):
    detector, x = ct_detector(texture_head=True), images(2)
    detector.class_predictor.bias.data()[:] = mx.nd.array([-9, 5, 0, 0])
    expected, _ = (output.asnumpy() for output in DetectionNet(detector)(x))  # all 20 at once
    monkeypatch.setattr("gluon_liver.nn.rcnn.ROIS_AT_ONCE", at_once)
    monkeypatch.setattr("gluon_liver.nn.cascade.ROIS_AT_ONCE", at_once)
    net = DetectionNet(detector)
    net.hybridize()
    rows, _ = (output.asnumpy() for output in net(x))
    assert np.allclose(rows, expected, atol=1e-3) and (expected[:, :, 0] >= 0).any()
    for one, other in zip(Cascade(detector).detect(*features_of(detector, x)), expected):
        assert np.allclose(one[one[:, 0] >= 0], other[other[:, 0] >= 0], atol=1e-3)


def test_without_a_texture_stage_only_fillers_are_left_out():
    detector = ct_detector()
    detector.rpn._nms_thresh = 0.05  # few proposals are left, the others fill the count
    cascade, found, expected = rows_by_both(detector, images(1))
    assert cascade.left < cascade.seen
    assert np.allclose(found[0][found[0][:, 0] >= 0], expected[0], atol=1e-3) and len(expected[0])


@pytest.mark.parametrize("broken", ["maps", "shallow"])
def test_no_numbers_are_no_detections(broken):
    detector = ct_detector(texture_head=True)
    image, (level, shallow) = features_of(detector, mx.nd.zeros((1, 1, 1, 1, SIZE, SIZE)))
    nothing = mx.nd.zeros_like(level if broken == "maps" else shallow) / 0
    with pytest.raises(RunError, match="not finite"):
        Cascade(detector).detect(image, [nothing, shallow] if broken == "maps" else [level, nothing])
