"""What results.json says of failures: confusion, calibration, recall by group, sensitivities and counts, by hand."""

import json

import numpy as np
import pytest

from gluon_liver.metrics.bootstrap import bootstrap_weights, ratio_with_interval
from gluon_liver.metrics.errors.calibration import calibration
from gluon_liver.metrics.errors.confusion import confusion_matrix
from gluon_liver.metrics.errors.summary import error_summary
from gluon_liver.metrics.errors.where import Where
from gluon_liver.metrics.lesion_summary import lesion_summary
from gluon_liver.metrics.lesions import Scan
from gluon_liver.metrics.matching import class_hits
from tests.metrics.images import BOX, CLASSES, ELSE, FAR, image, random_results

THIN, THICK = (1.0, 0.5, 2.0), (5.0, 1.0, 1.0)
HALF = (0, 0, 10, 5)


def test_each_object_has_a_row_and_each_detection_a_column():
    results = [
        image(1, gt=[(0, BOX)], found=[(0, 0.9, BOX), (0, 0.8, BOX)]),  # right, and a duplicate
        image(2, gt=[(1, BOX), (0, FAR)], found=[(2, 0.9, HALF)]),  # hcc for a hemangioma, a cyst missed
        image(3, gt=[(0, BOX)], found=[(0, 0.9, BOX), (1, 0.8, BOX)]),  # the cyst is a cyst already
        image(4, found=[(2, 0.7, ELSE), (2, 0.4, ELSE)]),  # the second is below the threshold
    ]
    matrix = confusion_matrix(results, CLASSES)
    assert matrix["names"] == ["cyst", "hemangioma", "hcc", "background"] and matrix["rows"] == "truth"
    assert matrix["counts"] == [[2, 0, 0, 1], [0, 0, 1, 0], [0, 0, 0, 0], [1, 1, 1, 0]]
    assert confusion_matrix(results, CLASSES, iou_threshold=0.51)["counts"][1] == [0, 0, 0, 1]
    assert confusion_matrix(results, CLASSES, score_threshold=0.4)["counts"][3] == [1, 1, 2, 0]


def test_sums_of_the_matrix_are_objects_and_detections():
    for seed in range(4):
        results = random_results(seed)
        counts = np.array(confusion_matrix(results, CLASSES)["counts"])
        truth = np.concatenate([one.gt_labels for one in results])
        found = np.concatenate([one.labels[one.scores >= 0.5] for one in results])
        assert counts[:3].sum(axis=1).tolist() == np.bincount(truth, minlength=3).tolist()
        assert counts[:, :3].sum(axis=0).tolist() == np.bincount(found, minlength=3).tolist()
        kept = [one.detections.at_score(0.5) for one in results]
        right = sum(class_hits(one, all_.gt_boxes, all_.gt_labels).sum() for one, all_ in zip(kept, results))
        assert counts[:3, :3].trace() == right and counts[3, 3] == 0


def test_calibration_by_hand():
    found = [(0, 0.95, BOX), (0, 0.91, BOX), (0, 0.3, FAR), (1, 0.12, ELSE), (0, 1.0, FAR)]
    table = calibration([image(1, gt=[(0, BOX), (1, ELSE)], found=found)])
    rows = {row["low"]: row for row in table["bins"]}
    assert [row["n"] for row in table["bins"]] == [0, 1, 0, 1, 0, 0, 0, 0, 0, 3]
    assert rows[0.9]["high"] == 1.0 and rows[0.9]["precision"] == pytest.approx(1 / 3)
    assert rows[0.9]["mean_score"] == pytest.approx((0.95 + 0.91 + 1.0) / 3)
    assert rows[0.1]["precision"] == 1.0 and rows[0.3]["precision"] == 0.0
    assert rows[0.5]["mean_score"] is None and rows[0.5]["precision"] is None
    # 3 at a distance of 2.86 / 3 - 1 / 3, one of 0.3, one of 0.88
    assert table["ece"] == pytest.approx((1.86 + 0.3 + 0.88) / 5)
    assert "all 5 detections, of scores from 0.12 on" in table["note"]
    assert calibration([image(1)])["ece"] is None


def test_calibration_is_that_of_loops_over_detections():
    results = random_results(5)
    pairs = []
    for one in results:
        pairs += zip(one.scores.tolist(), class_hits(one.detections, one.gt_boxes, one.gt_labels).tolist())
    table, ece = calibration(results), 0.0
    for number, row in enumerate(table["bins"]):
        chosen = [(s, h) for s, h in pairs if number / 10 <= s < (number + 1) / 10 or (number == 9 and s == 1)]
        assert row["n"] == len(chosen)
        if chosen:
            mean, precision = (sum(one[k] for one in chosen) / len(chosen) for k in (0, 1))
            assert (row["mean_score"], row["precision"]) == (pytest.approx(mean), pytest.approx(precision))
            ece += len(chosen) / len(pairs) * abs(mean - precision)
    assert table["ece"] == pytest.approx(ece)


@pytest.fixture
def studies():
    """Two studies of one patient and one of another; a lesion on two slices, and one a slice."""
    results = [
        image(1, "a", gt=[(0, BOX)], found=[(0, 0.9, BOX)]),
        image(2, "a", gt=[(0, BOX)], found=[(1, 0.9, FAR)]),
        image(3, "a", gt=[(1, BOX), (1, FAR)], found=[(1, 0.4, BOX)]),
        image(4, "b", gt=[(0, BOX)]),
        image(5, "b"),
    ]
    where = [Where("s", 0, THIN), Where("s", 1, THIN), Where("t", 7, THICK), Where("u", 3, THICK), Where("u", 4, THICK)]
    return results, where


def scans(results, where):
    by_case = {}
    for result, one in zip(results, where):
        by_case.setdefault(one.case, (result.patient, one.spacing, {}))[2][one.place] = result
    return [Scan(patient, spacing, slices, 10, 0, case) for case, (patient, spacing, slices) in by_case.items()]


def summary_of(results, where, **options):
    lesions = lesion_summary(scans(results, where), classes=CLASSES, replicates=50) if where[0].spacing else None
    edges = dict(classes=CLASSES, size_edges=(10.0, 20.0), lesions=lesions)
    return error_summary(results, where, **{**edges, **options})


def test_counts_join_lesions_and_know_patients_and_studies(studies):
    counts = summary_of(*studies)["counts"]
    assert counts.pop("by_class") == {
        "cyst": dict(patients=2, cases=2, images=3, images_with_objects=3, lesions=2, boxes=3),
        "hemangioma": dict(patients=1, cases=1, images=1, images_with_objects=1, lesions=2, boxes=2),
        "hcc": dict(patients=0, cases=0, images=0, images_with_objects=0, lesions=0, boxes=0),
    }
    assert counts == dict(patients=2, cases=3, images=5, images_with_objects=4, lesions=4, boxes=5)


def plain(rows):
    return [(row["name"], row["found"], row["n"]) for row in rows]


def test_recall_by_class_size_and_distance_of_slices(studies):
    recall = summary_of(*studies)["recall"]
    assert plain(recall["by_class"]) == [("cyst", 1, 3), ("hemangioma", 0, 2), ("hcc", 0, 0)]
    assert recall["by_class"][2]["recall"] is None and recall["by_class"][2]["interval"] is None
    # 10 pixels are 20 mm across in the thin study (columns of 2 mm), 10 mm in the thick ones
    assert plain(recall["by_size"]) == [("below 10 mm", 0, 0), ("10 to 20 mm", 0, 3), ("20 mm or more", 1, 2)]
    assert plain(recall["by_thickness"]) == [("below 1.5 mm", 1, 2), ("5 mm or more", 0, 3)]
    weights = bootstrap_weights(2)
    entry = ratio_with_interval(np.array([1, 0]), np.array([2, 1]), weights)
    assert recall["by_class"][0]["interval"] == [entry["low"], entry["high"]]
    assert recall["by_class"][1]["interval"] is None  # one patient
    assert "Wilson" in recall["note"]


def test_sensitivity_of_slices_lesions_and_patients(studies):
    rows = summary_of(*studies)["sensitivity"]
    assert [(name, row["found"], row["n"]) for name, row in rows.items() if name != "note"] == [
        ("slice", 1, 4),
        ("lesion", 1, 4),
        ("patient", 1, 2),
    ]
    assert "3D IoU" in rows["note"]


def test_frames_scenes_and_patients_of_ultrasound(studies):
    results, where = studies
    frames = [Where(one.case, one.place) for one in where]
    summary = summary_of(results, frames, size_edges=(32.0, 96.0))
    rows = summary["sensitivity"]
    assert [(name, row["found"], row["n"]) for name, row in rows.items() if name != "note"] == [
        ("frame", 1, 4),
        ("scene", 1, 3),
        ("patient", 1, 2),
    ]
    assert summary["counts"]["lesions"] is None and summary["counts"]["by_class"]["cyst"]["lesions"] is None
    assert plain(summary["recall"]["by_size"])[0] == ("below 32 pixels", 1, 5)
    assert summary["recall"]["by_thickness"] == [] and summary["errors"]["size_unit"] == "pixels"
    assert "neighbour slice" not in summary["errors"]["detections"]


def test_causes_are_counted_and_listed_the_worst_first(studies):
    errors = summary_of(*studies)["errors"]
    assert errors["detections"] == {
        "right": 1,
        "wrong class": 0,
        "badly placed": 0,
        "duplicate": 0,
        "wrong class, badly placed": 0,
        "neighbour slice": 0,
        "background": 1,
    }
    assert {cause: count for cause, count in errors["objects"].items() if count} == {
        "found": 1,
        "low score": 1,
        "missed": 3,
    }
    detection, *objects = errors["items"]
    assert detection == {
        "image_id": 2,
        "case": "s",
        "place": 1,
        "patient": "a",
        "kind": "detection",
        "class": "hemangioma",
        "cause": "background",
        "other": None,
        "score": 0.9,
        "iou": 0.0,
        "size": 20.0,
        "box": [50.0, 50.0, 60.0, 60.0],
    }
    assert [(one["kind"], one["size"], one["case"]) for one in objects] == [
        ("object", 20.0, "s"),
        ("object", 10.0, "t"),
        ("object", 10.0, "t"),
        ("object", 10.0, "u"),
    ]
    low = next(one for one in objects if one["cause"] == "low score")
    assert (low["score"], low["iou"], low["other"]) == (0.4, 1.0, "hemangioma")
    assert set(errors["meaning"]["detections"]) == set(errors["detections"])
    assert errors["meaning"]["objects"]["low score"].endswith("below 0.5")
    json.dumps(errors, allow_nan=False)


def test_sums_of_causes_are_all_detections_and_objects():
    results = random_results(2)
    where = [Where("case", number, THICK) for number in range(len(results))]
    summary = error_summary(results, where, classes=CLASSES, size_edges=(10.0,), replicates=5)
    errors, boxes = summary["errors"], sum(len(one.gt_labels) for one in results)
    above = sum(int((one.scores >= 0.5).sum()) for one in results)
    assert sum(errors["detections"].values()) == above and sum(errors["objects"].values()) == boxes
    assert len(errors["items"]) == above + boxes - errors["detections"]["right"] - errors["objects"]["found"]
    scores = [one["score"] for one in errors["items"] if one["kind"] == "detection"]
    assert scores == sorted(scores, reverse=True)
    assert sum(row["n"] for row in summary["recall"]["by_size"]) == boxes == summary["counts"]["boxes"]
    again = error_summary(results[::-1], where[::-1], classes=CLASSES, size_edges=(10.0,), replicates=5)
    assert again == summary


def test_nothing_to_score_is_no_error():
    summary = error_summary([image(1)], [Where("a", 0)], classes=CLASSES, size_edges=(1.0,), replicates=5)
    assert summary["errors"]["items"] == [] and summary["sensitivity"]["frame"]["recall"] is None
