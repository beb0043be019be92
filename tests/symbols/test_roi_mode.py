"""network.roi_mode of the Gluon networks, and the same readers of the symbols, against plain NumPy."""

import mxnet as mx
import numpy as np
import pytest
from mxnet import autograd

from gluon_liver.errors import ConfigError
from gluon_liver.nn.nets import DetectionNet, TrainingNet
from gluon_liver.nn.regions.roi_align import ROI_MODES, roi_rows
from symbols.parts import rois as symbol_rois

from .gluon_side import BATCH, seeded_network, seeded_targets, tiny

pytestmark = pytest.mark.slow

TARGETS = ("gt_boxes", "gt_labels", "draws")
STRIDE, SIDE, SIZE = 8, 3, 64
ROIS = np.array([[[0, 0, 64, 64], [3, 9, 30, 21]], [[40, 40, 41, 64], [12, 20, 36, 52]]], np.float32)


def maps():
    return np.random.default_rng(0).normal(size=(2, 3, SIZE // STRIDE, SIZE // STRIDE)).astype(np.float32)


def pooled_by_hand(feature_map, roi):
    """Maxima over bins of whole cells: first and last pixel of the ROI lie on the nearest cells (Girshick 2015)."""
    first, last = (np.floor(np.array(edge) / STRIDE + 0.5).astype(int) for edge in (roi[:2], roi[2:] - 1))
    result = np.zeros((len(feature_map), SIDE, SIDE))
    for row in range(SIDE):
        for column in range(SIDE):
            bins = []
            for start, end, number in zip(first, last, (column, row)):
                length = (end - start + 1) / SIDE
                low, high = start + np.floor(number * length), start + np.ceil((number + 1) * length)
                bins.append(slice(*np.clip([low, high], 0, SIZE // STRIDE).astype(int)))
            cells = feature_map[:, bins[1], bins[0]]
            result[:, row, column] = cells.max(axis=(1, 2)) if cells.size else 0
    return result


def read(mode):
    """What both sides read of ROIS."""
    images, rois = roi_rows(mx.nd, mx.nd.array(ROIS))
    gluon = ROI_MODES[mode](mx.nd, mx.nd.array(maps()), images, rois, stride=STRIDE, size=SIDE)
    symbol = symbol_rois.ROI_MODES[mode](mx.sym.Variable("maps"), mx.sym.Variable("rois"), 2, 2, STRIDE, SIDE, SIZE)
    executor = symbol.bind(mx.cpu(), {"maps": mx.nd.array(maps()), "rois": mx.nd.array(ROIS)}, grad_req="null")
    return gluon.asnumpy(), executor.forward()[0].asnumpy()


def test_pooling_is_by_whole_cells():
    wanted = [pooled_by_hand(image, roi) for image, rois in zip(maps(), ROIS) for roi in rois]
    for found in read("pool"):
        assert np.allclose(found, wanted, atol=1e-6)


def test_aligning_by_two_matrices_is_the_operator():
    gluon, symbol = read("align")
    assert np.allclose(gluon, symbol, atol=1e-6) and not np.allclose(gluon, read("pool")[0], atol=0.1)


def test_gluon_nets_train_and_detect_with_pooling():
    config, _, detector, inputs = seeded_network("r101-fusion")
    eager = DetectionNet(detector)(mx.nd.array(inputs["data"]))[0].asnumpy()
    net = DetectionNet(detector)
    net.hybridize()
    assert np.allclose(net(mx.nd.array(inputs["data"]))[0].asnumpy(), eager, atol=1e-3)
    training = TrainingNet(detector, batch_size=BATCH)
    training.targets.initialize()
    training.hybridize()
    targets = seeded_targets(detector, config)
    with autograd.record():
        outputs = training(*(mx.nd.array(a) for a in (inputs["data"], *(targets[key] for key in TARGETS))))
        outputs.class_scores.square().sum().backward()
    gradient = detector.collect_learned()["fusion.laterals.3.weight"].grad().asnumpy()
    assert np.isfinite(gradient).all() and np.abs(gradient).max() > 0


def test_another_mode_is_refused():
    with pytest.raises(ConfigError, match="network.roi_mode is 'crop'"):
        tiny("r50", ["network.roi_mode=crop"])
