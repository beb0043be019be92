"""LiTS and the decathlon: boxes equal to those of the masks, what is left out, what is told."""

import csv
import json

import pytest

from gluon_liver.data.ct_dataset import CTDataset
from gluon_liver.errors import InputError
from gluon_liver.sets.import_ct import import_set, plan_lines
from gluon_liver.sets.lits import LiTS
from gluon_liver.sets.msd import MSDHepaticVessel, MSDLiver

from .lits_set import drawn, write_lits, write_msd
from .truth import mask_truth
from .written import write_nifti


def found_boxes(data):
    """Name in the set -> slice -> boxes with the numbers of their lesions, sorted, of slices that have some."""
    with open(data / "private" / "case-ids.csv", encoding="utf-8") as stream:
        names = {row["case"]: row["name"] for row in csv.DictReader(stream)}
    found = {name: {} for name in names.values()}
    for label in CTDataset.open(data).labels:
        if len(label.boxes):
            found[names[label.case]][label.slice] = sorted(map(tuple, label.boxes.tolist()))
    return found


def true_boxes(masks):
    return {
        name: {z: sorted(tuple(map(float, one[:4])) for one in boxes) for z, boxes in mask_truth(mask).items()}
        for name, mask in masks.items()
    }


def test_lits_with_spacings_that_were_mended_is_told_nothing_of_them(tmp_path):
    for number in (28, 29):
        hu, mask, _ = drawn(number)
        for name, array in (("volume", hu), ("segmentation", mask)):
            write_nifti(tmp_path / f"{name}-{number}.nii", array, spacing=(1.0, 0.7, 0.7))
    assert not [note for note in LiTS().find(tmp_path).notes if "1 x 1 x 1" in note]


def test_lits(tmp_path):
    masks = write_lits(tmp_path / "set")
    report = import_set(LiTS(), tmp_path / "set", tmp_path / "data")
    assert found_boxes(tmp_path / "data") == true_boxes(masks)
    assert report["left_out"] == [{"reason": "a volume of the test, whose mask is not public", "count": 1}]
    notes = " ".join(report["notes"])
    assert "1 volume(s) (of 28 to 47) say a spacing of 1 x 1 x 1 mm" in notes
    assert "1 volume(s) (of 28 to 48) are patients of 3D-IRCADb-01" in notes
    assert report["lesions"]["of_masks"] == 6


def test_lits_that_is_packed_doubled_or_has_a_mask_elsewhere(tmp_path):
    with pytest.raises(InputError, match="no volume-N.nii with its segmentation-N.nii"):
        LiTS().find(tmp_path)
    (tmp_path / "Training_Batch1.zip").write_bytes(b"PK")
    with pytest.raises(InputError, match="1 archives: unpack them"):
        LiTS().find(tmp_path)
    write_lits(tmp_path / "set", numbers=(0, 1))
    batch = tmp_path / "set" / "Training Batch 1"
    (tmp_path / "set" / "copy").mkdir()
    (tmp_path / "set" / "copy" / "volume-0.nii").write_bytes((batch / "volume-0.nii").read_bytes())
    (tmp_path / "set" / "volume-7.nii").write_bytes((batch / "volume-0.nii").read_bytes())
    mask = LiTS().find(tmp_path / "set").cases[1].labels.open()[0]
    write_nifti(batch / "segmentation-1.nii", mask.labels, (2.5, 0.7, 0.7), origin=(-80, -80, 5))
    reasons = [one.reason for one in LiTS().find(tmp_path / "set").left_out]
    assert "its number is there twice" in reasons and "it has no segmentation of its number" in reasons
    report = import_set(LiTS(), tmp_path / "set", tmp_path / "data")
    assert len(report["taken"]) == 1 and "on other voxels than the volume's" in report["quarantined"][0]["reason"]


@pytest.mark.parametrize(
    "layout, prefix, labels",
    [
        (MSDLiver, "liver", {"1": "liver", "2": "cancer"}),
        (MSDHepaticVessel, "hepaticvessel", {"1": "Vessel", "2": "Tumour"}),
    ],
)
def test_decathlon(layout, prefix, labels, tmp_path):
    masks = write_msd(tmp_path / "set", layout.folder, prefix, labels)
    report = import_set(layout(), tmp_path / "set", tmp_path / "data")
    assert found_boxes(tmp_path / "data") == true_boxes(masks)
    assert report["left_out"] == [{"reason": "an image of the test, whose mask is not public", "count": 1}]
    assert plan_lines(layout(), tmp_path / "set" / layout.folder)[0] == "would take: 2 case(s) of 2 patient(s)"


def test_decathlon_of_another_task_and_files_that_are_not_there(tmp_path):
    with pytest.raises(InputError, match="no dataset.json is in it or in Task03_Liver"):
        MSDLiver().find(tmp_path)
    write_msd(tmp_path, "Task03_Liver", "liver", {"1": "liver", "2": "cancer"})
    (tmp_path / "Task03_Liver" / "labelsTr" / "liver_001.nii.gz").unlink()
    found = MSDLiver().find(tmp_path)
    assert [case.name for case in found.cases] == ["liver_002"]
    assert found.left_out[0].reason == "dataset.json names it, and it is not there"
    path = tmp_path / "Task03_Liver" / "dataset.json"
    record = json.loads(path.read_text())
    for labels in ({"0": "background", "1": "cancer", "2": "liver"}, {"0": "background", "1": "liver"}, None):
        path.write_text(json.dumps({**record, "labels": labels}))
        with pytest.raises(InputError, match=r"dataset.json (is not that of Task03_Liver|has no labels)"):
            MSDLiver().find(tmp_path)
    outside = {"image": "../../secret.nii.gz", "label": "/etc/passwd"}
    path.write_text(json.dumps({**record, "training": [outside, "x"]}))
    with pytest.raises(InputError, match="names no image and label that are there"):
        MSDLiver().find(tmp_path)
