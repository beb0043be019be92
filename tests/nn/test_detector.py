"""The detector's graphs: shapes, decoding, ROI features, background images."""

import mxnet as mx
import numpy as np
import pytest
from mxnet import autograd

from gluon_liver.config import build_config
from gluon_liver.nn.detector import BOX_STDS, DetectionNet, Detector, TrainingNet, decode_boxes, initialize

SIZE = 96
TINY = {
    "data": {"size": SIZE},
    "network": {
        "width": 0.125,
        "rpn": {"channels": 16, "anchor_sizes": [16, 32], "train_post_nms": 40, "test_post_nms": 20},
        "head": {"samples": 16, "roi_size": 4, "max_boxes": 4},
    },
}


@pytest.fixture
def detector():
    mx.random.seed(0)
    built = Detector(build_config(TINY).network, classes=("cyst", "hemangioma", "hcc"), slices=1, size=SIZE)
    initialize(built, mx.cpu())
    return built


def training_net(detector, batch_size):
    net = TrainingNet(detector, batch_size=batch_size)
    net.sampler.initialize()
    net.targets.initialize()
    net.hybridize()
    return net


def test_training_outputs(detector):
    net = training_net(detector, 2)
    boxes, labels = -np.ones((2, 4, 4)), -np.ones((2, 4))
    boxes[0, 0], labels[0, 0] = [20, 24, 52, 60], 2
    with autograd.record():
        outputs = net(mx.nd.random.normal(shape=(2, 1, 1, 1, SIZE, SIZE)), mx.nd.array(boxes), mx.nd.array(labels))
    anchors = 6 * 6 * 2 * 3
    assert [output.shape for output in outputs] == [
        (2, anchors, 1), (2, anchors, 4), (2, 16, 4), (2, 4, 3, 4), (2, 16), (2, 4, 3, 4), (2, 4, 3, 4),
    ]
    targets, masks = outputs[4].asnumpy(), outputs[6].asnumpy()
    assert (targets[0] == 3).sum() >= 1  # hcc is class 3 behind the background; its box is among the ROIs
    assert masks[0, :, :2].sum() == 0 and masks[0, :, 2].sum() == 4 * (targets[0] == 3).sum()
    # an image without boxes: background only, nothing to regress
    assert set(np.unique(targets[1])) <= {-1.0, 0.0} and masks[1].sum() == 0
    assert detector.anchors().shape == (anchors, 4)


def test_two_graphs_share_parameters_and_refuse_the_other_mode(detector):
    train, detect = training_net(detector, 1), DetectionNet(detector)
    x = mx.nd.zeros((1, 1, 1, 1, SIZE, SIZE))
    with pytest.raises(RuntimeError, match="DetectionNet"):
        train(x, -mx.nd.ones((1, 4, 4)), -mx.nd.ones((1, 4)))
    with autograd.record(), pytest.raises(RuntimeError, match="TrainingNet"):
        detect(x)
    before = detect(x).asnumpy()
    detector.class_predictor.bias.data()[:] = mx.nd.array([0, 5, 0, 0])
    after = detect(x).asnumpy()
    assert after[0, 0, 0] == 0 and after[0, 0, 1] > before[0, 0, 1]


def test_a_batch_is_its_images_one_by_one(detector):
    net = DetectionNet(detector)
    net.hybridize()
    x = mx.nd.random.normal(shape=(3, 1, 1, 1, SIZE, SIZE))
    together = net(x).asnumpy()
    for index in range(3):
        alone = net(x[index : index + 1]).asnumpy()[0]
        assert np.allclose(together[index], alone, atol=1e-3)


def test_decoding_inverts_the_encoding_by_hand():
    rois = mx.nd.array([[[0, 0, 10, 20]]])
    # centre moves by (1, 0.25) sizes, width doubles, height halves: the box of the anchor test
    deltas = np.array([1.0, 0.25, np.log(2), -np.log(2)]) / np.array(BOX_STDS)
    boxes = decode_boxes(mx.nd, rois, mx.nd.array(deltas.reshape(1, 1, 1, 4)))
    assert np.allclose(boxes.asnumpy().ravel(), [5, 10, 25, 20], atol=1e-4)


def test_roi_features_follow_their_image(detector):
    """ROIs of image i are pooled from map i."""
    maps = mx.nd.concat(mx.nd.zeros((1, 128, 6, 6)), mx.nd.random.normal(shape=(1, 128, 6, 6)), dim=0)
    rois = mx.nd.tile(mx.nd.array([[8, 8, 72, 72]]), (2, 3, 1))
    features = detector.roi_features(mx.nd, maps, rois).asnumpy().reshape(2, 3, -1)
    zero = detector.roi_features(mx.nd, mx.nd.zeros((1, 128, 6, 6)), rois[:1]).asnumpy()
    assert np.allclose(features[0], zero, atol=1e-6)
    assert not np.allclose(features[1], zero[:1], atol=1e-3)


def test_roi_align_reads_pixel_centres():
    """ROIAlign reads the map at box / stride with pixel centres at + 0.5: a ramp pools to the ROI's centre."""
    ramp = np.broadcast_to(np.arange(8) + 0.5, (1, 1, 8, 8))  # value = x of the cell's centre, in cells
    rois = mx.nd.array([[0, 32, 32, 64, 64]])
    pooled = mx.nd.contrib.ROIAlign(mx.nd.array(ramp), rois, (2, 2), 1 / 16, sample_ratio=2, aligned=True)
    assert np.allclose(pooled.asnumpy().mean(), 48 / 16)


def test_rois_without_area_are_harmless(detector):
    """MXNet's aligned ROIAlign ends the process on them, and suppressed proposals are (-1, -1, -1, -1)."""
    rois = mx.nd.array([[[-1, -1, -1, -1], [5, 5, 5, 9], [SIZE, SIZE, SIZE, SIZE]]])
    features = detector.roi_features(mx.nd, mx.nd.ones((1, 128, 6, 6)), rois)
    assert np.isfinite(features.asnumpy()).all()


def test_a_network_of_nan_detects_nothing_and_does_not_crash(detector):
    for parameter in detector.collect_learned().values():
        parameter.set_data(parameter.data() * float("nan"))
    rows = DetectionNet(detector)(mx.nd.ones((1, 1, 1, 1, SIZE, SIZE))).asnumpy()
    assert (rows[..., 0] == -1).all()


def test_suppressed_proposals_detect_nothing(detector):
    """With the head sure of class 0 everywhere, no box may lie on the (-1, -1, -1, -1) of an empty proposal."""
    detector.class_predictor.bias.data()[:] = mx.nd.array([0, 50, 0, 0])
    detector.rpn.score.bias.data()[:] = 1.0
    rows = DetectionNet(detector)(mx.nd.zeros((1, 1, 1, 1, SIZE, SIZE))).asnumpy()[0]
    kept = rows[rows[:, 0] >= 0]
    assert len(kept) > 0
    assert (kept[:, 4:] - kept[:, 2:4]).min() > 1
