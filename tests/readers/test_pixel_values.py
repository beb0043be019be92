"""Stored values to HU: rescale, types, padding, and tags and pixels that are wrong, missing or cut off."""

from __future__ import annotations

import numpy as np
import pytest

from gluon_liver import errors
from gluon_liver.archive.scan import scan_folder
from tests.readers.loaded import load_series

from .ct_writer import ct_dataset, write, write_series


def load(folder, **options):
    (series,) = scan_folder(folder).series
    return load_series(series, **options)


def test_rescale_is_taken_from_each_slice(tmp_path):
    for i, (slope, intercept) in enumerate([(1, -1024), (2, -1000), (0.5, 7)]):
        tags = dict(pixels=np.full((16, 16), 100, np.int16), RescaleSlope=slope, RescaleIntercept=intercept)
        write_series(tmp_path, zs=[2.0 * i], start=i, **tags)
    assert load(tmp_path).hu[:, 3, 3].tolist() == [-924, -800, 57]


NEEDED = "RescaleSlope RescaleIntercept PixelSpacing Rows BitsStored PixelRepresentation"


@pytest.mark.parametrize("keyword", NEEDED.split())
def test_a_missing_tag_fails_its_series_by_file_number(tmp_path, keyword):
    write_series(tmp_path, zs=(0, 2, 4))
    write(ct_dataset(instance=3, z=6, **{keyword: None}), tmp_path / "s1" / "z.dcm")
    with pytest.raises(errors.MissingTagError, match=f"file 0004 of 0004.* has no {keyword}"):
        load(tmp_path)


@pytest.mark.parametrize(
    "tags, error, text",
    [
        ({"ImageOrientationPatient": [1, 0, 0, 0.5, 1, 0]}, errors.GeometryError, "perpendicular"),
        ({"PixelSpacing": [0.5, 0]}, errors.GeometryError, "above 0"),
        ({"RescaleSlope": 0}, errors.DicomError, "RescaleSlope is 0"),
        ({"SamplesPerPixel": 3}, errors.PixelDataError, "colour"),
        ({"BitsStored": 17}, errors.PixelDataError, "no CT pixel layout"),
        ({"Rows": 5000}, errors.OversizeError, "5000x16"),
        ({"Rows": 17}, errors.TruncatedFileError, "hold 512 bytes, the header announces 544"),
        ({"Rows": 15}, errors.PixelDataError, "hold 512 bytes, the header announces 480"),
        ({"zs": (0,)}, errors.GeometryError, "one slice"),
    ],
)
def test_a_wrong_value_fails_its_series(tmp_path, tags, error, text):
    write_series(tmp_path, **{"zs": (0, 2, 4), **tags})
    with pytest.raises(error, match=text):
        load(tmp_path)


TWELVE = {"BitsStored": 12, "HighBit": 11}
# Scanners write padding of -2000 as unsigned 63536 beside signed pixels, and the reverse.
AS_UNSIGNED, BEYOND = [("PixelPaddingValue", "US", 63536)], [("PixelPaddingValue", "US", 0xF830)]
SIGNED_RANGE = [("PixelPaddingValue", "SS", 65100 - 65536), ("PixelPaddingRangeLimit", "SS", 65000 - 65536)]
STORED = {  # the rule -> type, a row of stored values, tags, padding, the row in HU
    "before rescale": ("i2", [-2000, 1000, 40], {"RescaleIntercept": 1000}, AS_UNSIGNED, [-1024, 2000, 1040]),
    "only at its value": ("i2", [-1999], {"RescaleIntercept": 1000}, AS_UNSIGNED, [-999]),
    "not where HU are its number": (
        "u2",
        [0, 1024, 1025],
        {"RescaleIntercept": -1024},
        [("PixelPaddingValue", "US", 0)],
        [-1024, 0, 1],
    ),
    "a range": ("u2", [65000, 65036, 65100], {"RescaleSlope": 0.001}, SIGNED_RANGE, [-1024] * 3),
    "beside the range": ("u2", [64999, 65101, 10], {"RescaleSlope": 0.001}, SIGNED_RANGE, [65, 65, 0]),
    "beyond the stored bits": ("u2", [0xF830, 1000], {**TWELVE, "RescaleIntercept": -1000}, BEYOND, [-1024, 0]),
    "overlay bits above the stored ones go, signs stay": ("i2", [0x4FFF, 0x8005 - 65536], TWELVE, [], [-1, 5]),
    "below air is clipped": ("i2", [0, 1], {"RescaleIntercept": -3000}, [], [-1024, -1024]),
}


@pytest.mark.parametrize("kind, stored, tags, padding, expected", STORED.values(), ids=STORED)
def test_stored_values_and_padding(tmp_path, kind, stored, tags, padding, expected):
    write_series(tmp_path, zs=(0, 2), pixels=np.array([stored], kind), typed=padding, **tags)
    assert load(tmp_path).hu[0].tolist() == [expected]


def test_every_length_of_a_truncated_file_is_noticed(tmp_path):
    paths = write_series(tmp_path, zs=(0, 2, 4))
    whole = paths[1].read_bytes()
    for missing in (1, 300, 511):
        paths[1].write_bytes(whole[:-missing])
        with pytest.raises(errors.TruncatedFileError, match="file 0002 of 0003 is cut short"):
            load(tmp_path)
    for length in range(132, len(whole), 7):
        paths[1].write_bytes(whole[:length])
        scan = scan_folder(tmp_path)
        series = scan.series[0]
        noticed = series.defects or any(one.where == "file 0002" for one in scan.rejected)
        assert noticed and len(series.slices) == 2, length
