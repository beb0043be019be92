"""Reading along a study: the slices' own windows where all slices are alike, any part of a study, absent phases."""

import mxnet as mx
import numpy as np
import pytest

from gluon_liver.config.dense_reading import check_dense
from gluon_liver.data.ct_loader import OpenCase
from gluon_liver.data.study import Study
from gluon_liver.errors import RunError
from gluon_liver.inference.dense import DenseDetector
from gluon_liver.inference.detector import SliceDetector
from gluon_liver.inference.slices import SKIPPED, detect_labelled_dense, detect_slices, neighbours
from gluon_liver.nn.build import make_detector
from tests.conftest import SIZE
from tests.nn.backbones.test_resnet3d import randomise

PHASES = ("non_contrast", "arterial", "delayed")
NINE = {"data.slices": 9, "row": None, "network.texture_head": True, "network.head.score_threshold": 0.2}


@pytest.fixture
def make(make_config):
    """make(phases, **changes): a random detector of nine slices."""

    def made(phases=1, **changes):
        config = make_config(**{**NINE, "network.relation": "full" if phases > 1 else "off", **changes})
        mx.random.seed(1)
        built = make_detector(config, classes=("cyst", "hcc"), phases=phases, context=mx.cpu())
        randomise(built.backbone, 1)
        built.class_predictor.bias.data()[:] = mx.nd.array([-5, 5, 0])
        return SliceDetector(built, config=config, context=mx.cpu())

    return made


def case_of(detector, hu, phases=("arterial",), present=None):
    study = Study.from_arrays(hu, spacing=(5, 1, 1), phases=phases, reference_phase="arterial", present=present)
    return OpenCase.in_memory(study, detector.config.data)


def noise(*shape):
    return np.random.default_rng(0).normal(80, 40, (*shape, SIZE, SIZE - 10)).astype(np.int16)


def assert_equal(found, expected):
    assert len(found) == len(expected) and sum(map(len, found)) > 0
    for one, other in zip(found, expected):
        assert one.labels.tolist() == other.labels.tolist()
        assert np.allclose(one.boxes, other.boxes, atol=0.02) and np.allclose(one.scores, other.scores, atol=1e-4)


@pytest.mark.parametrize(
    "phases, absent, changes",
    [
        (1, False, {}),
        (1, False, {"network.stem": "1x7x7"}),
        (3, False, {}),
        (3, True, {}),
        (3, True, {"data.repeat_reference": True}),
    ],
)
def test_slices_that_are_alike_give_the_boxes_of_their_windows(make, phases, absent, changes):
    detector = make(phases, **changes)
    names = PHASES if phases > 1 else ("arterial",)
    present = np.ones((phases, 5), bool)
    if absent:
        present[0], present[2, 3:] = False, False  # one phase wholly, one in part
    hu = np.repeat(noise(phases, 1), 5, axis=1)
    case = case_of(detector, hu, names, present)
    windows = list(detect_slices(detector, case, progress=False))
    assert_equal(list(detect_slices(detector, case, dense=True, progress=False)), windows)


@pytest.mark.parametrize("first, last", [(0, 1), (3, 8), (4, 8), (0, 11)])
def test_a_part_of_a_study_is_read_as_in_the_whole(make, first, last):
    detector = make()
    case, dense = case_of(detector, noise(11)), DenseDetector(detector)
    whole = list(dense.detect(case, range(11)))
    assert_equal(list(dense.detect(case, range(first, last))), whole[first:last])


def test_slices_that_differ_give_other_boxes_than_their_windows(make):
    detector = make()
    case = case_of(detector, noise(4))
    windows, dense = (list(detect_slices(detector, case, dense=dense, progress=False)) for dense in (False, True))
    scores = [np.array([one.scores.max() for one in found]) for found in (windows, dense)]
    assert np.abs(scores[0] - scores[1]).max() > 1e-4


@pytest.mark.parametrize(
    "slices, fusion, why",
    [
        (1, "pools", "one by one"),
        (7, "pools", "this one reads 7"),
        (9, "centre", "network.slice_fusion pools alone; this network has centre"),
        (9, "channels", "network.slice_fusion pools alone; this network has channels"),
    ],
)
def test_other_windows_are_refused(make_config, slices, fusion, why):
    with pytest.raises(RunError, match=why):
        check_dense(make_config(**{"data.slices": slices, "network.slice_fusion": fusion, "row": None}))


def test_a_network_that_reads_one_slice_nine_times_is_refused(make_config):
    with pytest.raises(RunError, match="again and again"):
        check_dense(make_config(**{"data.slices": 9, "data.repeat_centre": True, "row": None}))
    with pytest.raises(RunError, match="slices 2 mm apart .data.slice_step_mm.: leave it out"):
        check_dense(make_config(**{"data.slices": 9, "data.slice_step_mm": 2.0, "row": None}))


def test_labelled_slices_are_read_with_their_neighbours_and_come_in_the_order_of_the_labels(make, tiny_dataset):
    detector = make(**{"data.size": SIZE})
    labels = [label for label in tiny_dataset.labels_of("train") if label.slice != 1][::-1]
    found = detect_labelled_dense(detector, tiny_dataset, labels, progress=False)
    for label, one in zip(labels, found):
        case = OpenCase.in_memory(tiny_dataset.study(label.case), detector.config.data)
        assert_equal([one], [list(detect_slices(detector, case, dense=True, progress=False))[label.slice]])


def test_neighbours_by_hand():
    assert SKIPPED == 2
    assert neighbours([]) == [] and neighbours([4]) == [range(4, 5)]
    assert neighbours([0, 1, 2, 5, 9, 13, 14]) == [range(0, 6), range(9, 10), range(13, 15)]
