"""Detectors without BatchNorm give what those with it give in inference."""

import mxnet as mx
import numpy as np
import pytest

from gluon_liver.config.schema import FlowConfig
from gluon_liver.nn.folding import folded
from gluon_liver.nn.rcnn import initialize
from gluon_liver.nn.us_detector import USDetector

from .conftest import SIZE, ct_detector

rng = np.random.default_rng(0)
WIDE = {"rpn__anchor_sizes": [8, 16, 32, 48, 64], "rpn__train_post_nms": 60}


def us_detector():
    config = ct_detector().config
    mx.random.seed(0)
    built = USDetector(config, classes=("tumor",), size=SIZE, flow=FlowConfig(width=0.125))
    initialize(built, mx.cpu())
    return built


def randomise(detector):
    for name, parameter in detector.collect_learned().items():
        if name.endswith(("gamma", "running_var")):
            parameter.set_data(mx.nd.array(rng.uniform(0.3, 1.5, parameter.shape)))
        elif name.endswith(("beta", "running_mean")):
            parameter.set_data(mx.nd.array(rng.normal(0, 0.2, parameter.shape)))
    return detector


@pytest.mark.parametrize(
    ("build", "shape", "options"),
    [
        (ct_detector, (1, 1, 1), {}),
        (ct_detector, (1, 1, 9), {"slices": 9, "depth": 101, "batch_norm": "frozen"}),
        (ct_detector, (2, 1, 9), {"slices": 9, "phases": 2, "fusion": True, "texture_head": True, **WIDE}),
        (us_detector, (2, 3), {}),
    ],
)
def test_a_folded_detector_gives_the_same_features(build, shape, options):
    detector = randomise(build(**options))
    copy = folded(detector, context=mx.cpu())
    names = copy.collect_learned()
    assert not [name for name in names if "gamma" in name or "running" in name]
    assert sum("conv" in name and name.endswith("bias") for name in names) > 40
    x = mx.nd.array(rng.normal(size=(1, *shape, SIZE, SIZE)))
    present = mx.nd.ones((1, shape[0]))
    rois = mx.nd.array([[[4, 8, 50, 60], [30, 30, 38, 40]] + [[10, 10, 60, 70]] * 18])
    found = []
    for one in (detector, copy):
        features = one.features(mx.nd, x, present)
        head = one.head(mx.nd, features, rois)
        arrays = [*features.maps, features.shallow, head.abstract, head.abnormal]
        found.append([array.asnumpy() for array in arrays if array is not None])
    for mine, other in zip(*found):
        assert np.abs(mine).max() > 1e-2
        assert np.allclose(mine, other, rtol=1e-4, atol=1e-5 * np.abs(mine).max())


def test_folding_twice_changes_nothing_and_the_detector_stays():
    detector = ct_detector()
    before = detector.backbone.stem.conv1.weight.data().asnumpy()
    copy = folded(detector, context=mx.cpu())
    assert folded(copy, context=mx.cpu()) is copy
    copy.backbone.stem.conv1.weight.data()[:] = 0
    assert np.array_equal(detector.backbone.stem.conv1.weight.data().asnumpy(), before)
