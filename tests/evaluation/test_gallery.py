"""What a gallery shows beside an image, and what its captions say; no network is needed."""

import numpy as np
import pytest
from PIL import Image

from gluon_liver.data.windowed_images import open_images, prepare_images
from gluon_liver.evaluation.failures import judge_scored
from gluon_liver.evaluation.gallery import caption_of, write_gallery
from gluon_liver.evaluation.registry import EVALUATIONS
from gluon_liver.evaluation.task import Scored
from gluon_liver.structures.detections import NOTHING, Detections
from tests.conftest import us_config


def places(task, scored, number):
    return [(one.phase, one.offset, one.scored, one.label) for one in EVALUATIONS[task].views(scored, number)]


@pytest.fixture
def studies(phase_data, tiny_config):
    """Studies of three slices and phases, the middle slice of the first not labelled; nothing is detected."""
    prepare_images(phase_data, window="liver", storage="raw")
    labels = [label for label in phase_data.labels_of("train") if label.image_id != 2]
    results = [phase_data.result(label, NOTHING) for label in labels]
    return Scored(tiny_config, phase_data, "train", labels, results, "")


def test_slices_open_to_their_neighbours_and_phases(studies, phase_data):
    assert places("ct", studies, 0) == [
        ("arterial", 0, 0, "arterial, slice 0"),
        ("arterial", 1, None, "arterial, slice 1, not labelled"),
        ("arterial", 2, 1, "arterial, slice 2"),
        ("non_contrast", 0, 0, "non_contrast, slice 0"),
        ("delayed", 0, 0, "delayed, slice 0"),
    ]
    assert [one[:3] for one in places("ct", studies, 3)][:3] == [
        ("arterial", 0, 3),
        ("arterial", -1, 2),
        ("arterial", 1, 4),
    ]
    views, images = EVALUATIONS["ct"].views(studies, 0), open_images(phase_data, studies.labels[0].case, "liver")
    for view, place in zip(views, ((1, 0), (1, 1), (1, 2), (0, 0), (2, 0))):
        assert (view.picture == images[place]).all()


def test_a_phase_that_a_study_lacks_is_left_out(phase_data, tiny_config):
    prepare_images(phase_data, window="liver", storage="raw")
    labels = phase_data.labels_of("test")
    scored = Scored(tiny_config, phase_data, "test", labels, [phase_data.result(one, NOTHING) for one in labels], "")
    assert {one[0] for one in places("ct", scored, 0)} == {"arterial", "non_contrast"}


def test_frames_open_to_those_before_and_behind(us_data):
    labels = us_data.labels_of("train")[:4]
    results = [us_data.result(label, NOTHING) for label in labels]
    scored = Scored(us_config(), us_data, "train", labels, results, "")
    assert [one[:3] for one in places("us", scored, 1)] == [(None, 0, 1), (None, -1, 0), (None, 1, 2), (None, 2, 3)]
    assert places("us", scored, 3)[0][3] == f"frame {labels[3].frame}"
    views = EVALUATIONS["us"].views(scored, 1)
    assert (views[1].picture == us_data.frames(labels[0].case)[labels[0].row]).all()


def test_entries_name_pictures_that_are_there_and_count_the_rest(studies, phase_data, tmp_path):
    label = studies.labels[0]
    weak = Detections(label.boxes, np.array([0.3]), label.labels)
    results = [phase_data.result(label, weak), *studies.results[1:]]
    scored = Scored(studies.config, phase_data, "train", studies.labels, results, "")
    gallery = write_gallery(tmp_path, EVALUATIONS["ct"], scored, judge_scored(EVALUATIONS["ct"], scored))
    boxes = sum(len(one.gt_labels) for one in results)
    assert gallery["gallery_totals"] == {
        "hit": 0,
        "miss": boxes,
        "badly placed": 0,
        "wrong class": 0,
        "false positive": 0,
    }
    assert len(gallery["gallery"]) == min(6, boxes)
    files = [shown["file"] for entry in gallery["gallery"] for shown in entry["pictures"]]
    assert len(set(files)) == len(files) == len(list(tmp_path.iterdir()))
    low = next(entry for entry in gallery["gallery"] if entry["cause"] == "low score")
    assert low["caption"] == f"{label.case}, slice 0: low score: {low['class']}, score 0.30, IoU 1.00"
    assert (low["case"], low["place"], low["score"], low["iou"], low["kind"]) == (label.case, 0, 0.3, 1.0, "miss")
    for name in files:
        with Image.open(tmp_path.parent / name) as image:
            assert max(image.size) <= 512


def test_captions_say_which_class_was_taken_for_which():
    item = {"kind": "detection", "class": "cyst", "other": "hcc", "cause": "wrong class", "score": 0.814, "iou": 0.7}
    assert caption_of(item) == "wrong class: cyst on hcc, score 0.81, IoU 0.70"
    assert caption_of({**item, "kind": "object"}) == "wrong class: cyst taken for hcc, score 0.81, IoU 0.70"
    assert caption_of({**item, "other": None, "score": None, "iou": None, "cause": "missed"}) == "missed: cyst"
