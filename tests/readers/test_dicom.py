"""One test for each rule by which DICOM files become a volume."""

from __future__ import annotations

import os
import shutil

import numpy as np
import pytest

from gluon_liver import errors
from gluon_liver.archive.scan import scan_folder
from tests.readers.loaded import load_series

from .ct_writer import ct_dataset, cut, enhanced_dataset, uid, write, write_series


def load(folder, **options):
    (series,) = scan_folder(folder).series
    return load_series(series, **options)


def kinds(scan):
    return sorted(rejection.kind for rejection in scan.rejected)


def test_slices_are_sorted_by_position_and_not_by_instance_number_or_name(tmp_path):
    write_series(tmp_path, zs=(4.0, 0.0, 2.0))
    volume = load(tmp_path)
    assert volume.hu[:, 0, 0].tolist() == [1, 2, 0]
    assert volume.sop_instance_uids == (uid(1, 1, 2), uid(1, 1, 3), uid(1, 1, 1))
    assert volume.geometry.origin == (-10.0, -20.0, 0.0)


def test_spacing_comes_from_positions_and_pixel_spacing_is_row_then_column(tmp_path):
    write_series(tmp_path, zs=(0, 2.5, 5), PixelSpacing=[0.5, 0.8], SliceThickness=7)
    volume = load(tmp_path)
    assert volume.mapping.source_spacing == (0.5, 0.8) and volume.mapping.source_size == (16, 16)
    # Pixels become squares of the finer spacing; the outer corner of the first pixel stays where it was.
    assert volume.geometry.spacing == pytest.approx((2.5, 0.5, 0.5)) and volume.geometry.size == (3, 16, 26)
    assert volume.geometry.index_to_world([1, 2, 3]) == pytest.approx([-10 - 0.4 + 3.5 * 0.5, -20 + 2 * 0.5, 2.5])


def test_z_rises_to_the_head_when_the_slice_normal_points_to_the_feet(tmp_path):
    write_series(tmp_path, zs=(0, 2, 4), ImageOrientationPatient=[-1, 0, 0, 0, 1, 0])
    volume = load(tmp_path)
    assert volume.hu[:, 0, 0].tolist() == [0, 1, 2]
    # Columns run to the patient's left by now: the last of 16 source columns is the first.
    assert volume.geometry.index_to_world([1, 0, 13]) == pytest.approx([-11, -20, 2])


def test_tilted_normal_orders_along_the_normal(tmp_path):
    # The normal is (0, -sin, cos); these positions lie on it, so this oblique stack is no gantry tilt.
    cos, sin = np.cos(0.3), np.sin(0.3)
    for i in range(3):
        ds = ct_dataset(instance=i)
        ds.ImageOrientationPatient = [1, 0, 0, 0, round(cos, 9), round(sin, 9)]
        ds.ImagePositionPatient = [0, round(-sin * 2 * i, 6), round(cos * 2 * i, 6)]
        write(ds, tmp_path / f"{i}.dcm")
    assert load(tmp_path).geometry.spacing[0] == pytest.approx(2, abs=1e-4)


def test_gap_is_refused_with_its_place_and_regrid_interpolates_it(tmp_path):
    write_series(tmp_path, zs=(0, 2, 6, 8))
    with pytest.raises(errors.SliceGapError, match=r"file 0002 and file 0003 \(4.000 mm instead of 2.000 mm\)"):
        load(tmp_path)
    volume = load(tmp_path, regrid=True)
    # Slices hold 0, 1, 2, 3: halfway between 1 and 2 rounds to even.
    assert volume.hu[:, 0, 0].tolist() == [0, 1, 2, 2, 3]
    assert volume.geometry.spacing[0] == pytest.approx(2)
    assert volume.mapping.slices == (0, 1, 3, 4)
    assert [bool(name) for name in volume.sop_instance_uids] == [True, True, False, True, True]


def test_spacing_may_vary_by_one_percent_and_no_more(tmp_path):
    write_series(tmp_path / "good", zs=(0, 2.0, 4.015, 6.0))
    assert load(tmp_path / "good").geometry.spacing[0] == pytest.approx(2)
    write_series(tmp_path / "bad", zs=(0, 2.0, 4.1, 6.1))
    with pytest.raises(errors.SliceSpacingError, match=r"file 0002 and file 0003 \(2.100 mm instead of 2.000 mm\)"):
        load(tmp_path / "bad")


def test_regrid_is_linear_between_positions(tmp_path):
    for i, z in enumerate((0, 2.0, 4.4, 6.0)):
        write(ct_dataset(instance=i, z=z, pixels=np.full((4, 4), int(z * 100), np.int16)), tmp_path / f"near/{i}.dcm")
    volume = load(tmp_path / "near", regrid=True)
    assert volume.geometry.spacing[0] == pytest.approx(2.0)
    assert volume.hu[:, 0, 0].tolist() == [0, 200, 400, 600]
    assert volume.mapping.slices == (0, 1, 2, 3)
    write_series(tmp_path / "far", zs=(0, 2, 4.8, 6))  # a slice far from its place is not named
    volume = load(tmp_path / "far", regrid=True)
    assert volume.mapping.slices == (0, 1, -1, 3) and volume.sop_instance_uids[2] == ""


def test_different_slices_at_one_position_are_refused_even_with_regrid(tmp_path):
    write_series(tmp_path, zs=(0, 2, 2, 4))
    for regrid in (False, True):
        with pytest.raises(errors.DuplicateSliceError, match="file 0002 and file 0003"):
            load(tmp_path, regrid=regrid)


def test_copies_of_one_image_count_once(tmp_path):
    paths = write_series(tmp_path, zs=(0, 2, 4))
    shutil.copy(paths[1], tmp_path / "s1" / "copy.dcm")
    scan = scan_folder(tmp_path)
    assert kinds(scan) == ["duplicate"] and len(scan.series[0].slices) == 3
    cut(paths[1], 10)  # the intact copy replaces it
    assert load(tmp_path).hu[:, 0, 0].tolist() == [0, 1, 2]


def test_two_positions_under_one_sop_instance_uid_are_both_unusable(tmp_path):
    write_series(tmp_path, zs=(0, 2, 4))
    write(ct_dataset(instance=1, z=6), tmp_path / "s1" / "other.dcm")
    with pytest.raises(errors.DicomError, match="share a SOPInstanceUID but differ"):
        load(tmp_path)


@pytest.mark.parametrize(
    "tags, kind",
    [
        ({"ImageType": ["ORIGINAL", "PRIMARY", "LOCALIZER"]}, "localizer"),
        ({"ImageType": ["ORIGINAL", "SECONDARY", "OTHER", "DOSE_INFO"]}, "dose-report"),
        ({"SOPClassUID": "1.2.840.10008.5.1.4.1.1.7"}, "secondary-capture"),
        ({"SOPClassUID": "1.2.840.10008.5.1.4.1.1.88.67", "Modality": "SR"}, "dose-report"),
        ({"SOPClassUID": "1.2.840.10008.5.1.4.1.1.481.2", "Modality": "RTDOSE"}, "dose"),
        ({"SOPClassUID": "1.2.840.10008.5.1.4.1.1.4", "Modality": "MR"}, "not-ct"),
        ({"ImageOrientationPatient": [1, 0, 0, 0, 0, -1]}, "non-axial"),
        ({"ImageOrientationPatient": [0, 1, 0, 0, 0, -1]}, "non-axial"),
        ({"RescaleType": "Z_EFF"}, "not-hu"),
        ({"RescaleType": "MGML"}, "not-hu"),
    ],
)
def test_other_images_are_dropped_and_said_to_be(tmp_path, tags, kind):
    write_series(tmp_path, zs=(0, 2, 4))
    write_series(tmp_path, series=2, zs=(0, 2), **tags)
    scan = scan_folder(tmp_path)
    assert [len(series.slices) for series in scan.series] == [3]
    assert [(one.kind, one.images, one.where) for one in scan.rejected] == [(kind, 2, "2 files, 0004 to 0005")]


@pytest.mark.parametrize(
    "tags, kind",
    [
        ({"ImageType": ["DERIVED", "SECONDARY", "AXIAL"]}, "derived"),
        ({"ImageType": ["DERIVED", "SECONDARY", "AXIAL", "CT_SOM5 MIP"]}, "projection"),
        ({"ImageType": ["DERIVED", "SECONDARY", "MIN_IP"]}, "projection"),
        ({"ImageType": ["DERIVED", "PRIMARY", "CURVED_MPR"]}, "projection"),
        ({"SeriesDescription": "ART MIP 10 mm"}, "projection"),
        ({"SeriesDescription": "LIVER MIPLE"}, ""),
        ({"RescaleType": "HU_MOD"}, "derived"),
        ({"RescaleType": "HU"}, ""),
    ],
)
def test_derived_images_are_series_of_a_kind(tmp_path, tags, kind):
    write_series(tmp_path, zs=(0, 2, 4), **tags)
    (series,) = scan_folder(tmp_path).series
    assert series.kind == kind and bool(series.kind_reason) == bool(kind)
    assert load_series(series).hu.shape == (3, 16, 16)


def test_derived_images_beside_plain_ones_are_a_part_of_their_own(tmp_path):
    write_series(tmp_path, zs=(0, 2, 4, 6))
    copies = write_series(tmp_path, zs=(0, 2, 4, 6, 8), start=10, ImageType=["DERIVED", "PRIMARY", "AXIAL"])
    parts = scan_folder(tmp_path).series
    assert [(one.address, one.kind, len(one.slices)) for one in parts] == [
        (f"{uid(1, 1)} part 1", "", 4),
        (f"{uid(1, 1)} part 2", "derived", 5),
    ]
    cut(copies[0], 10)  # a damaged copy harms the copies alone
    plain, derived = scan_folder(tmp_path).series
    assert not plain.defects and len(derived.defects) == 1


def test_gantry_tilt_is_detected_and_undone_on_request(tmp_path):
    """Table along z, gantry tilted by 0.2 rad about x: in-plane drift of 2 mm * sin(0.2) a slice."""
    # A rod along the slice normal: in a tilted stack its row moves against the drift.
    rod = np.zeros((40, 16), np.int16)
    rod[20:24] = 1000
    tilt = [1, 0, 0, 0, round(np.cos(0.2), 9), round(-np.sin(0.2), 9)]
    zs = 2.0 * np.arange(5)
    write_series(tmp_path, zs=zs, pixels=rod, PixelSpacing=[0.25, 0.25], ImageOrientationPatient=tilt)
    drift = 2.0 * np.sin(0.2) / 0.25
    with pytest.raises(errors.GantryTiltError, match=r"tilted by 11.5 degrees"):
        load(tmp_path)
    volume = load(tmp_path, regrid=True)
    assert volume.geometry.spacing[0] == pytest.approx(2 * np.cos(0.2))
    direction = np.array(volume.geometry.direction)
    assert direction.T @ direction == pytest.approx(np.eye(3), abs=1e-6)
    shift = np.array(volume.mapping.shifts)[:, 1]
    assert np.abs(shift - (np.arange(5) - 2) * -drift).max() < 1e-4
    for z in range(5):
        rows = np.flatnonzero(volume.hu[z, :, 0] > 500)
        assert abs(rows.mean() - (21.5 + shift[z])) < 0.6
    # The same pixel of the tilted file and its place on the grid are one point of the world.
    world = np.array([-10, -20, 0]) + 21.5 * 0.25 * direction[:, 1]
    assert volume.geometry.world_to_index(world) == pytest.approx([0, 21.5 + shift[0], 0], abs=1e-4)


def test_slices_shifted_against_each_other_are_refused(tmp_path):
    write_series(tmp_path, zs=(0, 2, 4))
    write(ct_dataset(instance=3, z=6, ImagePositionPatient=[-5, -20, 6]), tmp_path / "s1" / "z.dcm")
    with pytest.raises(errors.GantryTiltError, match="not along one line"):
        load(tmp_path)


def test_files_that_are_not_dicom_are_rejections(tmp_path):
    write_series(tmp_path, zs=(0, 2, 4))
    (tmp_path / "notes.txt").write_text("nothing here " * 20)
    (tmp_path / "empty").write_bytes(b"")
    (tmp_path / "noise").write_bytes(b"\x08\x00\x05\x00" + os.urandom(500))
    (tmp_path / "picture.png").write_bytes(b"\x89PNG\r\n\x1a\n" + bytes(300))
    os.symlink(tmp_path / "absent", tmp_path / "dangling")
    os.mkfifo(tmp_path / "pipe")
    scan = scan_folder(tmp_path)
    assert kinds(scan) == ["not-dicom"] * 6 and len(scan.series[0].slices) == 3


def test_a_file_without_preamble_is_read_when_it_looks_right(tmp_path):
    paths = write_series(tmp_path, zs=(0, 2, 4))
    paths[2].write_bytes(paths[2].read_bytes()[132:])
    assert load(tmp_path).hu[:, 0, 0].tolist() == [0, 1, 2]


@pytest.mark.parametrize("share", [False, True])
def test_enhanced_ct_is_read_by_its_functional_groups(tmp_path, share):
    frames = np.stack([np.full((6, 8), i, np.int16) for i in (0, 10, 20)])
    ds = enhanced_dataset(frames, zs=(4, 0, 2), intercepts=(100, 200, 300), share_rescale=share)
    write(ds, tmp_path / "e.dcm")
    volume = load(tmp_path)
    # z order is frames 1, 2, 0.
    assert volume.hu[:, 0, 0].tolist() == ([120, 140, 100] if share else [210, 320, 100])
    assert volume.geometry.spacing == pytest.approx((2, 0.5, 0.5)) and volume.hu.shape == (3, 6, 12)
    assert volume.sop_instance_uids == tuple(f"{uid(1, 1, 1)}#{frame}" for frame in (2, 3, 1))


def test_enhanced_ct_that_lacks_a_group_or_pixels_is_refused(tmp_path):
    sample = dict(frames=np.zeros((3, 6, 8), np.int16), zs=(0, 2, 4), intercepts=(0, 0, 0))
    ds = enhanced_dataset(**sample)
    cut(write(ds, tmp_path / "e.dcm"), 20)
    with pytest.raises(errors.TruncatedFileError):
        load(tmp_path)
    del ds.SharedFunctionalGroupsSequence[0].PixelMeasuresSequence
    write(ds, tmp_path / "e.dcm")
    with pytest.raises(errors.MissingTagError, match="frame 1 has no PixelMeasuresSequence"):
        load(tmp_path)
    write(enhanced_dataset(**sample, NumberOfFrames=5000), tmp_path / "e.dcm")
    with pytest.raises(errors.OversizeError, match="5000 frames"):
        load(tmp_path)


def test_a_mixed_series_loses_strays_and_is_split_into_parts(tmp_path):
    write_series(tmp_path, zs=(0, 2, 4, 6))
    small = np.zeros((8, 8), np.int16)
    write_series(tmp_path, zs=[99], start=20, pixels=small)
    scan = scan_folder(tmp_path)
    assert kinds(scan) == ["mixed-series"]
    assert [(one.name, len(one.slices)) for one in scan.series] == [("series 01", 4)]
    write_series(tmp_path, zs=(0, 3, 6), start=30, pixels=small)
    scan = scan_folder(tmp_path)
    assert [(one.name, len(one.slices)) for one in scan.series] == [("series 01 part 1", 4), ("series 01 part 2", 4)]


def test_bad_folders(tmp_path):
    (tmp_path / "file").write_text("x")
    (tmp_path / "empty").mkdir()
    for name, message in (("absent", "no such folder"), ("empty", "is empty"), ("file", "is a file")):
        with pytest.raises(errors.InputError, match=message):
            scan_folder(str(tmp_path / name))


def test_nothing_that_scan_reports_names_the_patient(tmp_path):
    write_series(tmp_path / "Secret_Name", patient="Secret-42", zs=(0, 2, 2, 9), description="Secret liver")
    write(ct_dataset(instance=8, patient="Secret-42", RescaleSlope=None), tmp_path / "Secret" / "a.dcm")
    scan = scan_folder(tmp_path)
    text = " ".join(f"{one.where} {one.reason}" for one in scan.rejected)
    with pytest.raises(errors.DicomError) as caught:
        load_series(scan.series[0])
    assert "Secret" not in text + str(caught.value) and uid() not in text + str(caught.value)
