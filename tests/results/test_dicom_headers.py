"""What reports and segmentations take over from the headers of the images, and what these have wrong or lack."""

import json
from dataclasses import replace

import highdicom as hd
import numpy as np
import pydicom
import pytest

from gluon_liver.results import codes
from gluon_liver.results.formats import write_results

from .series import BOXES, HCC, write_series


def test_headers_that_lack_what_they_should_have(tmp_path, read_found):
    """Compressed images that do not say how, a name in another script, no birth date, study time or thickness."""
    name = dict(PatientName="Yamada^Tarou=山田^太郎", SpecificCharacterSet=["ISO_IR 6", "ISO 2022 IR 87"])
    folder = write_series(tmp_path / "ct", SliceThickness=None, LossyImageCompression="01", **name)
    write_results(tmp_path, read_found(folder, BOXES), ["dicom-sr", "dicom-seg"])
    for path in tmp_path.glob("*.dcm"):
        written = pydicom.dcmread(path)
        assert written.PatientName == "Yamada^Tarou=山田^太郎" and written.PatientBirthDate in ("", None)


@pytest.mark.parametrize(
    "declared, name",
    [
        ("ISO_IR 100", "Müller^Jörg"),
        (["", "ISO 2022 IR 87"], "Yamada^Tarou=山田^太郎=やまだ^たろう"),
        ("GB18030", "Wang^XiaoDong=王^小东"),
    ],
)
def test_names_of_patients_and_classes_keep_their_letters(tmp_path, read_found, declared, name):
    """No set of the files need have the letters of the classes: the objects are in UTF-8."""
    found = read_found(write_series(tmp_path / "ct", SpecificCharacterSet=declared, PatientName=name), BOXES[:2])
    found = replace(found, lesions=[replace(found.lesions[0], class_name="肝细胞癌")], classes=["肝细胞癌"])
    write_results(tmp_path, found, ["dicom-sr", "dicom-seg"])
    report, segmentation = (pydicom.dcmread(tmp_path / f"lesions-{one}.dcm") for one in ("sr", "seg"))
    assert [(str(one.PatientName), one.SpecificCharacterSet) for one in (report, segmentation)] == [
        (name, "ISO_IR 192")
    ] * 2
    assert segmentation.SegmentSequence[0].SegmentLabel == "Lesion 1 (肝细胞癌)"
    assert "Lesion 1 (肝细胞癌)" in [str(item.value) for item in report.iterall()]


def test_a_long_name_of_a_class_is_cut_to_a_label(made, tmp_path):
    name = "a\\b" + 80 * "c"
    lesions = [replace(made[1].lesions[0], class_name=name)]
    write_results(tmp_path, replace(made[1], lesions=lesions, classes=[name]), ["dicom-seg"])
    label = pydicom.dcmread(tmp_path / "lesions-seg.dcm").SegmentSequence[0].SegmentLabel
    assert label == "Lesion 1 (a/b" + 47 * "c" + "...)" and len(label) == 64


@pytest.mark.filterwarnings("ignore:Invalid value for VR")
def test_what_is_no_value_of_dicom_is_left_empty_and_told(tmp_path, read_found):
    tags = dict(PatientSex="male", StudyTime="noon", StudyDate="1999.04.30", PatientBirthDate="19500102")
    found = read_found(write_series(tmp_path / "ct", **tags), BOXES)
    write_results(tmp_path, found, ["dicom-sr", "dicom-seg"])
    for one in (pydicom.dcmread(tmp_path / f"lesions-{kind}.dcm") for kind in ("sr", "seg")):
        assert not one.PatientSex and not one.StudyTime
        assert (one.StudyDate, one.PatientBirthDate) == ("19990430", "19500102")
    assert found.series.emptied == {"PatientSex", "StudyTime"}


def test_a_spacing_of_many_digits_fits_a_decimal_string(tmp_path, read_found):
    """Every 2.000000119 mm: 16 characters are the most that DS has."""
    found = read_found(write_series(tmp_path / "ct", zs=[np.float32(2.1) * k / 1.05 for k in range(7)]), BOXES)
    write_results(tmp_path, found, ["dicom-sr", "dicom-seg"])
    measures = hd.seg.segread(tmp_path / "lesions-seg.dcm").SharedFunctionalGroupsSequence[0].PixelMeasuresSequence[0]
    assert all(len(str(measures[key].value)) <= 16 for key in ("SpacingBetweenSlices", "SliceThickness"))


def test_outlines_end_where_their_image_does(tmp_path, read_found):
    """Boxes reach over it where slices were shifted or padded: SCOORD has no points there."""
    found = read_found(write_series(tmp_path / "ct"), [(1, [-3.0, 5.0, 7.0, 40.0], HCC, 0.9)])
    write_results(tmp_path, found, ["dicom-sr"])
    (group,) = hd.sr.srread(tmp_path / "lesions-sr.dcm").content.get_planar_roi_measurement_groups()
    assert group.roi.value[:3].tolist() == [[0, 5], [7, 5], [7, 32]]


def test_names_of_patients_are_not_printed(tmp_path, read_found, capfd, recwarn):
    found = read_found(write_series(tmp_path / "ct", PatientName="Secret"), BOXES)
    write_results(tmp_path, found, ["dicom-sr", "dicom-seg"])
    printed = capfd.readouterr()
    assert "Secret" not in printed.out + printed.err + json.dumps([str(one.message) for one in recwarn])


@pytest.mark.parametrize(
    "name, code",
    [
        ("HCC", codes.CARCINOMA),
        ("Hepatic_cyst", codes.CYST),
        ("haemangioma", codes.HEMANGIOMA),
        ("focal nodular-hyperplasia", codes.HYPERPLASIA),
        ("lesion", codes.LESION),
        ("whatever", codes.LESION),
    ],
)
def test_classes_have_codes(name, code):
    assert codes.finding(name) == code
