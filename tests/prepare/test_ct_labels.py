"""Labels of an import of CT: on their slices, counted where nothing takes them, and refused where they are wrong."""

from __future__ import annotations

import os

import pytest

from gluon_liver.data.ct_dataset import CTDataset
from gluon_liver.errors import AnnotationError, InputError
from gluon_liver.prepare.ct import import_ct
from gluon_liver.prepare.report import not_taken_lines
from tests.readers.ct_writer import uid, write_series

from .ct_source import THIRD, boxes_of_slices, label_file, labels_not_taken, siblings, write_study


def test_labels_by_uid_and_by_index_land_on_their_slices(tmp_path, source, out):
    images = [{"sop_instance_uid": uid(1, 2, 3)}, {"study": uid(1), "phase": "arterial", "slice": 0}]
    images += [{"study": uid(1), "phase": "delayed", "slice": 1}, {"sop_instance_uid": uid(1, 1, 1)}]
    boxes = [(1, 3, [1, 2, 3, 4]), (3, 1, [0, 0, 2, 2]), (4, 1, [0, 0, 2, 2])]
    report = import_ct(source, out, labels=label_file(tmp_path / "l.json", images, boxes))
    taken = [(image.slice, image.boxes.tolist(), image.labels.tolist()) for image in CTDataset.open(out).labels]
    assert taken == [(0, [], []), (2, [[1, 2, 4, 6]], [2])]
    reason = "labels belong to the reference phase, this one lies on "
    assert labels_not_taken(report) == {reason + "delayed": (1, 1), reason + "non_contrast": (1, 1)}
    assert not_taken_lines(report) == [
        "  labels are read on the reference phase; those on other phases (delayed, non_contrast): 2 image(s), "
        "2 box(es) are not needed"
    ]
    alone = {**report, "labels": {**report["labels"], "boxes_by_class": {"cyst": 0, "hcc": 0}}}
    assert not_taken_lines(alone)[1].startswith("  warning: no box is on the reference phase: --reference PHASE")


def test_exhaustive_lists_the_other_slices_as_background(tmp_path, source, out):
    write_study(source, 2, patient="P2")
    images, boxes = [{"sop_instance_uid": uid(1, 2, 3)}], [(1, 3, [1, 2, 3, 4])]
    import_ct(source, out, labels=label_file(tmp_path / "l.json", images, boxes, exhaustive=True))
    assert boxes_of_slices(out) == [(0, 0), (1, 0), (2, 1), (3, 0)]
    images = CTDataset.open(out).labels
    assert len({image.case for image in images}) == 1 and len({image.image_id for image in images}) == 4


def test_labels_of_what_was_not_taken_are_counted(tmp_path, source, out):
    write_study(source, 2, patient="P2")
    os.remove(source / "st2" / "se2" / "1.dcm")
    write_series(source / "loc", series=9, zs=(0,), ImageType=["ORIGINAL", "PRIMARY", "LOCALIZER"])
    images = [{"sop_instance_uid": uid(2, 2, 1)}, {"sop_instance_uid": uid(1, 9, 1)}]
    report = import_ct(source, out, labels=label_file(tmp_path / "l.json", images, [(1, 3, [1, 2, 3, 4])]))
    counts = {"its study was not taken": (1, 1), "its image was left out: a localizer by ImageType": (1, 0)}
    assert labels_not_taken(report) == counts


def test_regrid_moves_labels_with_their_slices(tmp_path, out):
    write_study(tmp_path / "in", phases={"ARTERIAL": 0.0}, slices=6)
    os.remove(tmp_path / "in" / "st1" / "se1" / "2.dcm")
    labels = label_file(tmp_path / "l.json", [THIRD], [(1, 3, [1, 2, 3, 4])], exhaustive=True)
    with pytest.raises(InputError, match="lacks slices"):
        import_ct(tmp_path / "in", out, labels=labels)
    report = import_ct(tmp_path / "in", out, labels=labels, regrid=True)
    # The third slice of the series is the fourth of the grid; slice 2 was interpolated: nobody looked at it.
    assert boxes_of_slices(out) == [(0, 0), (1, 0), (3, 1), (4, 0), (5, 0)]
    assert report["taken"][0]["phases"]["arterial"]["interpolated_slices"] == 1


@pytest.mark.parametrize(
    "images, extra, message",
    [
        ([{"sop_instance_uid": "1.2.3"}], {}, "image 1: key 'sop_instance_uid' names no image"),
        ([{"sop_instance_uid": 5}], {}, "image 1: sop_instance_uid must be a text"),
        ([{"study": "1.2.3", "phase": "arterial", "slice": 0}], {}, "image 1: key 'study' names no study"),
        ([{"study": uid(1), "phase": "venous", "slice": 0}], {}, "image 1: key 'phase' is none of the phases"),
        (
            [{"study": uid(1), "phase": "arterial", "slice": 4}],
            {},
            "image 1: key 'slice' is 4; its series has 4 slices",
        ),
        ([{"study": uid(1), "phase": "arterial"}], {}, "image 1 needs 'sop_instance_uid', or"),
        ([{"sop_instance_uid": uid(1, 2, 1), "width": 17}], {}, "image 1: 'width' and 'height' are 17 and 16"),
        ([{"sop_instance_uid": uid(1, 2, 3)}, THIRD], {}, "image 2 is the same slice as image 1"),
        ([], {"exhaustive": "yes"}, "key 'exhaustive'"),
    ],
)
def test_a_wrong_label_file_stops_the_import_and_nothing_is_written(tmp_path, source, out, images, extra, message):
    labels = label_file(tmp_path / "l.json", images, **extra)
    with pytest.raises(AnnotationError, match=message) as caught:
        import_ct(source, out, labels=labels)
    assert uid(1) not in str(caught.value) and not out.exists() and not siblings(out)
