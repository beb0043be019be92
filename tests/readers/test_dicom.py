"""One test for each rule by which DICOM files become a volume."""

from __future__ import annotations

import os
import shutil

import numpy as np
import pydicom
import pytest

from gluon_liver.errors import (
    DicomError,
    DuplicateSliceError,
    GantryTiltError,
    GeometryError,
    InputError,
    MissingTagError,
    OversizeError,
    PixelDataError,
    SliceGapError,
    SliceSpacingError,
    TruncatedFileError,
)
from gluon_liver.readers.dicom.volume import load_series, scan_folder

from .ct_writer import AXIAL, ct_dataset, cut, enhanced_dataset, uid, write, write_series


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
    geometry = load(tmp_path).geometry
    assert geometry.spacing == pytest.approx((2.5, 0.5, 0.8))
    assert geometry.index_to_world([1, 2, 3]) == pytest.approx([-10 + 3 * 0.8, -20 + 2 * 0.5, 2.5])


def test_z_rises_to_the_head_when_the_slice_normal_points_to_the_feet(tmp_path):
    flipped = [-1, 0, 0, 0, 1, 0]
    write_series(tmp_path, zs=(0, 2, 4), ImageOrientationPatient=flipped)
    volume = load(tmp_path)
    assert volume.hu[:, 0, 0].tolist() == [0, 1, 2]
    assert volume.geometry.index_to_world([1, 0, 2]) == pytest.approx([-11, -20, 2])


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
    with pytest.raises(SliceGapError, match=r"file 0002 and file 0003 \(4.000 mm instead of 2.000 mm\)"):
        load(tmp_path)
    volume = load(tmp_path, regrid=True)
    # Slices hold 0, 1, 2, 3: halfway between 1 and 2 rounds to even.
    assert volume.hu[:, 0, 0].tolist() == [0, 1, 2, 2, 3]
    assert volume.geometry.spacing[0] == pytest.approx(2)
    assert volume.source_slice.tolist() == [0, 1, 3, 4]
    assert [bool(name) for name in volume.sop_instance_uids] == [True, True, False, True, True]


def test_spacing_may_vary_by_one_percent_and_no_more(tmp_path):
    write_series(tmp_path / "good", zs=(0, 2.0, 4.015, 6.0))
    assert load(tmp_path / "good").geometry.spacing[0] == pytest.approx(2)
    write_series(tmp_path / "bad", zs=(0, 2.0, 4.1, 6.1))
    with pytest.raises(SliceSpacingError, match=r"file 0002 and file 0003 \(2.100 mm instead of 2.000 mm\)"):
        load(tmp_path / "bad")


def test_regrid_is_linear_between_positions(tmp_path):
    zs = (0, 2.0, 4.4, 6.0)
    for i, z in enumerate(zs):
        write(ct_dataset(instance=i, z=z, pixels=np.full((4, 4), int(z * 100), np.int16)), tmp_path / f"{i}.dcm")
    volume = load(tmp_path, regrid=True)
    step = volume.geometry.spacing[0]
    assert step == pytest.approx(2.0)
    assert volume.hu[:, 0, 0].tolist() == [0, 200, 400, 600]
    assert volume.source_slice.tolist() == [0, 1, 2, 3]


def test_regrid_names_no_slice_that_lies_far_from_its_place(tmp_path):
    write_series(tmp_path, zs=(0, 2, 4.8, 6))
    volume = load(tmp_path, regrid=True)
    assert volume.source_slice.tolist() == [0, 1, -1, 3] and volume.sop_instance_uids[2] == ""


def test_different_slices_at_one_position_are_refused_even_with_regrid(tmp_path):
    write_series(tmp_path, zs=(0, 2, 2, 4))
    for regrid in (False, True):
        with pytest.raises(DuplicateSliceError, match="file 0002 and file 0003"):
            load(tmp_path, regrid=regrid)


def test_copies_of_one_image_count_once(tmp_path):
    paths = write_series(tmp_path, zs=(0, 2, 4))
    shutil.copy(paths[1], tmp_path / "s1" / "copy.dcm")
    scan = scan_folder(tmp_path)
    assert kinds(scan) == ["duplicate"] and len(scan.series[0].slices) == 3


def test_an_intact_copy_replaces_a_truncated_one(tmp_path):
    paths = write_series(tmp_path, zs=(0, 2, 4))
    shutil.copy(paths[1], tmp_path / "s1" / "copy.dcm")
    cut(paths[1], 10)
    assert load(tmp_path).hu[:, 0, 0].tolist() == [0, 1, 2]


def test_two_positions_under_one_sop_instance_uid_are_both_unusable(tmp_path):
    write_series(tmp_path, zs=(0, 2, 4))
    write(ct_dataset(instance=1, z=6), tmp_path / "s1" / "other.dcm")
    with pytest.raises(DicomError, match="share a SOPInstanceUID but differ"):
        load(tmp_path)


@pytest.mark.parametrize(
    "tags, kind",
    [
        ({"ImageType": ["ORIGINAL", "PRIMARY", "LOCALIZER"]}, "localizer"),
        ({"ImageType": ["DERIVED", "SECONDARY", "AXIAL"]}, "derived"),
        ({"ImageType": ["ORIGINAL", "SECONDARY", "OTHER", "DOSE_INFO"]}, "dose-report"),
        ({"SOPClassUID": "1.2.840.10008.5.1.4.1.1.7"}, "secondary-capture"),
        ({"SOPClassUID": "1.2.840.10008.5.1.4.1.1.88.67", "Modality": "SR"}, "dose-report"),
        ({"SOPClassUID": "1.2.840.10008.5.1.4.1.1.481.2", "Modality": "RTDOSE"}, "dose"),
        ({"SOPClassUID": "1.2.840.10008.5.1.4.1.1.4", "Modality": "MR"}, "not-ct"),
        ({"ImageOrientationPatient": [1, 0, 0, 0, 0, -1]}, "non-axial"),
        ({"ImageOrientationPatient": [0, 1, 0, 0, 0, -1]}, "non-axial"),
    ],
)
def test_other_images_are_dropped_and_said_to_be(tmp_path, tags, kind):
    write_series(tmp_path, zs=(0, 2, 4))
    write_series(tmp_path, series=2, zs=(0, 2), **tags)
    scan = scan_folder(tmp_path)
    assert [len(series.slices) for series in scan.series] == [3]
    assert [(one.kind, one.images, one.where) for one in scan.rejected] == [(kind, 2, "2 files, 0004 to 0005")]


def test_original_secondary_axial_is_kept(tmp_path):
    write_series(tmp_path, ImageType=["ORIGINAL", "SECONDARY", "AXIAL"])
    assert load(tmp_path).hu.shape == (4, 16, 16)


def tilted_series(folder, *, pixels):
    """Table along z, gantry tilted by 0.2 rad about x: in-plane drift of 2 mm * sin(0.2) a slice."""
    cos, sin = float(np.cos(0.2)), float(np.sin(0.2))
    for i in range(5):
        ds = ct_dataset(instance=i, z=2.0 * i, pixels=pixels(i), PixelSpacing=[0.25, 0.25])
        ds.ImageOrientationPatient = [1, 0, 0, 0, round(cos, 9), round(-sin, 9)]
        write(ds, folder / f"{i}.dcm")
    return 2.0 * sin / 0.25


def test_gantry_tilt_is_detected_and_undone_on_request(tmp_path):
    def pixels(i):
        # A rod along the slice normal: in a tilted stack its row moves against the drift.
        image = np.zeros((40, 16), np.int16)
        image[20:24] = 1000
        return image

    drift = tilted_series(tmp_path, pixels=pixels)
    with pytest.raises(GantryTiltError, match=r"tilted by 11.5 degrees"):
        load(tmp_path)
    volume = load(tmp_path, regrid=True)
    assert volume.geometry.spacing[0] == pytest.approx(2 * np.cos(0.2))
    direction = np.array(volume.geometry.direction)
    assert direction.T @ direction == pytest.approx(np.eye(3), abs=1e-6)
    assert np.abs(volume.source_shift[:, 1] - (np.arange(5) - 2) * -drift).max() < 1e-4
    for z in range(5):
        rows = np.flatnonzero(volume.hu[z, :, 0] > 500)
        assert abs(rows.mean() - (21.5 + volume.source_shift[z, 1])) < 0.6
    # The same pixel of the tilted file and its place on the grid are one point of the world.
    world = np.array([-10, -20, 0]) + 21.5 * 0.25 * direction[:, 1]
    assert volume.geometry.world_to_index(world) == pytest.approx([0, 21.5 + volume.source_shift[0, 1], 0], abs=1e-4)


def test_slices_shifted_against_each_other_are_refused(tmp_path):
    write_series(tmp_path, zs=(0, 2, 4))
    write(ct_dataset(instance=3, z=6, ImagePositionPatient=[-5, -20, 6]), tmp_path / "s1" / "z.dcm")
    with pytest.raises(GantryTiltError, match="not along one line"):
        load(tmp_path)


def test_rescale_is_taken_from_each_slice(tmp_path):
    for i, (slope, intercept) in enumerate([(1, -1024), (2, -1000), (0.5, 7)]):
        pixels = np.full((16, 16), 100, np.int16)
        ds = ct_dataset(instance=i, z=2.0 * i, pixels=pixels, RescaleSlope=slope, RescaleIntercept=intercept)
        write(ds, tmp_path / f"{i}.dcm")
    assert load(tmp_path).hu[:, 3, 3].tolist() == [-924, -800, 57]


NEEDED = (
    "RescaleSlope RescaleIntercept PixelSpacing ImagePositionPatient ImageOrientationPatient Rows BitsStored "
    "PixelRepresentation"
)


@pytest.mark.parametrize("keyword", NEEDED.split())
def test_a_missing_tag_fails_its_series_by_file_number(tmp_path, keyword):
    write_series(tmp_path, zs=(0, 2, 4))
    write(ct_dataset(instance=3, z=6, **{keyword: None}), tmp_path / "s1" / "z.dcm")
    with pytest.raises(MissingTagError, match=f"file 0004 of 0004.* has no {keyword}"):
        load(tmp_path)


@pytest.mark.parametrize(
    "tags, error, text",
    [
        ({"ImageOrientationPatient": [1, 0, 0, 0.5, 1, 0]}, GeometryError, "perpendicular"),
        ({"PixelSpacing": [0.5, 0]}, GeometryError, "above 0"),
        ({"RescaleSlope": 0}, DicomError, "RescaleSlope is 0"),
        ({"SamplesPerPixel": 3}, PixelDataError, "colour"),
        ({"BitsStored": 17}, PixelDataError, "no CT pixel layout"),
        ({"Rows": 5000}, OversizeError, "5000x16"),
        ({"Rows": 17}, TruncatedFileError, "hold 512 bytes, the header announces 544"),
        ({"Rows": 15}, PixelDataError, "hold 512 bytes, the header announces 480"),
    ],
)
def test_a_wrong_value_fails_its_series(tmp_path, tags, error, text):
    write_series(tmp_path, zs=(0, 2, 4), **tags)
    with pytest.raises(error, match=text):
        load(tmp_path)


@pytest.mark.parametrize(
    "stored, tags, padding, expected",
    [
        pytest.param(
            np.array([[-2000, 1000], [-1999, 40]], np.int16),
            {"RescaleIntercept": 1000},
            # As scanners write it: -2000 stored as unsigned 63536 beside signed pixels.
            [("PixelPaddingValue", "US", 63536)],
            [[-1024, 2000], [-999, 1040]],
            id="masked on stored values before rescale",
        ),
        pytest.param(
            np.array([[65000, 65036, 65100], [64999, 65101, 10]], np.uint16),
            {"RescaleSlope": 0.001},
            [("PixelPaddingValue", "SS", 65100 - 65536), ("PixelPaddingRangeLimit", "SS", 65000 - 65536)],
            [[-1024, -1024, -1024], [65, 65, 0]],
            id="a range and signed padding of unsigned pixels",
        ),
        pytest.param(
            np.array([[0xF830, 1000]], np.uint16),
            {"BitsStored": 12, "HighBit": 11, "RescaleIntercept": -1000},
            [("PixelPaddingValue", "US", 0xF830)],
            [[-1024, 0]],
            id="beyond the stored bits",
        ),
        pytest.param(
            np.array([[0x0FFF | 0x4000, 0x8005]], np.uint16).view(np.int16),
            {"BitsStored": 12, "HighBit": 11},
            [],
            [[-1, 5]],
            id="overlay bits above the stored ones are dropped and signs stay",
        ),
    ],
)
def test_stored_values_and_padding(tmp_path, stored, tags, padding, expected):
    write_series(tmp_path, zs=(0, 2), pixels=stored, typed=padding, **tags)
    assert load(tmp_path).hu[0].tolist() == expected


def test_hu_below_air_is_clipped(tmp_path):
    write_series(tmp_path, RescaleIntercept=-3000)
    assert load(tmp_path).hu.min() == load(tmp_path).hu.max() == -1024


@pytest.mark.parametrize("missing", [1, 300, 511])
def test_a_file_that_ends_inside_its_pixels_fails_by_number(tmp_path, missing):
    paths = write_series(tmp_path, zs=(0, 2, 4))
    cut(paths[1], missing)
    with pytest.raises(TruncatedFileError, match="file 0002 of 0003 is cut short"):
        load(tmp_path)


def test_every_length_of_a_truncated_file_is_noticed(tmp_path):
    paths = write_series(tmp_path, zs=(0, 2, 4))
    whole = paths[1].read_bytes()
    for length in range(132, len(whole), 7):
        paths[1].write_bytes(whole[:length])
        scan = scan_folder(tmp_path)
        series = scan.series[0]
        noticed = series.defects or any(one.where == "file 0002" for one in scan.rejected)
        assert noticed and len(series.slices) == 2, length


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
    assert volume.geometry.spacing == pytest.approx((2, 0.5, 0.75))
    assert volume.sop_instance_uids == tuple(f"{uid(1, 1, 1)}#{frame}" for frame in (2, 3, 1))


def test_enhanced_ct_that_lacks_a_group_or_pixels_is_refused(tmp_path):
    frames = np.zeros((3, 6, 8), np.int16)
    ds = enhanced_dataset(frames, zs=(0, 2, 4), intercepts=(0, 0, 0))
    del ds.SharedFunctionalGroupsSequence[0].PixelMeasuresSequence
    write(ds, tmp_path / "a" / "e.dcm")
    with pytest.raises(MissingTagError, match="frame 1 has no PixelMeasuresSequence"):
        load(tmp_path / "a")
    path = write(enhanced_dataset(frames, zs=(0, 2, 4), intercepts=(0, 0, 0)), tmp_path / "b" / "e.dcm")
    cut(path, 20)
    with pytest.raises(TruncatedFileError):
        load(tmp_path / "b")
    ds = enhanced_dataset(frames, zs=(0, 2, 4), intercepts=(0, 0, 0), NumberOfFrames=5000)
    write(ds, tmp_path / "c" / "e.dcm")
    with pytest.raises(OversizeError, match="5000 frames"):
        load(tmp_path / "c")


def test_a_mixed_series_loses_strays_and_is_split_into_parts(tmp_path):
    write_series(tmp_path, zs=(0, 2, 4, 6))
    write(ct_dataset(instance=20, z=99, pixels=np.zeros((8, 8), np.int16)), tmp_path / "s1" / "x.dcm")
    scan = scan_folder(tmp_path)
    assert [one.kind for one in scan.rejected] == ["mixed-series"]
    assert [(one.name, len(one.slices)) for one in scan.series] == [("series 01", 4)]
    for i in range(3):
        small = ct_dataset(instance=30 + i, z=3.0 * i, pixels=np.zeros((8, 8), np.int16))
        write(small, tmp_path / "s1" / f"y{i}.dcm")
    scan = scan_folder(tmp_path)
    assert [(one.name, len(one.slices)) for one in scan.series] == [("series 01 part 1", 4), ("series 01 part 2", 4)]


def test_a_single_slice_has_no_spacing(tmp_path):
    write_series(tmp_path, zs=(0,))
    with pytest.raises(GeometryError, match="one slice"):
        load(tmp_path)


def test_bad_folders(tmp_path):
    with pytest.raises(InputError, match="no such folder"):
        scan_folder(tmp_path / "absent")
    with pytest.raises(InputError, match="is empty"):
        scan_folder(tmp_path)
    (tmp_path / "file").write_text("x")
    with pytest.raises(InputError, match="is a file"):
        scan_folder(str(tmp_path / "file"))


def test_nothing_that_scan_reports_names_the_patient(tmp_path):
    write_series(tmp_path / "Secret_Name", patient="Secret-42", zs=(0, 2, 2, 9), description="Secret liver")
    write(ct_dataset(instance=8, patient="Secret-42", RescaleSlope=None), tmp_path / "Secret" / "a.dcm")
    scan = scan_folder(tmp_path)
    text = " ".join(f"{one.where} {one.reason}" for one in scan.rejected)
    with pytest.raises(DicomError) as caught:
        load_series(scan.series[0])
    assert "Secret" not in text + str(caught.value) and uid() not in text + str(caught.value)


def test_axial_means_identity_here():
    assert np.cross(AXIAL[:3], AXIAL[3:]).tolist() == [0, 0, 1]
    assert pydicom.uid.UID(uid(1, 2)).is_valid
