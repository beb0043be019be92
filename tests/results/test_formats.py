"""Tables, GeoJSON and label volumes against what lesions.json says and against coordinates worked out by hand."""

import csv
import json
from dataclasses import replace

import nibabel
import numpy as np
import pytest

from gluon_liver.errors import InputError
from gluon_liver.results.formats import parse_formats, write_results
from gluon_liver.results.found import ELLIPSOIDS
from gluon_liver.results.nifti import label_volume
from gluon_liver.results.painting import painted
from gluon_liver.structures.slice_mapping import SliceHistory, SliceMapping


def rows_of(path):
    with open(path, newline="") as stream:
        return list(csv.DictReader(stream))


def test_a_list_of_formats_is_read_once_each():
    assert parse_formats("csv, coco,csv") == ["csv", "coco"]
    for text in ("csv,xml", "", "csv,"):
        with pytest.raises(InputError, match="is no format; there are coco, csv, geojson, nifti"):
            parse_formats(text)


def test_only_what_was_asked_for_is_written(found, tmp_path):
    names = write_results(tmp_path, found, ["csv", "geojson"])
    assert sorted(names) == sorted(path.name for path in tmp_path.iterdir())
    assert names == ["lesions.csv", "boxes.csv", "lesions.geojson"]


def test_tables_say_what_lesions_json_says(found, tmp_path):
    write_results(tmp_path, found, ["csv"])
    lesions, boxes = rows_of(tmp_path / "lesions.csv"), rows_of(tmp_path / "boxes.csv")
    assert [(one["lesion"], one["class"], one["boxes"]) for one in lesions] == [("1", "hcc", "2"), ("2", "cyst", "1")]
    first = found.entries[0]
    assert float(lesions[0]["in_plane_mm"]) == first["size_mm"]["in_plane"] == 19.2  # 24 rows of 0.8 mm
    assert float(lesions[0]["through_plane_mm"]) == 10.0
    centre = [float(lesions[0][f"centre_{axis}_lps_mm"]) for axis in "xyz"]
    assert centre == first["centre_lps_mm"]
    assert [(one["lesion"], one["slice"], one["score"]) for one in boxes] == [
        ("1", "3", "0.9"),
        ("1", "4", "0.8"),
        ("2", "9", "0.7"),
    ]
    assert [float(boxes[1][f"{edge}_px"]) for edge in ("x1", "y1", "x2", "y2")] == [11.25, 20.0, 31.0, 41.5]
    # index (3, 19.5, 9.5): x -100 - 19.5 * 0.8, y -90 + 9.5 * 0.5, z 50 + 3 * 5
    corner = [float(boxes[0][f"first_corner_{axis}_lps_mm"]) for axis in "xyz"]
    assert corner == pytest.approx([-115.6, -85.25, 65.0])
    corner = [float(boxes[0][f"opposite_corner_{axis}_lps_mm"]) for axis in "xyz"]
    assert corner == pytest.approx([-134.8, -75.25, 65.0])
    assert {one["source_slice"] for one in boxes} == {""} and {one["interpolated"] for one in boxes} == {"0"}


def test_tables_tell_the_pixels_of_the_series_and_what_was_interpolated(found, study, tmp_path):
    mapping = SliceMapping((60, 64), (60, 64), (0.8, 0.5), ((-1.0, 0.0, 64.0), (0.0, 1.0, 0.0)), tuple(range(12)))
    source = replace(study.source, mapping=mapping, history={"arterial": SliceHistory(interpolated=(4,))})
    found.entries[0]["boxes"][0]["source"] = {"slice": 3, "box_xyxy_px": [34.0, 20.0, 54.0, 44.0]}
    write_results(tmp_path, replace(found, study=replace(study, source=source)), ["csv"])
    boxes = rows_of(tmp_path / "boxes.csv")
    assert [one["interpolated"] for one in boxes] == ["0", "1", "0"]
    assert [boxes[0][f"source_{edge}_px"] for edge in ("x1", "y1", "x2", "y2")] == ["34.0", "20.0", "54.0", "44.0"]
    assert boxes[0]["source_slice"] == "3"


def test_geojson_is_a_polygon_a_box(found, tmp_path):
    write_results(tmp_path, found, ["geojson"])
    written = json.loads((tmp_path / "lesions.geojson").read_text())
    assert written["type"] == "FeatureCollection" and "not for diagnosis" in written["note"]
    assert [one["properties"]["lesion"] for one in written["features"]] == [1, 1, 2]
    feature = written["features"][0]
    assert feature["geometry"] == {
        "type": "Polygon",
        "coordinates": [[[10.0, 20.0], [30.0, 20.0], [30.0, 44.0], [10.0, 44.0], [10.0, 20.0]]],
    }
    corners = feature["properties"]["corners_lps_mm"]
    assert corners[0] == pytest.approx([-115.6, -85.25, 65.0]) and corners[1] == pytest.approx([-115.6, -75.25, 65.0])
    assert corners[2] == pytest.approx([-134.8, -75.25, 65.0]) and corners[3] == pytest.approx([-134.8, -85.25, 65.0])


def test_the_label_volume_lies_where_the_study_does(found, study, tmp_path):
    assert write_results(tmp_path, found, ["nifti"]) == ["lesions.nii.gz"]
    image = nibabel.load(tmp_path / "lesions.nii.gz")
    assert image.shape == (64, 60, 12) and image.get_data_dtype() == np.uint16
    assert image.header.get_zooms() == pytest.approx((0.5, 0.8, 5.0)) and image.header.get_xyzt_units()[0] == "mm"
    assert np.allclose(image.get_qform(), image.get_sform(), atol=1e-4)
    assert int(image.header["qform_code"]) == int(image.header["sform_code"]) == 1
    assert b"research use" in image.header["descrip"].tobytes()
    labels = np.asarray(image.dataobj)
    # of the second box, columns 11 to 30 have their centre between 11.25 and 31, rows 20 to 40 between 20 and 41.5
    assert np.bincount(labels.ravel())[1:].tolist() == [20 * 24 + 20 * 21, 36]
    # the corners of the first box: outer corners of its first and last marked voxel of slice 3, in RAS
    xs, ys = np.nonzero(labels[:, :, 3] == 1)
    for index, (x, y, z) in (
        ((xs.min() - 0.5, ys.min() - 0.5, 3), (115.6, 85.25, 65.0)),
        ((xs.max() + 0.5, ys.max() + 0.5, 3), (134.8, 75.25, 65.0)),
    ):
        assert (image.affine @ [*index, 1])[:3] == pytest.approx([x, y, z], abs=0.01)


def test_of_two_lesions_at_a_place_the_better_one_is_shown(found):
    swapped = replace(found, lesions=[found.lesions[1], found.lesions[0]])
    labels = label_volume(replace(swapped, lesions=[found.lesions[0], found.lesions[0]]))
    assert set(np.unique(labels)) == {0, 1}
    assert (label_volume(swapped) == 2).sum() == (label_volume(found) == 1).sum()


def test_ellipsoids_touch_the_sides_of_their_boxes(found):
    labels = label_volume(replace(found, shape=ELLIPSOIDS))[3] == 1
    ys, xs = np.nonzero(labels)
    assert (xs.min(), xs.max() + 1, ys.min(), ys.max() + 1) == (10, 30, 20, 44)
    assert labels.sum() == pytest.approx(np.pi / 4 * 20 * 24, rel=0.02) and not labels[20, 10]


@pytest.mark.parametrize("shape", ["boxes", "ellipsoids"])
def test_a_box_that_holds_no_centre_of_a_pixel_marks_the_one_with_its_middle(shape):
    (rows, columns), marked = painted(np.array([3.6, 5.1, 3.9, 5.4]), (8, 8), shape)
    assert (rows.start, columns.start, marked.tolist()) == (5, 3, [[True]])
    (rows, columns), marked = painted(np.array([7.9, 7.9, 8.0, 8.0]), (8, 8), shape)
    assert (rows.start + marked.shape[0], columns.start + marked.shape[1]) == (8, 8) and marked.sum() == 1
