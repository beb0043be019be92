"""Scenes, previous frames, and label files."""

from __future__ import annotations

import json

import numpy as np
import pytest

from gluon_liver.data.coco import save_labels
from gluon_liver.data.us_labels import (
    CLASSES,
    Scene,
    USLabel,
    load_labels,
    scenes_of,
)
from gluon_liver.errors import AnnotationError
from gluon_liver.labels.us import load_source_labels
from tests.readers.us_writer import write_labels


def label(case, scene, frame, row, boxes=(), labels=(), image_id=None):
    boxes = np.asarray(boxes, np.float32).reshape(-1, 4)
    return USLabel(image_id or frame + 1, case, frame, 64, 48, boxes, np.asarray(labels, np.int32), scene, row)


def test_a_scene_with_gaps():
    assert not Scene("a", 1, (4, 5, 6, 9, 10)).consecutive and Scene("a", 1, (4, 5)).consecutive


def test_scenes_are_gathered_by_case():
    labels = [label("b", 1, 0, 0), label("a", 2, 9, 2), label("a", 1, 5, 1), label("a", 1, 4, 0)]
    assert scenes_of(labels) == [Scene("a", 1, (4, 5)), Scene("a", 2, (9,)), Scene("b", 1, (0,))]


def test_labels_come_back_with_their_rows(tmp_path):
    given = [
        label("b", 1, 7, 0, [[1, 2, 5, 8.5]], [1], 1),
        label("a", 1, 30, 1, image_id=2),
        label("a", 1, 4, 0, [[0, 0, 64, 48], [3, 3, 4, 4]], [0, 1], 3),
    ]
    save_labels(given, CLASSES, tmp_path / "labels.json")
    read = load_labels(str(tmp_path / "labels.json"))
    assert [(one.case, one.frame, one.row, one.scene, one.image_id) for one in read] == [
        ("a", 4, 0, 1, 3),
        ("a", 30, 1, 1, 2),
        ("b", 7, 0, 1, 1),
    ]
    beside = load_labels(str(tmp_path / "labels.json"), unlabelled={"a": [29, 3, 5], "c": [1]})
    assert [(one.case, one.frame, one.row) for one in beside] == [("a", 4, 1), ("a", 30, 4), ("b", 7, 0)]
    assert read[0].boxes.tolist() == [[0, 0, 64, 48], [3, 3, 4, 4]] and read[0].labels.tolist() == [0, 1]
    coco = json.loads((tmp_path / "labels.json").read_text())
    assert [one["name"] for one in coco["categories"]] == ["tumor", "vessel"]
    coco["images"].append(dict(coco["images"][0], id=9))
    (tmp_path / "labels.json").write_text(json.dumps(coco))
    with pytest.raises(AnnotationError, match="image 9 is the same frame as image 1"):
        load_labels(str(tmp_path / "labels.json"))


@pytest.mark.parametrize(
    "entry, message",
    [
        ({"video": "a.avi", "frame": 3}, r"image 1 \(frame 3\): scene must be .* missing"),
        ({"video": "a.avi", "frame": 3, "scene": 1.5}, "scene must be a whole number or a text"),
        (
            {"video": "a.avi", "scene": 1},
            "image 1: frame is missing; say with 'frame' .* or with a mapping file .--map",
        ),
        ({"file_name": "loop.mp4"}, "frame is missing; say .*--map FILE, columns file_name, video, frame, scene"),
        ({"video": "a.avi", "frame": -1, "scene": 1}, "image 1: frame is -1: it must be 0 or more"),
        ({"frame": 0, "scene": 1}, "video must be a text; it is missing"),
        ({"video": "a.avi", "frame": 0, "scene": 1, "patient": []}, "patient must be a whole number or a text"),
    ],
)
def test_a_label_file_names_what_is_wrong(tmp_path, entry, message):
    path = write_labels(tmp_path / "labels.json", [entry])
    with pytest.raises(AnnotationError, match=message):
        load_source_labels(str(path))


def test_a_label_file_by_itself(tmp_path):
    images = [{"file": "a.avi", "frame": 2, "scene": "liver left", "patient": 4}]
    images.append({"video": "b", "frame": 2, "scene": 0})
    path = write_labels(tmp_path / "labels.json", images, [(1, 2, (1, 2, 3, 4))], phantom=True)
    source = load_source_labels(str(path))
    read, phantom = source.images, source.phantom
    assert [(one.video, one.frame, one.scene, one.patient) for one in read] == [
        ("a.avi", 2, "liver left", "4"),
        ("b", 2, "0", ""),
    ]
    assert read[0].boxes.tolist() == [[1, 2, 4, 6]] and read[0].labels.tolist() == [1] and phantom
    with pytest.raises(AnnotationError, match="same frame"):
        load_source_labels(str(write_labels(path, [images[1], images[1]])))
    with pytest.raises(AnnotationError, match="lists no image"):
        load_source_labels(str(write_labels(path, [])))
