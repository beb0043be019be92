"""Detectors without BatchNorm give what those with it give in inference."""

import mxnet as mx
import numpy as np
import pytest

from gluon_liver.config.schema import FlowConfig
from gluon_liver.errors import InputError
from gluon_liver.nn.folding import INSTRUCTIONS, check_precision, folded
from gluon_liver.nn.layers.precision import BFLOAT16
from gluon_liver.nn.nets import DetectionNet
from gluon_liver.nn.rcnn import initialize
from gluon_liver.nn.us_detector import USDetector
from gluon_liver.system.runtime import cpu_flags

from .conftest import SIZE, ct_detector

rng = np.random.default_rng(0)
ROUNDING = 2.0**-8  # the largest relative error of a bfloat16
WIDE = {"rpn__anchor_sizes": [8, 16, 32, 48, 64], "rpn__train_post_nms": 60}


def us_detector():
    config = ct_detector().config
    mx.random.seed(0)
    built = USDetector(config, classes=("tumor",), size=SIZE, flow=FlowConfig(width=0.125))
    initialize(built, mx.cpu())
    return built


def randomise(detector, part=""):
    for name, parameter in detector.collect_learned().items():
        if not name.startswith(part):
            continue
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


needs_bfloat16 = pytest.mark.skipif(INSTRUCTIONS not in cpu_flags(), reason=f"this CPU lacks {INSTRUCTIONS}")


@needs_bfloat16
@pytest.mark.parametrize("proposals", [4, 150])  # Block4's first layers on ROIs, on the map, and ROIs in two parts
def test_block4_in_bfloat16_is_as_far_off_as_its_rounding_and_rows_stay(proposals):
    every = dict(rpn__nms_threshold=0.99, head__nms_threshold=0.999, head__max_detections=600)
    detector = randomise(ct_detector(rpn__test_post_nms=proposals, **every), "block4")
    x = mx.nd.array(rng.normal(size=(1, 1, 1, 1, SIZE, SIZE)))
    rois = mx.nd.array(np.sort(rng.uniform(0, SIZE, (1, proposals, 2, 2)), axis=2).reshape(1, proposals, 4))
    largest = np.abs(abstract(detector, x, rois)).max()
    for predictor in (detector.class_predictor, detector.box_predictor):  # scores neither 0 nor 1
        predictor.weight.set_data(predictor.weight.data() * 20 / largest)
    usual, reduced = (folded(detector, context=mx.cpu(), precision=name) for name in ("float32", "bfloat16"))
    assert usual.block4[0].conv2.weight.data().dtype == np.float32
    assert reduced.block4[0].conv2.weight.data().dtype == BFLOAT16
    assert reduced.backbone.block3[0].conv2.weight.data().dtype == np.float32
    features = abstract(usual, x, rois)
    error = np.abs(features - abstract(reduced, x, rois))
    assert 1e-5 < np.linalg.norm(error) / np.linalg.norm(features) < 2 * ROUNDING
    assert error.max() < 10 * ROUNDING * largest  # ten layers, each rounded
    mine, other = detected(usual, x), detected(reduced, x)
    assert len(mine) == len(other) >= proposals and np.ptp(mine[:, 1]) > 10 * ROUNDING
    distance = np.abs(mine[:, None] - other) / [ROUNDING, 2 * ROUNDING, 0.5, 0.5, 0.5, 0.5]  # of class, score, edges
    assert (distance.max(axis=2).min(axis=1) < 1).all()


def abstract(detector, x, rois):
    """Features of ROIs."""
    found = detector.describe(mx.nd, detector.features(mx.nd, x).maps)(rois)
    assert found.dtype == np.float32
    return found.asnumpy()


def detected(detector, x):
    """Rows of the first image that suppression leaves."""
    net = DetectionNet(detector)
    net.hybridize(static_alloc=True, static_shape=True)
    rows = net(x).rows.asnumpy()[0]
    return rows[rows[:, 0] >= 0]


@needs_bfloat16
def test_a_number_is_rounded_to_the_nearest():
    block = ct_detector(batch_norm="frozen").block4
    weight = block[0].conv1.weight
    weight.set_data(mx.nd.full(weight.shape, 1.006))
    block.reduce()
    assert (mx.nd.amp_cast(weight.data(), dtype="float32").asnumpy() == np.float32(1.0078125)).all()


def test_bfloat16_is_refused_where_it_is_not_computed(tmp_path):
    (tmp_path / "cpuinfo").write_text("processor : 0\nflags : fpu avx2 avx512f\n")
    check_precision("float32", mx.gpu(0), proc=tmp_path)
    with pytest.raises(InputError, match="this CPU does not have avx512_bf16"):
        check_precision("bfloat16", mx.cpu(), proc=tmp_path)
    (tmp_path / "cpuinfo").write_text("processor : 0\nflags : fpu avx512f avx512_bf16\n")
    check_precision("bfloat16", mx.cpu(), proc=tmp_path)
    with pytest.raises(InputError, match=r"for CPUs, not for gpu\(0\)"):
        check_precision("bfloat16", mx.gpu(0), proc=tmp_path)
    with pytest.raises(InputError, match="expected float32 or bfloat16"):
        check_precision("float16", mx.cpu())
