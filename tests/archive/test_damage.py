"""What one bad file among good ones costs: a line that says what is true, and a choice."""

from __future__ import annotations

import gzip
import os
import zipfile

import numpy as np
import pytest

from gluon_liver import errors
from gluon_liver.archive.scan import scan_folder
from gluon_liver.readers.dicom import header
from tests.readers.ct_writer import ct_dataset, cut, uid, write, write_series
from tests.readers.loaded import load_series


def load(scan):
    (series,) = scan.series
    return load_series(series)


def reasons(scan):
    return {one.where: one.reason for one in scan.rejected}


def test_what_is_no_dicom_file_is_told_by_its_kind(tmp_path):
    (path, *_) = write_series(tmp_path / "in", zs=(0, 2, 4))
    beside = tmp_path / "in" / "s1"
    with gzip.open(beside / "a.dcm.gz", "wb") as stream:
        stream.write(path.read_bytes())
    with zipfile.ZipFile(beside / "b.zip", "w") as archive:
        archive.write(path, "0.dcm")
    (beside / "._000.dcm").write_bytes(b"\x00\x05\x16\x07\x00\x02\x00\x00Mac OS X" + bytes(4000))
    (beside / ".DS_Store").write_bytes(b"\x00\x00\x00\x01Bud1" + bytes(6000))
    (beside / "empty.dcm").write_bytes(b"")
    (beside / "volume.nii").write_bytes(bytes(344) + b"n+1\x00" + bytes(600))
    os.symlink(tmp_path / "absent", beside / "dangling")
    scan = scan_folder(tmp_path / "in")
    assert len(load(scan).hu) == 3
    text = "\n".join(reasons(scan).values())
    for words in ("gzip", "a zip archive", "AppleDouble", ".DS_Store", "an empty file", "NIfTI", "leads nowhere"):
        assert words in text
    assert sorted(one.kind for one in scan.rejected) == ["archive"] * 2 + ["not-dicom"] * 4 + ["volume-file"]
    assert scan.dicom_files == 3


def test_a_file_that_the_file_system_does_not_give_is_told_with_the_cause(tmp_path, monkeypatch):
    paths = write_series(tmp_path, zs=(0, 2, 4, 6))
    whole = header._read_open_file
    failures = {0: OSError("the drive is gone"), 1: PermissionError(13, "Permission denied"), 2: FileNotFoundError(2)}

    def fail(stream, path, number, *rest):
        if path == paths[number - 1] and number - 1 in failures:
            raise failures[number - 1]
        return whole(stream, path, number, *rest)

    monkeypatch.setattr(header, "_read_open_file", fail)
    assert [(one.reason, one.kind) for one in scan_folder(tmp_path).rejected] == [
        ("file 0001 of 0004 cannot be read: the drive is gone", "UnreadableFileError"),
        ("file 0002 of 0004 cannot be read: Permission denied", "UnreadableFileError"),
        ("it vanished during the import", "not-dicom"),
    ]


def test_a_file_that_vanishes_before_its_pixels_are_read_is_said_to(tmp_path):
    paths = write_series(tmp_path, zs=(0, 2, 4))
    scan = scan_folder(tmp_path)
    paths[1].unlink()
    with pytest.raises(errors.UnreadableFileError, match="No such file"):
        load(scan)


def test_an_object_without_sop_class_is_said_to_have_none(tmp_path):
    write_series(tmp_path, zs=(0, 2, 4))
    path = write(ct_dataset(instance=3, z=6, SOPClassUID=None), tmp_path / "z.dcm")
    assert len(load(scan_folder(tmp_path)).hu) == 4  # the file header names the class
    blank = path.read_bytes().replace(b"1.2.840.10008.5.1.4.1.1.2\0", bytes(26))
    path.write_bytes(blank)
    with pytest.raises(errors.MissingTagError, match="no SOPClassUID.* the last slice of .* with --skip-damaged"):
        load(scan_folder(tmp_path))
    assert len(load(scan_folder(tmp_path, skip_damaged=True)).hu) == 3
    path.write_bytes(blank[:160])
    (reason,) = reasons(scan_folder(tmp_path)).values()
    assert "cut short" in reason


def test_a_few_bytes_behind_the_pixels_are_padding_and_what_may_be_pixels_is_not(tmp_path):
    noise = np.arange(256, dtype=np.int16).reshape(16, 16)
    for surplus, taken in ((b"\1", 1), (b"ab", 1), (bytes(100), 1), (bytes(32), 0), (b"x" * 100, 0), (bytes(64), 0)):
        folder = tmp_path / f"{len(surplus)}-{taken}-{surplus[:1]!r}"
        for i in range(3):
            ds = ct_dataset(instance=i, z=2.0 * i, pixels=noise)
            ds.PixelData += surplus + bytes(len(surplus) % 2)
            write(ds, folder / f"{i}.dcm")
        scan = scan_folder(folder)
        if taken:
            assert (load(scan).hu == noise).all()
            assert scan.notes == ["3 file(s) hold more bytes than their pixels take: padding, not read"]
        else:
            with pytest.raises(errors.PixelDataError, match="the header announces 512"):
                load(scan)


@pytest.mark.parametrize("keywords", [["ImagePositionPatient"], ["ImagePositionPatient", "ImageOrientationPatient"]])
def test_a_page_without_a_place_is_left_out_and_named(tmp_path, keywords):
    write_series(tmp_path, zs=(0, 2, 4))
    write(ct_dataset(instance=3, **dict.fromkeys(keywords)), tmp_path / "s1" / "page.dcm")
    scan = scan_folder(tmp_path)
    assert len(load(scan).hu) == 3
    assert [(one.where, one.kind) for one in scan.rejected] == [("file 0004", "no-place")]
    assert uid(1, 1, 4) in scan.unused
    for i in range(4, 6):  # as many pages as slices: the series lost something else
        write(ct_dataset(instance=i, **dict.fromkeys(keywords)), tmp_path / "s1" / f"page{i}.dcm")
    with pytest.raises(errors.MissingTagError, match="no ImagePositionPatient"):
        load(scan_folder(tmp_path))


@pytest.mark.parametrize("index, where", [(0, "the first slice"), (3, "the last slice"), (1, "inside")])
def test_a_damaged_slice_is_told_with_its_place_and_can_be_left_out(tmp_path, index, where):
    cut(write_series(tmp_path, zs=(6, 4, 2, 0))[3 - index], 100)
    with pytest.raises(errors.TruncatedFileError, match=f"cut short.* it (is|lies) {where}.* --skip-damaged"):
        load(scan_folder(tmp_path))
    scan = scan_folder(tmp_path, skip_damaged=True)
    (reason,) = reasons(scan).values()
    assert where in reason and "left out of series 01" in reason
    if where == "inside":
        with pytest.raises(errors.SliceGapError):
            load(scan)
        assert len(load_series(scan.series[0], regrid=True).hu) == 4
    else:
        assert len(load(scan).hu) == 3


def test_an_excluded_file_costs_nothing(tmp_path):
    paths = write_series(tmp_path, zs=(0, 2, 4))
    cut(paths[2], 100)
    scan = scan_folder(tmp_path, exclude=[paths[2].name])
    assert len(load(scan).hu) == 2 and not scan.rejected
    assert scan.notes == ["--exclude pattern 1 left out 1 file(s)"] and len(scan.paths) == 3
