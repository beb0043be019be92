"""Files of detections: what is read, and the reason of what is not."""

import json

import numpy as np
import pytest

from gluon_liver.errors import InputError
from gluon_liver.evaluation import run_folder
from gluon_liver.evaluation.detection_file import read_detections
from gluon_liver.evaluation.from_file import score_detections
from gluon_liver.evaluation.task import ScoreSettings
from gluon_liver.metrics.ct_summary import ct_curves, ct_summary
from gluon_liver.structures.detections import CocoDetection, Detections

ROW = {"image_id": 10, "category_id": 1, "bbox": [4, 5, 20, 18], "score": 0.5}


@pytest.fixture
def read(tiny_dataset, tmp_path):
    def reader(*rows):
        (tmp_path / "d.json").write_text(json.dumps(rows))
        return read_detections(tmp_path / "d.json", tiny_dataset, tiny_dataset.labels_of("test"))

    return reader


def test_images_by_name_and_ids_as_decimal_numbers(read, tiny_dataset):
    (name,) = [label.name for label in tiny_dataset.labels if label.image_id == 11]
    file = read(
        {**ROW, "image_id": name},
        {**ROW, "image_id": "./" + name.replace("/", "\\") + ".png"},
        {**{key: value for key, value in ROW.items() if key != "image_id"}, "file_name": name},
        {**ROW, "image_id": 10.0, "category_id": 2.0},
    )
    assert {image: len(rows) for image, rows in file.rows.items()} == {11: 3, 10: 1}
    assert file.rows[10] == [CocoDetection(10, 2, (4.0, 5.0, 20.0, 18.0), 0.5)]
    assert [note.rsplit(": ")[1] for note in file.notes] == ["2", "3", "2"]
    assert not read(ROW).notes and read().notes == ["it holds no detection"]
    assert "count as often: 2" in read(ROW, ROW, ROW).notes[0]


@pytest.mark.parametrize(
    "changes, reason",
    [
        (
            {"category_id": "1"},
            "category_id is a text in 1 of 2 entries, entry 1: '1': write the number without quotes",
        ),
        ({"category_id": "HCC"}, "the id of hcc is 3"),
        ({"category_id": "metastasis"}, "wanted is 1 cyst, 2 hemangioma, 3 hcc"),
        ({"category_id": 1.5}, "category_id is no whole number in 1 of 2 entries, entry 1: 1.5"),
        ({"category_id": True}, "category_id is no whole number"),
        ({"category_id": 4}, "entry 1: no class has the category_id 4; wanted is 1 cyst, 2 hemangioma, 3 hcc"),
        ({"category_id": 0}, "counted from 0: add 1"),
        ({"category_id": -1}, "no class has the category_id -1"),
        ({"image_id": "10"}, "image_id is a text in 1 of 2 entries, entry 1: '10': write the number without quotes"),
        ({"image_id": "p3/0001"}, "no image of labels.json bears it"),
        ({"image_id": 1}, "image 1, which is not in the split: it is in the train split"),
        ({"image_id": -7}, "`detect` gives to slices without a label"),
        ({"image_id": 99}, "image 99, which is not in the split: no image of labels.json has this id"),
        ({"score": 87.5}, "score is above 1 in 1 of 2 entries, entry 1: 87.5: in percent? divide by 100"),
        ({"score": 1000}, "probabilities are wanted"),
        ({"score": -2.5}, "no logits"),
        ({"score": float("nan")}, "score is not finite"),
        ({"score": 10**400}, "score is not finite"),
        ({"score": "0.5"}, "score is a text"),
        ({"score": None}, "holds no COCO results: entry 1: score"),
        ({"bbox": [4, 5, float("nan"), 6]}, "bbox is not finite"),
        ({"bbox": [4, 5, 10**400, 6]}, "bbox is not finite"),
        ({"bbox": [4, 5, -3, 6]}, "bbox has a width or height below 0"),
        ({"bbox": [4, 5, 6]}, "holds no COCO results: entry 1: bbox"),
        ({"bbox": [30, 30, 60, 60]}, "1 of 2 boxes leave their image, the first in entry 1"),
    ],
)
def test_the_reason_of_what_cannot_be_scored(read, changes, reason):
    with pytest.raises(InputError, match="holds no COCO results|not in the split") as caught:
        read(
            {**ROW, "bbox": [4, 5, 60, 60]} if "bbox" in changes and len(changes["bbox"]) == 4 else ROW,
            {**ROW, **changes},
        )
    assert reason in str(caught.value)


def test_ids_with_a_background_before_the_classes(read):
    with pytest.raises(InputError, match="background as 1: take 1 off each"):
        read({**ROW, "category_id": 2}, {**ROW, "category_id": 4})


def test_all_kinds_of_faults_are_told_at_once(read):
    with pytest.raises(InputError) as caught:
        read(ROW, *[{**ROW, "score": 50.0 + one} for one in range(3)], {**ROW, "category_id": "2"})
    assert "score is above 1 in 3 of 5" in str(caught.value) and "category_id is a text in 1 of 5" in str(caught.value)


def test_corners_and_fractions_are_told(read):
    corners = [{**ROW, "bbox": [x, 20, x + 25, 44]} for x in (2, 30, 38)]
    with pytest.raises(InputError, match="read as x1, y1, x2, y2 all of them lie inside"):
        read(*corners)
    with pytest.raises(InputError, match="fractions of the image"):
        read({**ROW, "bbox": [0.1, 0.2, 0.3, 0.25]})
    # a box or two beyond the border are a detector's own
    assert "1 of 2 boxes leave" in read(ROW, {**ROW, "bbox": [50, 50, 30, 10]}).notes[0]


def test_ids_of_images_counted_from_0(read):
    with pytest.raises(InputError, match="it is in the train split; the ids seem to be counted from 0"):
        read(*[{**ROW, "image_id": image} for image in (9, 10, 11)])


def test_an_object_is_no_list(tiny_dataset, tmp_path):
    (tmp_path / "d.json").write_text('{"images": [], "annotations": []}')
    with pytest.raises(InputError, match="a list of them is wanted, not an object with 'images', 'annotations'"):
        read_detections(tmp_path / "d.json", tiny_dataset, tiny_dataset.labels_of("test"))


def test_the_order_of_the_rows_changes_no_number(tiny_dataset):
    """Scores in three steps: almost all are tied, within images and between them."""
    rng = np.random.default_rng(0)
    labels, rows = tiny_dataset.labels, []
    for label in labels:
        for _ in range(6):
            x, y = rng.integers(0, 40, 2) if rng.random() < 0.5 or not len(label.boxes) else label.boxes[0, :2]
            box = (float(x), float(y), 20.0, 18.0)
            rows.append(CocoDetection(label.image_id, int(rng.integers(1, 4)), box, float(rng.integers(1, 4)) / 4))

    def summary(rows):
        of = {label.image_id: [row for row in rows if row.image_id == label.image_id] for label in labels}
        results = [tiny_dataset.result(one, Detections.from_coco(of[one.image_id])) for one in labels]
        classes = tiny_dataset.classes
        return ct_summary(results, classes=classes, replicates=10), ct_curves(results, classes)

    first = summary(rows)
    for seed in range(5):
        assert summary([rows[place] for place in np.random.default_rng(seed).permutation(len(rows))]) == first


@pytest.mark.slow
def test_a_box_at_the_limit_is_scored_as_the_file_has_it(tiny_run, tiny_dataset, tmp_path, monkeypatch):
    """An overlap of 0.4998 is one of 0.5 once edges have two digits, and tied scores are in the file's order."""

    really = run_folder.detect_labelled

    def detected(detector, dataset, labels, **options):
        really(detector, dataset, labels, **options)  # prepares the images that overlays show
        found = []
        for label in labels:
            boxes = label.boxes[:1].repeat(2, axis=0).astype(np.float64)
            boxes[:, 2] -= (boxes[:, 2] - boxes[:, 0]) / 2 + np.array([9, 0.004])[: len(boxes)]
            found.append(Detections(boxes, np.array([0.9000001, 0.9])[: len(boxes)], label.labels[:1].repeat(2)))
        return [dataset.result(label, one) for label, one in zip(labels, found)]

    monkeypatch.setattr(run_folder, "detect_labelled", detected)
    few = ScoreSettings(10)
    text, report = run_folder.evaluate(tiny_run, tiny_dataset, settings=few, progress=False, out=tmp_path / "out")
    results = json.loads((report.parent / "results.json").read_text())
    assert max(one["value"] or 0 for one in results["summary"]["ap50"].values()) > 0
    again = score_detections(tiny_run, tiny_dataset, report.parent / "detections.json", settings=few)
    assert again.strip() == text.strip()
