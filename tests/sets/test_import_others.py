"""MCT-LTDiag, WAW-TACE and LLD-MMRI imported whole: boxes of the prepared data beside the masks they were made from."""

import csv
import json

import numpy as np
import pytest

from gluon_liver import mri_volume
from gluon_liver.data.ct_dataset import CTDataset
from gluon_liver.errors import InputError
from gluon_liver.sets.import_ct import import_set
from gluon_liver.sets.lld_mmri import LLDMMRI
from gluon_liver.sets.mct_ltdiag import MCTLTDiag
from gluon_liver.sets.waw_tace import WAWTACE

from .lld_mmri_set import PHASES, body_of, write_lld_mmri
from .mct_ltdiag_set import CLASSES, TYPES, write_mct_ltdiag
from .truth import mask_truth
from .waw_tace_set import MASKS, write_waw_tace


def imported(layout, source, out):
    """The report, the dataset, and name in the set -> slice -> [(class, box)] of the labelled slices."""
    report = import_set(layout, source, out)
    dataset = CTDataset.open(out)
    with open(out / "private" / "case-ids.csv", encoding="utf-8") as stream:
        names = {row["case"]: row["name"] for row in csv.DictReader(stream)}
    found = {name: {} for name in names.values()}
    for label in dataset.labels:
        boxes = [(dataset.classes[kind], tuple(box)) for kind, box in zip(label.labels, label.boxes.tolist())]
        found[names[label.case]][label.slice] = sorted(boxes)
    return report, dataset, found


def expected(mask, class_name):
    return {
        z: sorted((class_name, tuple(map(float, box[:4]))) for box in boxes) for z, boxes in mask_truth(mask).items()
    }


def test_mct_ltdiag(tmp_path):
    masks = write_mct_ltdiag(tmp_path / "set", lacking=[("230218b1", "delay")])
    report, dataset, found = imported(MCTLTDiag(), tmp_path / "set", tmp_path / "data")
    for name, kind in TYPES.items():
        assert {z: boxes for z, boxes in found[name].items() if boxes} == expected(masks[name], CLASSES[kind])
        assert len(found[name]) == 8  # slices that the mask covers and has nothing on are background
    assert dataset.modality == "CT" and dataset.reference_phase == "portal_venous" and len(dataset.cases) == 5
    assert sum("delayed" in one["phases"] for one in report["taken"]) == 4
    assert report["labels"]["boxes_by_class"].keys() == {*MCTLTDiag.classes} and report["quarantined"] == []
    assert sum(len(part) for part in (dataset.splits.train, dataset.splits.val, dataset.splits.test)) == 5


def test_waw_tace(tmp_path):
    masks = write_waw_tace(tmp_path / "set")
    report, dataset, found = imported(WAWTACE(), tmp_path / "set", tmp_path / "data")
    for name in ("2", "35"):
        assert {z: boxes for z, boxes in found[name].items() if boxes} == expected(masks[name], "hcc")
    assert sum(map(bool, found["10"].values()))  # drawn on the portal venous phase
    assert dataset.labels_on == "portal_venous"
    assert any("carried over to arterial by world coordinates" in note for note in report["notes"])


def test_lld_mmri(tmp_path):
    masks = write_lld_mmri(tmp_path / "set", lacking=[("MR203", "DWI")])
    report, dataset, found = imported(LLDMMRI(), tmp_path / "set", tmp_path / "data")
    kinds = {"MR101": "hcc", "MR-4002": "cyst", "MR203": "hemangioma"}
    for name, kind in kinds.items():
        assert found[name] == expected(masks[name], kind)  # slices without a box are unlabelled
    assert dataset.modality == "MRI" and {dataset.study(one.case).modality for one in dataset.cases} == {"MRI"}
    with open(tmp_path / "data" / "private" / "case-ids.csv", encoding="utf-8") as stream:
        (case,) = [row["case"] for row in csv.DictReader(stream) if row["name"] == "MR101"]
    _, factor, offset, kind = PHASES["C+V"]
    values = np.maximum(body_of(0)[0] * factor + offset, 0).astype(kind)
    assert np.array_equal(dataset.study(case).hu[LLDMMRI.phases.index("portal_venous")], mri_volume(values))
    texts = [json.dumps(report), (tmp_path / "data" / "dataset.json").read_text()]
    assert not any("HU" in text for text in texts)


def test_official_splits_are_kept_and_fractions_refused(tmp_path):
    write_lld_mmri(tmp_path / "set", cases={"MR1": 6, "MR2": 3, "MR3": 0})
    lists = tmp_path / "set" / "labels"
    (lists / "labels.txt").write_text("MR1 6\nMR3 0\n")
    (lists / "labels_val.txt").write_text("MR2 3\n")
    _, dataset, _ = imported(LLDMMRI(), tmp_path / "set", tmp_path / "data")
    assert [len(dataset.splits.of(name)) for name in ("train", "val", "test")] == [2, 1, 0]
    with pytest.raises(InputError, match="splits of its own"):
        import_set(LLDMMRI(), tmp_path / "set", tmp_path / "other", fractions=(0.5, 0.2, 0.3))


def test_another_mask_of_a_tumor_is_seen_when_an_import_is_gone_on_with(tmp_path):
    write_waw_tace(tmp_path)
    names = {case.name: case.labels.name for case in WAWTACE().find(tmp_path).cases}
    assert names == {
        "2": f"{MASKS}/2",
        "10": f"{MASKS}/10/10_2_0_tumor_seg.nrrd",
        "35": f"{MASKS}/35/35_3_0_tumor_seg.nrrd",
    }
