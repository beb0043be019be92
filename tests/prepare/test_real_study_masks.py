"""The real study's boxes as COCO, NIfTI mask, DICOM mask series and SEG: the same labels each way."""

from __future__ import annotations

import json

import nibabel
import numpy as np
import pytest

from gluon_liver.data.ct_dataset import CTDataset
from gluon_liver.labels.source import LabelOptions
from gluon_liver.prepare.ct import import_ct
from tests.readers.mask_writer import read_headers, write_mask_series, write_seg
from tests.readers.us_writer import write_labels

from .test_real_study import FOLDER, pytestmark  # noqa: F401  (skips where the folder is absent)

CLASSES = "classes: {hcc: [livertumor, Mass]}\nignore: [liver]\n"


def nifti_affine(headers):
    """The affine (RAS) of an array (x, y, z), from the headers of the first and the last slice."""
    first, last = (np.array(one.ImagePositionPatient, float) for one in (headers[0], headers[-1]))
    dy, dx = map(float, headers[0].PixelSpacing)
    affine = np.eye(4)
    affine[:3, 0] = np.array(headers[0].ImageOrientationPatient[:3], float) * dx
    affine[:3, 1] = np.array(headers[0].ImageOrientationPatient[3:], float) * dy
    affine[:3, 2] = (last - first) / (len(headers) - 1)
    affine[:3, 3] = first
    return np.diag([-1.0, -1.0, 1.0, 1.0]) @ affine


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    """The phase file, and the boxes, rounded to whole pixels, in every form."""
    tmp = tmp_path_factory.mktemp("masks")
    boxes = json.loads((FOLDER / "boxes.json").read_text())
    lines = ["order: [late_arterial]", "reference: late_arterial", "series:"]
    (tmp / "phases.yaml").write_text("\n".join([*lines, f"  '{boxes['series_instance_uid']}': late_arterial"]))
    (tmp / "classes.yaml").write_text(CLASSES)
    headers = [one for one in read_headers(FOLDER) if one.SeriesInstanceUID == boxes["series_instance_uid"]]
    mask = np.zeros((len(headers), 512, 512), np.uint8)
    places = {one.SOPInstanceUID: place for place, one in enumerate(headers)}
    corners = [np.rint(one["box_xyxy_px"]).astype(int).tolist() for one in boxes["boxes"]]
    for one, (x1, y1, x2, y2) in zip(boxes["boxes"], corners):
        mask[places[one["sop_instance_uid"]], y1:y2, x1:x2] = 1
    images = [{"sop_instance_uid": one["sop_instance_uid"]} for one in boxes["boxes"]]
    drawn = [(i, 1, [x1, y1, x2 - x1, y2 - y1]) for i, (x1, y1, x2, y2) in enumerate(corners, 1)]
    path = write_labels(tmp / "coco.json", images, drawn, width=512, height=512, classes=["hcc"], exhaustive=True)
    tree = json.loads(path.read_text())
    for one in tree["annotations"]:
        one["lesion"] = 1
    path.write_text(json.dumps(tree))
    liver = np.zeros_like(mask)
    liver[30:70, 100:300, 60:330] = 1
    affine = nifti_affine(headers)
    nibabel.save(nibabel.Nifti1Image(mask.transpose(2, 1, 0), affine), tmp / "livertumor.nii.gz")
    # the same file with its axes in another order, as other tools write them
    turned = nibabel.as_closest_canonical(nibabel.Nifti1Image(mask.transpose(2, 1, 0), affine))
    nibabel.save(turned.as_reoriented(np.array([[2, -1], [0, 1], [1, -1]])), tmp / "livertumor_2.nii")
    write_mask_series(tmp / "MASKS_DICOM" / "livertumor01", headers, mask)
    write_mask_series(tmp / "MASKS_DICOM" / "liver", headers, liver, series=902)
    segments = {1: ("Liver", liver), 2: ("Mass", mask)}
    write_seg(tmp / "seg.dcm", headers, segments, order=lambda n: np.random.RandomState(0).permutation(n))
    return tmp


def imported(written, out, **options):
    options.update(phases=written / "phases.yaml", label_options=LabelOptions(classes=written / "classes.yaml"))
    report = import_ct(FOLDER, out, salt="test", **options)
    return report, (out / "labels.json").read_bytes()


@pytest.fixture(scope="module")
def by_boxes(written):
    return imported(written, written / "boxes", labels=written / "coco.json")


def test_the_boxes(by_boxes, written):
    report, _ = by_boxes
    assert (report["labels"]["boxes"], report["labels"]["background"]) == (16, 65)
    assert [label.lesions.tolist() for label in CTDataset.open(written / "boxes").labels if len(label.boxes)] == [
        [1]
    ] * 16


@pytest.mark.parametrize("name", ["livertumor.nii.gz", "livertumor_2.nii", "MASKS_DICOM", "seg.dcm"])
def test_masks_give_the_same_file(by_boxes, written, tmp_path, name):
    report, labels = imported(written, tmp_path / "data", masks=[written / name])
    assert labels == by_boxes[1]
    assert any(note.startswith("masks: 1 lesions in 3D") for note in report["notes"])
