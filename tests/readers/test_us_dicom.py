"""DICOM recordings: their colours, their tissue region, and what is refused."""

from __future__ import annotations

import cv2
import numpy as np
import pydicom
import pytest
from pydicom.uid import DeflatedExplicitVRLittleEndian, JPEGBaseline8Bit

from gluon_liver import errors
from gluon_liver.readers.dicom.ultrasound import ybr_to_rgb
from gluon_liver.readers.frames import read_frames

from .ct_writer import cut, write
from .us_writer import us_dataset, us_region, write_us

PIXELS = np.random.default_rng(1).integers(0, 256, (2, 4, 6, 3)).astype(np.uint8)
EVERYTHING = (0, 0, 5, 3)


def read_dicom(path):
    return np.stack(list(read_frames(path)))


def test_dicom_rgb_interleaved_and_planar(tmp_path):
    assert np.array_equal(read_dicom(write_us(tmp_path / "a.dcm", PIXELS, region=EVERYTHING)), PIXELS)
    planar = us_dataset(PIXELS, region=EVERYTHING, PlanarConfiguration=1)
    planar.PixelData = PIXELS.transpose(0, 3, 1, 2).tobytes()
    assert np.array_equal(read_dicom(write(planar, tmp_path / "b.dcm")), PIXELS)
    deflated = write(us_dataset(PIXELS, region=EVERYTHING), tmp_path / "c.dcm", syntax=DeflatedExplicitVRLittleEndian)
    assert np.array_equal(read_dicom(deflated), PIXELS)


def to_ybr(rgb):
    """PS3.3 C.7.6.3.1.2, as printed."""
    r, g, b = np.moveaxis(rgb.astype(float), -1, 0)
    y = 0.299 * r + 0.587 * g + 0.114 * b
    cb = -0.168736 * r - 0.331264 * g + 0.5 * b + 128
    cr = 0.5 * r - 0.418688 * g - 0.081312 * b + 128
    return np.clip(np.rint(np.stack([y, cb, cr], -1)), 0, 255).astype(np.uint8)


def test_dicom_ybr_full(tmp_path):
    assert ybr_to_rgb(np.array([76, 85, 255], np.uint8)).tolist() == [254, 0, 0]
    path = write_us(tmp_path / "a.dcm", to_ybr(PIXELS), photometric="YBR_FULL", region=EVERYTHING)
    assert np.abs(read_dicom(path).astype(int) - PIXELS).max() <= 2


def test_dicom_ybr_full_422(tmp_path):
    rgb = np.repeat(PIXELS[:, :, ::2], 2, axis=2)  # pairs of pixels share their colour, so nothing is lost
    ybr = to_ybr(rgb)
    packed = np.concatenate([ybr[:, :, ::2, :1], ybr[:, :, 1::2, :1], ybr[:, :, ::2, 1:]], axis=3)
    ds = us_dataset(rgb, photometric="YBR_FULL_422", region=EVERYTHING)
    ds.PixelData = packed.tobytes()
    assert np.abs(read_dicom(write(ds, tmp_path / "a.dcm")).astype(int) - rgb).max() <= 2


def test_dicom_monochrome_and_palette(tmp_path):
    grey = PIXELS[..., 0]
    read = read_dicom(write_us(tmp_path / "a.dcm", grey, photometric="MONOCHROME2", region=EVERYTHING))
    assert np.array_equal(read, np.repeat(grey[..., None], 3, axis=3))
    ds = us_dataset(grey, photometric="PALETTE COLOR", region=EVERYTHING)
    for name, table in {"Red": np.arange(256), "Green": np.arange(256)[::-1], "Blue": np.full(256, 7)}.items():
        setattr(ds, f"{name}PaletteColorLookupTableDescriptor", [256, 0, 16])
        setattr(ds, f"{name}PaletteColorLookupTableData", (table.astype("<u2") << 8).tobytes())
    read = read_dicom(write(ds, tmp_path / "b.dcm"))
    assert np.array_equal(read, np.stack([grey, 255 - grey, np.full_like(grey, 7)], -1))


def test_dicom_jpeg_keeps_its_colours_and_a_cut_one_is_refused(tmp_path):
    frames = np.zeros((2, 16, 16, 3), np.uint8)
    frames[0, ..., 0], frames[1, ..., 2] = 200, 180
    codes = [cv2.imencode(".jpg", frame[..., ::-1])[1].tobytes() for frame in frames]
    ds = us_dataset(frames, photometric="YBR_FULL_422", region=(0, 0, 15, 15))
    ds.PixelData = pydicom.encaps.encapsulate(codes)
    ds["PixelData"].is_undefined_length = True
    path = write(ds, tmp_path / "a.dcm", syntax=JPEGBaseline8Bit)
    assert np.abs(read_dicom(path).astype(int) - frames).max() <= 4
    cut(path, 150)
    with pytest.raises(errors.DicomError):
        read_dicom(path)


def test_the_tissue_region_is_cropped(tmp_path):
    spectrum = us_region((0, 0, 5, 3), spatial=3, data=3)
    regions = [spectrum, us_region((0, 0, 0, 0)), us_region((1, 1, 4, 2))]
    source = read_frames(write_us(tmp_path / "a.dcm", PIXELS, SequenceOfUltrasoundRegions=regions))
    assert source.region == (1, 1, 5, 3) and source.own_region
    assert np.array_equal(np.stack(list(source)), PIXELS[:, 1:3, 1:5])


def test_regions_that_do_not_help(tmp_path):
    none = write_us(tmp_path / "a.dcm", PIXELS)
    with pytest.raises(errors.InputError, match="--region"):
        read_frames(none)
    assert np.array_equal(np.stack(list(read_frames(none, region=(2, 0, 6, 4)))), PIXELS[:, :, 2:])
    spectrum, outside, lacking = us_region(EVERYTHING, spatial=3), us_region((0, 0, 6, 3)), us_region(EVERYTHING)
    del lacking.RegionLocationMinX0
    refused = [(spectrum, "none is 2D tissue"), (outside, "does not lie in"), (lacking, "lacks .* RegionLocation")]
    for region, message in refused:
        with pytest.raises(errors.DicomError, match=message) as caught:
            read_frames(write_us(tmp_path / "b.dcm", PIXELS, SequenceOfUltrasoundRegions=[region]), whole_frame=True)
    assert isinstance(caught.value, errors.MissingTagError)


@pytest.mark.parametrize(
    "tags, error, message",
    [
        ({"Rows": 60000, "Columns": 60000}, errors.OversizeError, "60000x60000"),
        ({"NumberOfFrames": 3}, errors.TruncatedFileError, "cut short"),
        ({"PhotometricInterpretation": "HSV"}, errors.PixelDataError, "PhotometricInterpretation"),
        ({"BitsAllocated": 16, "BitsStored": 16, "HighBit": 15}, errors.PixelDataError, "8 bits"),
        ({"SOPClassUID": "1.2.840.10008.5.1.4.1.1.2", "Modality": "CT"}, errors.DicomError, "no ultrasound"),
        ({"SOPInstanceUID": None}, errors.MissingTagError, "SOPInstanceUID"),
    ],
)
def test_dicom_that_is_refused(tmp_path, tags, error, message):
    path = write_us(tmp_path / "a.dcm", PIXELS, region=EVERYTHING, **tags)
    with pytest.raises(error, match=message):
        read_dicom(path)


def test_a_dicom_file_cut_in_its_header(tmp_path):
    path = write_us(tmp_path / "a.dcm", PIXELS, region=EVERYTHING)
    content = path.read_bytes()
    for length in (200, 400, len(content) - 20):
        path.write_bytes(content[:length])
        with pytest.raises(errors.DicomError):
            read_dicom(path)
