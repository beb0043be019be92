"""Tiny detectors of CT, and what their graphs give."""

import mxnet as mx
import numpy as np
import pytest

from gluon_liver.config.load import build_config
from gluon_liver.nn.ct_detector import CTDetector
from gluon_liver.nn.nets import TrainingNet
from gluon_liver.nn.rcnn import initialize

SIZE = 96


def network(**changes):
    """A tiny ``network`` with keys changed; ``head__x`` is the head's x, ``rpn__x`` the RPN's."""
    rpn = {"channels": 16, "anchor_sizes": [16, 32], "train_post_nms": 40, "test_post_nms": 20}
    tree = {"width": 0.125, "rpn": rpn, "head": {"samples": 16, "roi_size": 4, "max_boxes": 4}}
    for key, value in changes.items():
        section, _, name = key.rpartition("__")
        (tree[section] if section else tree)[name] = value
    return tree


def ct_detector(*, slices=1, phases=1, **changes):
    changes.setdefault("relation", "full" if phases > 1 else "off")
    config = build_config({"row": None, "data": {"size": SIZE}, "network": network(**changes)}).network
    mx.random.seed(0)
    built = CTDetector(config, classes=("cyst", "hemangioma", "hcc"), slices=slices, size=SIZE, phases=phases)
    initialize(built, mx.cpu())
    return built


@pytest.fixture
def detector():
    return ct_detector()


def images(count, slices=1):
    return mx.nd.random.normal(shape=(count, 1, 1, slices, SIZE, SIZE))


def rows_of(net, x):
    """The detections of a batch; the network's numbers are finite."""
    rows, check = net(x)
    assert np.isfinite(check.asnumpy()).all()
    return rows.asnumpy()


def training_net(detector, batch_size):
    net = TrainingNet(detector, batch_size=batch_size)
    net.targets.initialize()
    net.hybridize()
    return net


def training_outputs(net, x, boxes, labels):
    """What a training net gives inside of ``record()``, with random numbers of its own."""
    numbers = mx.nd.random.uniform(shape=(len(x), net.detector.random_number_count))
    return net(x, mx.nd.array(boxes), mx.nd.array(labels), numbers)
