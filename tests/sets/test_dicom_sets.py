"""3D-IRCADb-01, HCC-TACE-Seg and Colorectal-Liver-Metastases: which series and masks, and boxes equal to the masks."""

from __future__ import annotations

import pickle
from collections import Counter

import numpy as np
import pytest

from gluon_liver.errors import InputError
from gluon_liver.labels.masks import mask_boxes
from gluon_liver.sets.import_ct import import_set, report_lines
from gluon_liver.sets.ircadb import IRCADb
from gluon_liver.sets.tcia import ColorectalLiverMetastases, HCCTACESeg
from tests.readers.ct_writer import uid

from .dicom_sets import LESIONS, SHAPE, SPACING, Tcia, headers_of, write_ircadb
from .truth import mask_truth
from .written import small_volume


def boxes_of(layout, case):
    """Slice -> sorted boxes with class, of a case on the grid of its reference phase; and the whole of mask_boxes."""
    stack = case.phases[layout.reference].open()
    classes = {value: layout.classes.index(name) for value, name in case.labels.classes.items()}
    found = mask_boxes(case.labels.open(), classes, stack.geometry, ignored=case.labels.ignored)
    rows = {
        z: sorted((layout.classes[kind], box) for kind, box in zip(one.labels.tolist(), one.boxes.tolist()))
        for z, one in found.slices.items()
    }
    return rows, found


def expected(masks):
    """The same of masks: (class, mask of numbers)."""
    rows = {}
    for name, mask in masks:
        for z, boxes in mask_truth(mask.astype(int)).items():
            rows.setdefault(z, []).extend((name, list(map(float, box[:4]))) for box in boxes)
    return {z: sorted(boxes) for z, boxes in rows.items()}


@pytest.fixture(scope="module")
def ircadb(tmp_path_factory):
    folder = tmp_path_factory.mktemp("ircadb")
    return folder, write_ircadb(folder)


def test_ircadb_takes_tumors_and_cysts_of_the_liver(ircadb):
    folder, truth = ircadb
    layout = IRCADb()
    found = layout.find(folder)
    assert [case.name for case in found.cases] == ["3Dircadb1.1", "3Dircadb1.2", "3Dircadb1.10"]
    assert [(one.path, one.reason) for one in found.left_out] == [
        ("3Dircadb1/3Dircadb1.20", "unpack PATIENT_DICOM.zip")
    ]
    assert found.notes == ["masks of leftsurretumor are of no lesion of the liver, and are not read"]
    pickle.dumps(found.cases)
    first, second, last = (boxes_of(layout, case) for case in found.cases)
    masks = truth[1]
    both = [("tumor", masks["livertumor01"]), ("tumor", masks["livertumor02"]), ("cyst", masks["livercyst"])]
    assert first[0] == expected(both)
    assert [lesion.label for lesion in first[1].lesions] == [1, 1, 0]
    # touching tumors in one folder are one lesion
    masks = truth[2]
    assert second[0] == expected([("tumor", masks["livertumors"]), ("cyst", masks["liverkyste"])])
    assert [lesion.label for lesion in second[1].lesions] == [1, 0]
    assert last[0] == {} and last[1].covered.all()  # no tumor: every slice is background


def test_ircadb_images_are_those_of_the_patient(ircadb):
    folder, _ = ircadb
    stack = IRCADb().find(folder / "3Dircadb1" / "3Dircadb1.1").cases[0].phases["portal_venous"].open()
    hu, _, _ = small_volume(1, SHAPE, LESIONS)
    np.testing.assert_array_equal(stack.read(), np.clip(hu, -1024, None))
    assert stack.geometry.spacing == pytest.approx(SPACING)


def test_what_is_no_ircadb_is_told(tmp_path):
    with pytest.raises(InputError, match=r"is no 3D-IRCADb-01: folders 3Dircadb1.N with PATIENT_DICOM and MASKS_DICOM"):
        IRCADb().find(tmp_path)
    (tmp_path / "3Dircadb1.4").mkdir()
    (tmp_path / "3Dircadb1.4" / "MASKS_DICOM.zip").write_bytes(b"PK")
    with pytest.raises(InputError, match="unpack MASKS_DICOM.zip"):
        IRCADb().find(tmp_path)


def volumes(seed):
    hu, mask, _ = small_volume(seed, SHAPE, LESIONS)
    return hu, mask, hu > 20


def write_hcc(folder, flat):
    """Five patients, of which one has no SEG, one a SEG without Mass, and one a series of two acquisitions."""
    truth, tcia = {}, Tcia(folder, "HCC-TACE-Seg", flat=flat)
    for number in range(1, 6):
        patient = f"HCC_{number:03d}"
        hu, mask, liver = volumes(number)
        common = dict(patient=patient)
        drawn = headers_of(number, 2, hu, description="C-A-P", **common)
        if number == 4:
            # both phases in one series; the SEG names images of the second
            early = headers_of(number, 2, hu - 20, description="C-A-P", **common)
            for place, (one, other) in enumerate(zip(early, drawn)):
                one.SOPInstanceUID, one.AcquisitionNumber, other.AcquisitionNumber = uid(number, 2, 500 + place), 1, 2
                one.InstanceNumber = other.InstanceNumber - 20
            tcia.series(patient, "11-30-1999", 3, early + drawn)
        else:
            tcia.series(patient, "11-30-1999", 3, drawn)
        if number == 1:
            tcia.series(patient, "11-30-1999", 2, headers_of(number, 1, hu - 60, description="PRE LIVER", **common))
            tcia.series(patient, "11-30-1999", 4, headers_of(number, 3, hu - 10, description="", **common))
            later = headers_of(number + 20, 1, hu, description="Recon 2: PRE LIVER", **common)
            tcia.series(patient, "02-10-2000", 2, later)
        segments = {1: ("Liver", liver), 3: ("Portal vein", mask > 9), 4: ("Abdominal aorta", mask > 9)}
        if number != 5:
            # the necrosis of the second lesion is a segment of its own, inside the mass
            segments[2] = ("Mass", mask > 0)
            segments[5] = ("Necrosis", mask == 2)
        if number != 3:
            tcia.seg(patient, "11-30-1999", drawn, segments)
        truth[patient] = mask
    tcia.finish()
    return truth


@pytest.mark.parametrize("flat", [False, True])
def test_hcc_tace_seg_in_both_namings(tmp_path, flat):
    truth = write_hcc(tmp_path, flat)
    layout = HCCTACESeg()
    found = layout.find(tmp_path)
    assert [case.patient for case in found.cases] == ["HCC_001", "HCC_002", "HCC_004"]
    assert [sorted(case.phases) for case in found.cases] == [
        ["non_contrast", "segmented"],
        ["segmented"],
        ["segmented"],
    ]
    assert Counter(one.reason for one in found.left_out) == {
        "its patient has no segmentation": 1,
        "it has no lesion": 1,
        "its study has no segmentation": 1,
        "its description names no phase": 1,
        "its patient's segmentation is not taken": 1,
    }
    pickle.dumps(found.cases)
    for case in found.cases:
        rows, boxes = boxes_of(layout, case)
        # mass and necrosis are one mask: lesions that touch are one, and the second is none within another
        assert rows == expected([("hcc", numbered(truth[case.patient] > 0))])
        assert boxes.covered.all()
    # of two acquisitions the one whose images the SEG names
    assert found.cases[2].phases["segmented"].open().read().max() == volumes(4)[0].max()
    before = found.cases[0].phases["non_contrast"].open().read()
    np.testing.assert_array_equal(before, np.clip(volumes(1)[0] - 60, -1024, None))


def numbered(mask):
    """The components of a mask, by hand of SciPy."""
    from scipy import ndimage

    return ndimage.label(mask, np.ones((3, 3, 3)))[0]


def test_colorectal_liver_metastases_with_overlapping_tumors(tmp_path):
    tcia = Tcia(tmp_path, "Colorectal-Liver-Metastases", flat=False)
    hu, mask, liver = volumes(1)
    for number in (1001, 1002):
        headers = headers_of(number, 1, hu, patient=f"CRLM-CT-{number}", description="Portal Venous")
        tcia.series(f"CRLM-CT-{number}", "03-02-1995", 2, headers)
        # the second tumor reaches into the first; the SEG has the planes with tumors alone
        tumors = {4: ("Tumor_1", mask == 1), 5: ("Tumor_2", (mask == 2) | (mask == 1) & (np.arange(48) > 12))}
        parts = {1: ("Liver", liver & (mask > 0)), 2: ("Hepatic", mask > 9), **tumors}
        if number == 1002:
            parts[3] = ("Gallbladder", mask == 3)
        tcia.seg(f"CRLM-CT-{number}", "03-02-1995", headers, parts)
    tcia.finish()
    layout = ColorectalLiverMetastases()
    found = layout.find(tmp_path / "Colorectal-Liver-Metastases")
    assert [case.name for case in found.cases] == ["CRLM-CT-1001"]
    assert [one.reason for one in found.left_out] == [
        "a segment is called 'Gallbladder', which is not known",
        "its patient's segmentation is not taken",
    ]
    rows, boxes = boxes_of(layout, found.cases[0])
    assert rows == expected([("metastasis", tumors[4][1]), ("metastasis", tumors[5][1])])
    assert len(boxes.lesions) == 2 and boxes.covered.all()


def test_a_segmentation_of_no_series_is_left_out(tmp_path):
    tcia = Tcia(tmp_path, "Colorectal-Liver-Metastases", flat=True)
    hu, mask, _ = volumes(1)
    for series in (1, 2):
        headers = headers_of(7, series, hu, patient="CRLM-CT-1007", description="Portal")
        tcia.series("CRLM-CT-1007", "03-02-1995", series, headers)
    tcia.seg("CRLM-CT-1007", "03-02-1995", headers, {1: ("Tumor_1", mask == 1)}, ReferencedSeriesSequence=[])
    with pytest.raises(
        InputError, match="3 folders of DICOM files were found; 1 .*it names none of its patient's series"
    ):
        ColorectalLiverMetastases().find(tmp_path)


def test_options_that_a_layout_has_not_are_not_advised_alone(tmp_path):
    write_ircadb(tmp_path / "set")
    path = tmp_path / "set/3Dircadb1/3Dircadb1.1/PATIENT_DICOM/image_2"
    path.write_bytes(path.read_bytes()[:-900])
    report = import_set(IRCADb(), tmp_path / "set", tmp_path / "data")
    (cut,) = report["quarantined"]
    assert "is cut short" in cut["reason"] and "(with --layout there is none of them: " in cut["reason"]
    lines = report_lines(report)
    assert "left out: 1 time(s): unpack PATIENT_DICOM.zip; private/left-out.csv" in lines
    assert lines[-1].startswith("note: ") and (tmp_path / "data/private/left-out.csv").is_file()


def test_an_empty_folder_is_no_set(tmp_path):
    with pytest.raises(InputError, match="is no HCC-TACE-Seg: .* 0 folders of DICOM files were found"):
        HCCTACESeg().find(tmp_path)
