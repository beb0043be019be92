"""DICOM SEG and DICOM mask series, by hand."""

from __future__ import annotations

import numpy as np
import pydicom
import pytest
from pydicom.uid import DeflatedExplicitVRLittleEndian

from gluon_liver.errors import DicomError, GeometryError, InputError
from gluon_liver.readers.masks.mask_files import find_masks
from gluon_liver.readers.masks.mask_series import open_mask_series
from gluon_liver.readers.masks.segmentation import open_segmentation
from tests.readers.ct_writer import ct_dataset, cut, write
from tests.readers.mask_writer import seg_dataset, write_mask_series, write_seg

SHAPE = (6, 15, 14)  # 210 pixels: frames of bits do not begin at bytes


@pytest.fixture
def headers():
    pixels = np.zeros(SHAPE[1:], np.int16)
    tags = dict(pixels=pixels, PixelSpacing=[0.5, 0.75])
    return [ct_dataset(instance=place, z=2.5 * place - 100, **tags) for place in range(SHAPE[0])]


def random_mask(seed, share=0.2):
    mask = np.random.RandomState(seed).rand(*SHAPE) < share
    mask[[0, 4]] = False
    return mask


def read(path):
    return open_segmentation(path, "mask 01").read()


@pytest.mark.parametrize("kind", ["BINARY", "FRACTIONAL", "LABELMAP"])
def test_segments_stand_at_their_positions_in_whatever_order(headers, tmp_path, kind):
    lesion, liver = random_mask(0), random_mask(1, 0.4)
    liver &= ~lesion
    segments = {3: ("Mass", lesion), 1: ("Liver", liver)}
    shuffled = np.random.RandomState(5).permutation
    path = write_seg(tmp_path / "seg.dcm", headers, segments, kind=kind, order=lambda count: shuffled(count))
    opened = open_segmentation(path, "mask 01")
    assert opened.names == {1: "Liver", 3: "Mass"} and opened.fractional == (kind == "FRACTIONAL")
    assert opened.codes[3] == ("Neoplasm", "SCT:108369006", "Morphologically Altered Structure", "SCT:49755003")
    (volume,) = opened.read()
    first = 0 if kind == "LABELMAP" else 1  # the others leave empty planes out
    assert volume.geometry.origin == (-10, -20, 2.5 * first - 100) and volume.sparse
    assert volume.geometry.spacing == pytest.approx((2.5, 0.5, 0.75))
    assert volume.labels.dtype == np.uint8
    np.testing.assert_array_equal(volume.labels, (3 * lesion + liver)[first:])


def test_a_fraction_of_half_counts(headers, tmp_path):
    share = np.zeros(SHAPE)
    share[2, 3, 4:8] = 0.0, 0.495, 0.5, 1.0
    (volume,) = read(write_seg(tmp_path / "seg.dcm", headers, {1: ("Mass", share)}, kind="FRACTIONAL"))
    assert volume.labels[0, 3, 4:8].tolist() == [0, 0, 1, 1]
    _, notes = find_masks([tmp_path])
    assert notes == ["1 fractional DICOM SEG file(s): a voxel counts from half of the largest value on"]


def test_segments_that_overlap_stand_in_volumes_of_their_own(headers, tmp_path):
    masks = {1: random_mask(0), 2: random_mask(1), 5: np.zeros(SHAPE, bool), 300: np.zeros(SHAPE, bool)}
    masks[5][2, 0, 0] = masks[300][3, 14, 13] = True
    masks[1][2, 0, 0] = masks[2][2, 0, 0] = False
    masks[1][2, 7, 7] = masks[2][2, 7, 7] = True
    segments = {number: (f"Tumor_{number}", mask) for number, mask in masks.items()}
    volumes = read(write_seg(tmp_path / "seg.dcm", headers, segments, empty=True))
    assert len(volumes) == 2 and volumes[0].labels.dtype == np.uint16
    for number, mask in masks.items():
        (volume,) = [one for one in volumes if (one.labels == number).any()]
        np.testing.assert_array_equal(volume.labels == number, mask)


def test_planes_that_are_left_out_leave_a_gap(headers, tmp_path):
    mask = np.zeros(SHAPE, bool)
    mask[[1, 2, 5], 3, 4] = True
    (volume,) = read(write_seg(tmp_path / "seg.dcm", headers, {1: ("Mass", mask)}))
    np.testing.assert_array_equal(volume.labels, mask[1:])
    mask[[1, 2]] = False
    one = read(write_seg(tmp_path / "one.dcm", headers, {1: ("Mass", mask)}))[0]
    assert one.geometry.size[0] == 1 and one.geometry.spacing[0] == 99  # SliceThickness, which counts here alone


def test_positions_that_were_rounded_make_one_grid(headers, tmp_path):
    for place, header in enumerate(headers):
        header.ImagePositionPatient = [-10, -20, round(0.625 * place, 1)]
    (volume,) = read(write_seg(tmp_path / "seg.dcm", headers, {1: ("Mass", np.ones(SHAPE, bool))}))
    assert volume.geometry.size == SHAPE and volume.geometry.spacing[0] == pytest.approx(0.625, abs=0.01)


def test_a_compressed_segmentation(headers, tmp_path):
    mask = random_mask(3)
    ds = seg_dataset(headers, {1: ("Mass", mask)}, kind="FRACTIONAL")
    ds.file_meta = pydicom.dataset.FileMetaDataset()
    ds.file_meta.TransferSyntaxUID = pydicom.uid.ExplicitVRLittleEndian
    ds.compress(pydicom.uid.RLELossless)
    (volume,) = read(write(ds, tmp_path / "seg.dcm", syntax=pydicom.uid.RLELossless))
    np.testing.assert_array_equal(volume.labels > 0, mask[1:])
    deflated = write(
        seg_dataset(headers, {1: ("Mass", mask)}), tmp_path / "d.dcm", syntax=DeflatedExplicitVRLittleEndian
    )
    np.testing.assert_array_equal(read(deflated)[0].labels > 0, mask[1:])


def per_frame(ds, frame, keyword, **tags):
    setattr(ds.PerFrameFunctionalGroupsSequence[frame], keyword, [pydicom.Dataset()])
    for name, value in tags.items():
        setattr(getattr(ds.PerFrameFunctionalGroupsSequence[frame], keyword)[0], name, value)


FAULTS = {
    "uneven": (
        lambda ds: per_frame(ds, 1, "PlanePositionSequence", ImagePositionPatient=[-10, -20, -96.1]),
        "mask 01: its planes are unevenly spaced",
    ),
    "shifted": (
        lambda ds: per_frame(ds, 1, "PlanePositionSequence", ImagePositionPatient=[-12, -20, -95.0]),
        "mask 01: its planes are shifted against each other",
    ),
    "far": (
        lambda ds: per_frame(ds, 1, "PlanePositionSequence", ImagePositionPatient=[-10, -20, 1e6]),
        "mask 01: its planes would need .* the bound is 4000",
    ),
    "no place": (lambda ds: per_frame(ds, 1, "PlanePositionSequence"), "mask 01, frame 2 has no ImagePositionPatient"),
    "NaN": (
        lambda ds: per_frame(ds, 1, "PlanePositionSequence", ImagePositionPatient="-10\\NaN\\3"),
        "mask 01, frame 2: ImagePositionPatient is not 3 finite",
    ),
    "two orientations": (
        lambda ds: per_frame(ds, 0, "PlaneOrientationSequence", ImageOrientationPatient=[0, 1, 0, 1, 0, 0]),
        "mask 01: its frames differ in orientation",
    ),
    "no such segment": (
        lambda ds: per_frame(ds, 0, "SegmentIdentificationSequence", ReferencedSegmentNumber=9),
        "mask 01: a frame is of a segment that its SegmentSequence does not list",
    ),
    "frames": (lambda ds: setattr(ds, "NumberOfFrames", 3), "mask 01 has 3 frames and functional groups for 4"),
    "huge": (lambda ds: setattr(ds, "Rows", 60000), "mask 01 announces"),
    "short": (lambda ds: setattr(ds, "PixelData", ds.PixelData[:60]), "mask 01 is cut short"),
    "segments": (lambda ds: delattr(ds, "SegmentSequence"), "mask 01 has no SegmentSequence"),
}


@pytest.mark.parametrize("name", FAULTS)
def test_what_is_wrong_with_a_segmentation_is_told(headers, tmp_path, name):
    change, message = FAULTS[name]
    ds = seg_dataset(headers, {1: ("Mass", random_mask(0))})
    change(ds)
    with pytest.raises(DicomError, match=message):
        read(write(ds, tmp_path / "seg.dcm"))


def test_a_file_that_was_cut(headers, tmp_path):
    path = write_seg(tmp_path / "seg.dcm", headers, {1: ("Mass", random_mask(0))})
    cut(path, 200)
    with pytest.raises(DicomError, match="mask 01 ends inside its pixel data"):
        read(path)


def open_series(folder):
    return open_mask_series([*folder.iterdir()], folder.name, "mask 01")


def test_a_mask_series_by_its_positions(headers, tmp_path):
    mask = random_mask(0)
    series = open_series(write_mask_series(tmp_path / "livertumor01", headers, mask))
    (volume,) = series.read()
    assert volume.names == {1: "livertumor01"} and not volume.sparse
    np.testing.assert_array_equal(volume.labels, mask)
    assert volume.geometry.origin == (-10, -20, -100) and volume.geometry.spacing == pytest.approx((2.5, 0.5, 0.75))
    empty = open_series(write_mask_series(tmp_path / "empty", headers, mask & False)).read()[0]
    assert not empty.labels.any() and empty.names == {}


def test_a_mask_series_needs_no_rescaling(headers, tmp_path):
    mask, without = random_mask(0), dict(RescaleSlope=None, RescaleIntercept=None)
    (volume,) = open_series(write_mask_series(tmp_path / "livertumor01", headers, mask, **without)).read()
    np.testing.assert_array_equal(volume.labels, mask)


def test_a_mask_series_of_several_values_keeps_them(headers, tmp_path):
    numbers = (random_mask(0) * 7).astype(np.uint16)
    numbers[2, 3, 4] = 9
    for place in range(SHAPE[0]):
        ds = ct_dataset(instance=place, z=2.5 * place - 100, series=5, pixels=numbers[place])
        write(ds, tmp_path / "labelled" / f"{place}.dcm")
    (volume,) = open_series(tmp_path / "labelled").read()
    assert volume.names == {}
    np.testing.assert_array_equal(volume.labels, numbers)


def test_images_of_patients_are_no_masks(headers, tmp_path):
    noise = np.random.RandomState(0).randint(-1000, 1000, (3, 40, 40)).astype(np.int16)
    for place in range(3):
        write(ct_dataset(instance=place, z=2.5 * place, pixels=noise[place]), tmp_path / "ct" / f"{place}.dcm")
    assert open_series(tmp_path / "ct") is None
    write_mask_series(tmp_path / "livertumor", headers, random_mask(0))
    (tmp_path / "readme.txt").write_text("a text")
    masks, notes = find_masks([tmp_path])
    assert [one.parts[1:] for one in masks] == [("livertumor",)]
    assert notes == ["4 file(s) of --masks are no masks, and were not read"]
    with pytest.raises(InputError, match="--masks: no mask among the files"):
        find_masks([tmp_path / "ct"])
    with pytest.raises(InputError, match="there is no such file or folder"):
        find_masks([tmp_path / "nowhere"])


def test_slices_of_two_looks_are_no_mask(headers, tmp_path):
    folder = write_mask_series(tmp_path / "livertumor", headers[:3], random_mask(0))
    write_mask_series(folder, headers[3:], random_mask(0)[3:], series=902, PixelSpacing=[0.5, 0.5])
    for number, path in enumerate(sorted(folder.iterdir())):
        path.rename(folder / f"{number}")
    write_mask_series(folder, headers[:3], random_mask(0))
    with pytest.raises(GeometryError, match="mask 01: its slices differ in size, orientation or pixel spacing"):
        open_series(folder).read()


def test_names_of_values(headers, tmp_path):
    write_seg(tmp_path / "seg.dcm", headers, {1: ("Tumor_12", random_mask(0))})
    (mask,), _ = find_masks([tmp_path / "seg.dcm"])
    coded = ["Neoplasm", "SCT:108369006", "Morphologically Altered Structure", "SCT:49755003"]
    assert mask.names(1, {1: "Tumor_12"}, [1]) == ["Tumor_12", "Tumor", *coded]
    series = write_mask_series(tmp_path / "livertumor01", headers, random_mask(0))
    (mask,), _ = find_masks([series])
    assert mask.names(1, {1: "livertumor01"}, [1]) == ["livertumor01", "livertumor", "1"]
    assert mask.names(3, {}, [2, 3]) == ["3"]
