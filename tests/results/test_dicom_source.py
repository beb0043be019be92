"""Which series a report or segmentation names, and what is refused before anything is detected."""

import sys
from dataclasses import replace

import numpy as np
import pydicom
import pytest

from gluon_liver.errors import InputError
from gluon_liver.prepare.ct import import_ct
from gluon_liver.results.formats import FORMATS, check_dicom, check_formats
from gluon_liver.results.rehearsal import check_writable
from gluon_liver.results.source_series import find_series
from tests.readers.ct_writer import enhanced_dataset, uid, write

from .series import BOXES, HCC, write_series


def test_prepared_data_find_their_series_by_its_pixels(tmp_path, made, read_found):
    """Two phases on one grid: only the pixels tell which was the reference."""
    folder = tmp_path / "ct"
    write_series(folder, series=1, description="ARTERIAL")
    write_series(folder, series=2, description="DELAYED", pixels=np.full((32, 24), 7, np.int16))
    import_ct(folder, tmp_path / "data")
    study = found_study(tmp_path / "data")
    assert [one.sop_instance_uid for one in find_series(folder, study).slices] == [uid(1, 1, k) for k in range(1, 8)]
    for path in folder.glob("1-*.dcm"):
        path.unlink()
    with pytest.raises(InputError, match="none of the 1 CT series .* is the one that arterial of the study was import"):
        find_series(folder, study)


def test_a_study_that_was_regridded_finds_its_series_too(tmp_path):
    folder = write_series(tmp_path / "ct", zs=(0.0, 2.0, 4.0, 8.0, 10.0, 12.0))
    import_ct(folder, tmp_path / "data", regrid=True)
    series = find_series(folder, found_study(tmp_path / "data"))
    assert series.place(3, np.array([1.0, 2.0, 5.0, 6.0])).nearest and not series.place(4, np.zeros(4)).nearest


def found_study(data):
    from gluon_liver.data.ct_dataset import CTDataset

    dataset = CTDataset.open(data)
    return dataset.study(dataset.cases[0].case)


def test_what_is_missing_is_told_before_anything_is_read(tmp_path, monkeypatch):
    with pytest.raises(InputError, match="keep no identifier of one: give the DICOM files .* with --dicom FOLDER"):
        check_dicom(["coco", "dicom-sr"], None, prepared=True)
    for formats, prepared in ((["csv"], True), (["dicom-seg"], False)):
        with pytest.raises(InputError, match="--dicom is for a study of prepared data"):
            check_dicom(formats, tmp_path, prepared=prepared)
    check_dicom(["dicom-seg"], None, prepared=False)
    check_dicom(["dicom-seg"], tmp_path, prepared=True)
    check_formats(FORMATS)
    monkeypatch.setitem(sys.modules, "highdicom", None)
    with pytest.raises(InputError, match=r"pip install 'gluon_liver\[dicom\]'"):
        check_formats(["dicom-sr"])
    check_formats(["csv"])


def rehearse(found, formats=("coco", "dicom-sr", "dicom-seg")):
    check_writable(formats, found.study, found.series, classes=found.classes, shape=found.shape)


def test_what_the_images_forbid_is_told_before_anything_is_detected(tmp_path, read_found, made, monkeypatch):
    """Two files of three frames; and headers that highdicom refuses, of which no value is repeated."""
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    rehearse(made[1])
    frames = np.arange(6 * 16 * 16, dtype=np.int16).reshape(6, 16, 16)
    for part in range(2):
        zs = [2.0 * k + 6 * part for k in range(3)]
        dataset = enhanced_dataset(frames[3 * part :][:3], zs=zs, intercepts=[0] * 3, instance=part)
        write(dataset, tmp_path / "ct" / f"{part}.dcm")
    found = read_found(tmp_path / "ct", [(1, [3.0, 4.0, 8.0, 9.0], HCC, 0.9)])
    rehearse(found, ["dicom-sr"])
    with pytest.raises(InputError, match="dicom-seg: the series lies in several multi-frame files"):
        rehearse(found)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["ct"]


@pytest.mark.filterwarnings("ignore:Invalid value for VR")
def test_a_header_that_cannot_be_copied_is_told_without_its_value(tmp_path, read_found):
    """Of one image alone, in the middle of the series."""
    folder = write_series(tmp_path)
    dataset = pydicom.dcmread(folder / "1-3.dcm")
    dataset.add_new("SliceThickness", "SH", "SECRET")
    dataset.save_as(folder / "1-3.dcm")
    found = read_found(folder, BOXES)
    with pytest.raises(InputError, match="dicom-sr cannot be written: .* refuses .ValueError.; leave dicom-sr") as told:
        rehearse(found, ["dicom-sr"])
    assert "SECRET" not in str(told.value)


def test_emptied_tags_are_told_of_the_images_that_the_objects_name(tmp_path, read_found):
    found = read_found(write_series(tmp_path / "ct", PatientSex="male"), BOXES)
    rehearse(found)
    assert found.series.emptied == set()


def test_a_study_of_mri_or_of_arrays_has_no_series(study, tmp_path):
    for one, what in (
        (study, "made of arrays"),
        (replace(study, source=replace(study.source, modality="MRI")), "a study of MRI"),
    ):
        with pytest.raises(InputError, match=what):
            find_series(tmp_path, one)


def test_a_series_without_a_frame_of_reference_is_refused(tmp_path, read_found):
    with pytest.raises(InputError, match="no FrameOfReferenceUID, .*: leave dicom-sr and dicom-seg out"):
        read_found(write_series(tmp_path, FrameOfReferenceUID=None), BOXES)
