"""Pictures of the images in which runs differ: drawn from the runs' data where these are what was scored."""

from __future__ import annotations

import io
import os
import shutil

import numpy as np
import pytest
from PIL import Image

from gluon_liver.config.load import save_config
from gluon_liver.data.open import open_dataset
from gluon_liver.errors import InputError
from gluon_liver.evaluation.compared_pictures import draw_compared, region_of
from gluon_liver.evaluation.registry import EVALUATIONS
from gluon_liver.evaluation.task import Scored
from gluon_liver.files.atomic import write_json
from tests.conftest import us_config


def document_of(dataset, config, count=2):
    """The first images of the training split as those that differ: A finds what B does not."""
    labels = [label for label in dataset.labels_of("train") if len(label.boxes)][:count]
    places = EVALUATIONS[dataset.task].places(Scored(config, dataset, "train", labels, [], "")).of_images
    shown = []
    for label, (case, place) in zip(labels, places):
        objects = [
            {"class": dataset.classes[kind], "box": box.tolist()} for kind, box in zip(label.labels, label.boxes)
        ]
        found = [{**one, "score": 0.9} for one in objects]
        entry = dict(image_id=label.image_id, case=case, place=place, objects=objects)
        shown.append({**entry, "a": {"detections": found}, "b": {"detections": []}})
    classes = list(dataset.classes)
    return {"kind": dataset.task, "split": "train", "classes": classes, "differing": {"shown": shown}}


def run_folder(folder, config, data):
    folder.mkdir()
    save_config(config, folder / "config.yaml")
    write_json(folder / "environment.json", {"data": os.path.relpath(data, folder)})
    return folder


@pytest.fixture(params=["ct", "us"])
def compared(request, tiny_data, us_data, tiny_config, tmp_path):
    config, data = (tiny_config, tiny_data) if request.param == "ct" else (us_config("us-faster-rcnn"), us_data.folder)
    return document_of(open_dataset(data), config), run_folder(tmp_path / "run", config, data), data


def test_both_runs_are_drawn_over_one_picture(compared):
    document, run, data = compared
    found = draw_compared(document, [run, run])
    assert found.note == "" and list(found.of_image) == [one["image_id"] for one in document["differing"]["shown"]]
    for sides in found.of_image.values():
        a, b = (Image.open(io.BytesIO(side)) for side in sides)
        assert (a.format, a.mode) == ("WEBP", "RGB") and max(a.size + b.size) <= 512 and a.size == b.size
        # A's box is in its class's colour, which the grey of both and the white of the annotation are not
        coloured = [np.ptp(np.asarray(side).astype(int), axis=2) for side in (a, b)]
        assert (coloured[0] > 60).sum() > (coloured[1] > 60).sum() + 100
    given = draw_compared(document, [run], data=data)
    assert given.of_image == found.of_image


def test_data_that_are_gone_or_others_are_named(compared, tmp_path):
    document, run, data = compared
    write_json(run / "environment.json", {"data": "../gone"})
    found = draw_compared(document, [run])
    assert not found.of_image and "No pictures: " in found.note and "gone" in found.note and "--data DIR" in found.note
    write_json(run / "environment.json", {})
    assert "do not say where their data are" in draw_compared(document, [run]).note
    document["differing"]["shown"][0]["objects"][0]["box"][0] -= 1
    with pytest.raises(InputError, match="--data: the images cannot be drawn: .*holds other images than were scored"):
        draw_compared(document, [run], data=data)
    # where one run's data are others, the next run's are looked at
    document["differing"]["shown"][0]["objects"][0]["box"][0] += 1
    other = run_folder(tmp_path / "other", us_config("us-faster-rcnn"), data)
    shutil.copy(str(run / "config.yaml"), str(other / "config.yaml"))
    write_json(run / "environment.json", {"data": "../gone"})
    assert draw_compared(document, [run, other]).note == ""


def test_nothing_is_read_where_nothing_differs(tmp_path):
    assert draw_compared({"differing": {"shown": []}}, [tmp_path / "none"]) == ({}, "", ())


def test_the_part_that_is_shown_has_all_boxes():
    box = np.array([[10, 20, 30, 30]])
    assert region_of([box, np.zeros((0, 4))], 100, 100) == (0, 0, 50, 50)  # half of the image, moved into it
    far = np.array([[70, 40, 80, 50]])
    # from 10 to 80: 70 pixels, 14 more on either side, around 45 and 35; moved down into the image
    assert region_of([box, far], 100, 100) == (0, 0, 98, 98)
    assert region_of([np.array([[5, 5, 195, 15]])], 100, 200) == (0, 0, 200, 100)
    assert region_of([np.zeros((0, 4))], 60, 80) == (0, 0, 80, 60)
