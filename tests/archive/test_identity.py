"""Files, series and studies that claim one identity: copies count once, conflicts name both sides."""

from __future__ import annotations

import re
import shutil

import numpy as np
import pytest

from gluon_liver.archive.scan import scan_folder
from gluon_liver.errors import ConflictError
from gluon_liver.prepare.ct import import_ct
from gluon_liver.prepare.report import summary_of
from tests.readers.ct_writer import ct_dataset, uid, write, write_series
from tests.readers.loaded import load_series

NOISE = np.random.default_rng(0).integers(-100, 200, (16, 16)).astype(np.int16)


def pair(folder, first, second):
    """Two series of three slices in folders a and b; `second` changes what the first one has."""
    for name, tags in ("a", first), ("b", {**first, **second}):
        for i in range(3):
            ds = ct_dataset(**{"instance": i, "z": 2.0 * i, "pixels": NOISE + np.int16(i), **tags})
            write(ds, folder / name / f"{i}.dcm")


def test_true_copies_count_once_whatever_their_encoding(tmp_path):
    pair(tmp_path, {}, {})
    for i in range(3):
        path = tmp_path / "b" / f"{i}.dcm"
        ds = ct_dataset(instance=i, z=2.0 * i, pixels=NOISE + np.int16(i))
        write(ds, path, syntax="1.2.840.10008.1.2" if i else "1.2.840.10008.1.2.1.99")
    scan = scan_folder(tmp_path)
    assert [one.kind for one in scan.rejected] == ["duplicate"] * 3 and len(load_series(scan.series[0]).hu) == 3
    assert not scan.notes
    (line,) = summary_of("left out", map(vars, scan.rejected))  # one line, however many copies there are
    assert "file 0004 beside file 0001 and 2 more (3 image(s), duplicate)" in line


@pytest.mark.parametrize(
    "second, differ",
    [
        ({"pixels": NOISE + np.int16(60)}, "pixels"),
        ({"patient": "P2"}, "PatientID"),
        ({"patient": "P2", "pixels": NOISE + np.int16(60)}, "PatientID, pixels"),
        ({"RescaleIntercept": 5}, "geometry or rescale"),
        ({"StudyInstanceUID": uid(8)}, "StudyInstanceUID"),
        ({"SeriesInstanceUID": uid(8, 1)}, "SeriesInstanceUID"),
        ({"description": "DELAYED"}, "SeriesDescription"),
    ],
)
def test_one_uid_with_other_content_is_a_conflict_that_names_both(tmp_path, second, differ):
    pair(tmp_path, {}, second)
    scan = scan_folder(tmp_path)
    assert not scan.rejected and scan.series
    for series in scan.series:
        with pytest.raises(
            ConflictError, match=f"file 000. and file 000. share a SOPInstanceUID but differ in {differ}:"
        ):
            load_series(series)
    assert re.match(rf"3 SOPInstanceUID\(s\) .* file 0001 and file 0004 differ in {differ}$", scan.notes[0])
    assert len(load_series(scan_folder(tmp_path, exclude=["b"]).series[0]).hu) == 3  # the advice works
    # skipping damage is no way to choose between two patients
    with pytest.raises(ConflictError):
        load_series(scan_folder(tmp_path, skip_damaged=True).series[0])


def test_a_mask_with_the_uids_of_its_ct_and_a_derived_copy_leave_the_ct_alone(tmp_path):
    mask = np.zeros((16, 16), np.uint8)
    mask[4:8, 4:8] = 255
    bits = dict(BitsAllocated=8, BitsStored=8, HighBit=7)
    pair(tmp_path, {}, {"pixels": mask, "patient": "mask", **bits})
    for i in range(3):
        derived = ct_dataset(instance=i, z=2.0 * i, pixels=-NOISE, ImageType=["DERIVED", "PRIMARY", "AXIAL"])
        write(derived, tmp_path / "c" / f"{i}.dcm")
    scan = scan_folder(tmp_path)
    assert len(load_series(scan.series[0]).hu) == 3 and scan.series[0].patient_id == "P1"
    assert sorted(one.kind for one in scan.rejected) == ["derived"] * 3 + ["labels"] * 3


@pytest.mark.parametrize(
    "other, what",
    [({"StudyInstanceUID": uid(2)}, "studies"), ({"patient": "P2"}, "PatientIDs"), ({"patient": ""}, "P")],
)
def test_one_series_uid_in_two_studies_or_under_two_patients_is_a_conflict(tmp_path, other, what):
    write_series(tmp_path / "a", zs=(0, 2, 4))
    write_series(tmp_path / "b", zs=(0, 2, 4), start=10, **other)
    scan = scan_folder(tmp_path)
    assert len(scan.series) == 2
    for series in scan.series:
        with pytest.raises(ConflictError, match=f"series 01 and series 02 share a Series.* different {what}"):
            load_series(series)


@pytest.mark.parametrize("same_series", [False, True])
def test_one_study_under_two_patients_is_refused_and_named(tmp_path, same_series):
    write_series(tmp_path / "in" / "a", zs=(0, 2, 4))
    other = dict(start=10, patient="P2", SeriesInstanceUID=uid(1, 1 if same_series else 2))
    write_series(tmp_path / "in" / "b", zs=(0, 2, 4), **other)
    write_series(tmp_path / "in" / "c", study=2, zs=(0, 2, 4), patient="P3")
    report = import_ct(tmp_path / "in", tmp_path / "out")
    assert len(report["taken"]) == 1
    assert any("PatientIDs" in one["reason"] for one in report["quarantined"])


def test_two_birth_dates_or_sexes_of_one_patient_are_named(tmp_path):
    for number, (born, sex) in enumerate([("19500101", "M"), ("19510101", "M"), ("", "F")], 1):
        write_series(tmp_path, study=number, series=number, zs=(0, 2), PatientBirthDate=born, PatientSex=sex)
    notes = scan_folder(tmp_path).notes
    assert [note.partition(":")[0] for note in notes] == [
        "file 0001 and file 0003 have one PatientID and another birth date",
        "file 0001 and file 0005 have one PatientID and another sex",
    ]
    assert "1950" not in "".join(notes)


def test_two_spellings_of_a_patient_are_named(tmp_path):
    for number, patient in enumerate(("P 1", "p1", "P2", "0010", "10", "100"), 1):
        write_series(tmp_path, study=number, series=number, zs=(0, 2), patient=patient)
    notes = [note.partition(" have PatientIDs that differ in case")[0] for note in scan_folder(tmp_path).notes]
    assert notes == ["file 0001 and file 0003", "file 0007 and file 0009"]


def test_a_damaged_copy_is_no_conflict(tmp_path):
    pair(tmp_path, {}, {})
    path = tmp_path / "b" / "1.dcm"
    path.write_bytes(path.read_bytes()[:-100])
    shutil.rmtree(tmp_path / "c", ignore_errors=True)
    scan = scan_folder(tmp_path)
    assert len(load_series(scan.series[0]).hu) == 3
    assert [one.where for one in scan.rejected if "a damaged copy" in one.reason] == ["file 0005 beside file 0002"]
