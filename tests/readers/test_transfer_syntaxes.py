"""Real files that pydicom carries, compressed and not, made into CT where they are something else."""

from __future__ import annotations

import shutil
import warnings
from pathlib import Path

import numpy as np
import pydicom
import pytest
from pydicom.data import get_testdata_file

from gluon_liver.archive.scan import scan_folder
from gluon_liver.errors import PixelDataError, SliceGapError, TruncatedFileError
from gluon_liver.readers.dicom import pixels
from tests.readers.loaded import load_series

from .ct_writer import CT, ct_dataset, cut, uid, write

JPEG_LS = "1.2.840.10008.1.2.4.80"
JPEG_2000 = "1.2.840.10008.1.2.4.90"


def bundled(name):
    path = get_testdata_file(name, download=False)
    if path is None:
        pytest.skip(f"this pydicom does not carry {name}")
    return path


def as_ct(name, folder, *, intercept=-1000, missing=0):
    """Two copies of a bundled image, tagged as CT slices 2 mm apart, in the bundled file's own encoding."""
    for i in range(2):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            ds = pydicom.dcmread(bundled(name))
        ds.SOPClassUID, ds.Modality, ds.ImageType = CT, "CT", ["ORIGINAL", "PRIMARY", "AXIAL"]
        ds.SOPInstanceUID, ds.SeriesInstanceUID, ds.StudyInstanceUID = uid(1, 1, i + 1), uid(1, 1), uid(1)
        ds.ImagePositionPatient, ds.ImageOrientationPatient = [0, 0, 2 * i], [1, 0, 0, 0, 1, 0]
        ds.RescaleSlope, ds.RescaleIntercept = 1, intercept
        for keyword in {"PixelPaddingValue", "SmallestImagePixelValue"} & set(ds.dir()):
            del ds[keyword]
        ds.save_as(folder / f"{i}.dcm")
        if missing:
            cut(folder / f"{i}.dcm", missing)
    return folder


def load(folder):
    return load_series(scan_folder(folder).series[0])


def test_ct_small_as_it_is(tmp_path):
    shutil.copy(bundled("CT_small.dcm"), tmp_path / "a.dcm")
    header = scan_folder(tmp_path).series[0].slices[0]
    stored = pydicom.dcmread(bundled("CT_small.dcm")).pixel_array
    words = pixels.read_words(header, "a")[0]
    assert np.array_equal(words, stored)
    # Its padding value, -2000 by the header's own tag, is not in the image: HU is stored - 1024 everywhere.
    expected = np.clip(stored.astype(np.int32) + int(header.intercept), -1024, None)
    assert np.array_equal(pixels.hounsfield(words, header), expected)


@pytest.mark.parametrize("encoding", ["", *"_bigendian _implicit _RLE _jp2klossless _jpeg_ls_lossless _expb".split()])
def test_one_image_in_every_encoding_gives_the_same_hu(tmp_path, encoding):
    expected = pydicom.dcmread(bundled("MR_small.dcm")).pixel_array.astype(np.int32) - 1000
    hu = load(as_ct(f"MR_small{encoding}.dcm", tmp_path)).hu
    assert np.array_equal(hu[0], np.clip(expected, -1024, None)) and np.array_equal(hu[0], hu[1])


@pytest.mark.parametrize("name", ["MR_small_jpeg_ls_lossless.dcm", "MR_small_jp2klossless.dcm"])
def test_gdcm_returns_stored_values_although_the_file_has_a_rescale(tmp_path, name):
    header = scan_folder(as_ct(name, tmp_path, intercept=-700)).series[0].slices[0]
    stored = pixels._decode_with_gdcm(pydicom.dcmread(header.path), header.transfer_syntax)
    assert np.array_equal(np.squeeze(stored), pydicom.dcmread(bundled("MR_small.dcm")).pixel_array)


def test_deflated_ct(tmp_path):
    stored = np.arange(-128, 128, dtype=np.int16).reshape(16, 16)
    for i in range(2):
        path = write(ct_dataset(instance=i, z=2.0 * i, pixels=stored), tmp_path / f"{i}.dcm", syntax=pixels.DEFLATED)
    assert np.array_equal(load(tmp_path).hu[0], stored)
    cut(path, 40)
    rejected = scan_folder(tmp_path).rejected
    assert [one.where for one in rejected if one.kind == "TruncatedFileError"] == ["file 0002"]


def test_a_deflated_file_that_inflates_too_far_is_refused(tmp_path, monkeypatch):
    path = write(ct_dataset(), tmp_path / "0.dcm", syntax=pixels.DEFLATED)
    with path.open("rb") as stream:
        assert 512 < pixels.inflated_size(stream) < 2048
    monkeypatch.setattr("gluon_liver.readers.dicom.pixels.MAX_INFLATED_BYTES", 100)
    scan = scan_folder(tmp_path)
    assert [one.kind for one in scan.rejected] == ["OversizeError"] and not scan.series


@pytest.mark.parametrize("encoding, missing", [("RLE", 400), ("jpeg_ls_lossless", 600), ("jp2klossless", 150)])
def test_truncated_compressed_files_fail_by_number(tmp_path, encoding, missing):
    with pytest.raises(TruncatedFileError, match="file 0001"):
        load(as_ct(f"MR_small_{encoding}.dcm", tmp_path, missing=missing))


def write_encapsulated(folder, code, *, side, syntax):
    for i in range(2):
        ds = ct_dataset(instance=i, z=2.0 * i, pixels=np.zeros((side, side), np.int16))
        ds.PixelData = pydicom.encaps.encapsulate([code])
        ds["PixelData"].is_undefined_length = True
        write(ds, folder / f"{i}.dcm", syntax=syntax)


def test_a_codestream_cut_inside_a_whole_file_is_truncated(tmp_path):
    code = next(iter(fragments(pydicom.dcmread(bundled("MR_small_jp2klossless.dcm")).PixelData)))
    write_encapsulated(tmp_path, code[: len(code) // 2], side=64, syntax=JPEG_2000)
    with pytest.raises(TruncatedFileError, match="has no end"):
        load(tmp_path)


def fragments(data):
    if pydicom.__version__.startswith("2."):
        return pydicom.encaps.generate_pixel_data_frame(data, 1)
    return pydicom.encaps.generate_frames(data, number_of_frames=1)


def test_a_damaged_codestream_and_an_unknown_syntax_are_typed_errors(tmp_path):
    write_encapsulated(tmp_path, b"\xff\xd8" + bytes(60) + b"\xff\xd9", side=16, syntax=JPEG_LS)
    with pytest.raises(PixelDataError, match="JPEG-LS.*install pylibjpeg"):
        load(tmp_path)
    header = scan_folder(tmp_path).series[0].slices[0]
    object.__setattr__(header, "transfer_syntax", "1.2.3.4")
    with pytest.raises(PixelDataError, match="private or unknown transfer syntax"):
        pixels.read_words(header, "file 0001")


def test_real_folder_with_ct_localizers_mr_cr_and_directories():
    folder = Path(bundled("CT_small.dcm")).with_name("dicomdirtests")
    if not folder.is_dir():
        pytest.skip("this pydicom does not carry dicomdirtests")
    scan = scan_folder(folder)
    assert {"localizer", "not-ct", "media-directory"} <= {one.kind for one in scan.rejected}
    headless, gap, whole = sorted(scan.series, key=lambda series: len(series.slices))
    assert [len(series.slices) for series in (headless, gap, whole)] == [0, 4, 5]
    with pytest.raises(TruncatedFileError, match="ends before its pixel data"):
        load_series(headless)
    volume = load_series(whole)
    assert volume.geometry.spacing == pytest.approx((2.5, 0.488281, 0.488281), abs=1e-5)
    assert volume.geometry.origin[2] == pytest.approx(-1.2375)
    with pytest.raises(SliceGapError, match="202.500 mm instead of 1.250 mm"):
        load_series(gap)
