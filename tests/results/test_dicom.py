"""Reports and segmentations read back by highdicom and pydicom: each box in its image, where lesions.json has it."""

from dataclasses import replace

import highdicom as hd
import numpy as np
import pydicom
import pytest

from gluon_liver.errors import InputError
from gluon_liver.results import codes
from gluon_liver.results.formats import write_results
from gluon_liver.results.found import corners_in_patient
from gluon_liver.results.painting import painted
from gluon_liver.results.structured_report import largest_first
from tests.readers.ct_writer import enhanced_dataset, uid, write

from .series import BOXES, HCC, write_series


def images_of(folder):
    """SOPInstanceUID -> header."""
    files = [pydicom.dcmread(path, stop_before_pixels=True) for path in sorted(folder.glob("*.dcm"))]
    return {one.SOPInstanceUID: one for one in files}


def in_patient(image, points):
    """mm of (n, 2) columns and rows as SCOORD has them: 0 the outer corner, 0.5 the centre of the first pixel."""
    row, column = np.split(np.array(image.ImageOrientationPatient, float), 2)
    dy, dx = map(float, image.PixelSpacing)
    points = np.asarray(points, float) - 0.5
    return np.array(image.ImagePositionPatient, float) + points[:, :1] * dx * row + points[:, 1:] * dy * column


def in_order(corners):
    return np.array(sorted(np.asarray(corners).tolist(), key=lambda corner: np.round(corner, 1).tolist()))


@pytest.fixture(scope="module")
def groups(made):
    return hd.sr.srread(made[2] / "lesions-sr.dcm").content.get_planar_roi_measurement_groups()


@pytest.fixture(scope="module")
def segmentation(made):
    return hd.seg.segread(made[2] / "lesions-seg.dcm")


def test_a_box_around_one_pixel_is_its_outline(tmp_path, read_found):
    """Row 2, column 3: its centre lies 3 and 2 pixels of 0.8 mm from that of the first, at 3.5, 2.5 of SCOORD."""
    found = read_found(write_series(tmp_path / "ct"), [(1, [3.0, 2.0, 4.0, 3.0], HCC, 0.9)])
    write_results(tmp_path, found, ["dicom-sr", "dicom-seg"])
    (group,) = hd.sr.srread(tmp_path / "lesions-sr.dcm").content.get_planar_roi_measurement_groups()
    assert group.roi.value.tolist() == [[3, 2], [4, 2], [4, 3], [3, 3], [3, 2]]
    corners = in_patient(images_of(tmp_path / "ct")[uid(1, 1, 2)], group.roi.value)
    assert corners[0] == pytest.approx([-10 + 2.5 * 0.8, -20 + 1.5 * 0.8, 2.0])
    assert corners[2] == pytest.approx([-10 + 3.5 * 0.8, -20 + 2.5 * 0.8, 2.0])
    pixels = hd.seg.segread(tmp_path / "lesions-seg.dcm").get_pixels_by_source_instance([uid(1, 1, 2)])
    assert np.argwhere(pixels[0, :, :, 0]).tolist() == [[2, 3]]


def test_every_box_lies_in_its_image_where_lesions_json_has_it(made, groups):
    folder, found, _ = made
    images, boxes = images_of(folder), [box for one in found.lesions for box in largest_first(one)]
    assert len(groups) == len(boxes) == 4
    for group, box in zip(groups, boxes):
        image = images[group.roi.ContentSequence[0].referenced_sop_instance_uid]
        assert image.ImagePositionPatient[2] == 2 * box.slice
        (entry,) = [one for lesion in found.entries for one in lesion["boxes"] if one == box.to_json()]
        expected = corners_in_patient(found.study.geometry, box.slice, entry["box_xyxy_px"])
        assert in_patient(image, group.roi.value)[:4] == pytest.approx(expected, abs=0.01)


@pytest.mark.parametrize("lying", ["prone", "turned"])
@pytest.mark.parametrize("spacing", [[0.8, 0.8], [0.8, 0.5]])
def test_a_series_that_lies_otherwise_or_has_oblong_pixels(tmp_path, read_found, lying, spacing):
    found = read_found(write_series(tmp_path / "ct", lying=lying, PixelSpacing=spacing), BOXES)
    write_results(tmp_path, found, ["dicom-sr"])
    boxes = [box for one in found.lesions for box in largest_first(one)]
    groups = hd.sr.srread(tmp_path / "lesions-sr.dcm").content.get_planar_roi_measurement_groups()
    assert len(groups) == len(boxes)
    for group, box in zip(groups, boxes):
        image = images_of(tmp_path / "ct")[group.roi.ContentSequence[0].referenced_sop_instance_uid]
        expected = corners_in_patient(found.study.geometry, box.slice, box.box)
        assert np.abs(in_order(in_patient(image, group.roi.value)[:4]) - in_order(expected)).max() < 0.01


def test_what_a_group_says(made, groups):
    _, found, _ = made
    assert [one.tracking_identifier for one in groups] == ["Lesion 1 (hcc)"] * 2 + [
        "Lesion 2 (cyst)",
        "Lesion 3 (hemangioma)",
    ]
    assert [one.tracking_uid for one in groups] == [found.tracking_uids[k] for k in (0, 0, 1, 2)]
    assert [one.finding_type.value for one in groups] == ["25370001"] * 2 + ["367643001", "2099007"]
    assert {one.finding_sites[0].value.meaning for one in groups} == {"Liver"}
    first, second = (
        {one.name.meaning: (one.value, one.unit.value) for one in group.get_measurements()} for group in groups[:2]
    )
    size = found.entries[0]["size_mm"]
    assert size == {"in_plane": 12.4, "through_plane": 4.0}
    assert first == {
        "Long Axis": (12.4, "mm"),
        "Extent across slices": (4.0, "mm"),
        "Certainty of Finding": (90.0, "%"),
    }
    assert set(second) == {"Certainty of Finding"}
    # what 3D Slicer takes a polyline of four corners for a box by
    for one in groups:
        said = {evaluation.name.meaning: evaluation.value.value for evaluation in one.get_qualitative_evaluations()}
        assert said == {"Finding category": "49755003", "Geometric purpose of region": "75958009"}


def test_what_viewers_ask_of_a_report(made):
    """OHIF: the title, an image library with a group, one tracking UID a group; both: the study and its series."""
    folder, found, out = made
    report, images = pydicom.dcmread(out / "lesions-sr.dcm"), images_of(folder)
    first = next(iter(images.values()))
    assert (report.Modality, report.SOPClassUID) == ("SR", "1.2.840.10008.5.1.4.1.1.88.33")
    assert report.ConceptNameCodeSequence[0].CodeValue == "126000"
    assert report.ContentTemplateSequence[0].TemplateIdentifier == "1500"
    names = {item.ConceptNameCodeSequence[0].CodeMeaning: item for item in report.ContentSequence}
    (library,) = names["Image Library"].ContentSequence
    assert len(library.ContentSequence) >= 3 and "Imaging Measurements" in names
    for keyword in ("StudyInstanceUID", "PatientID", "PatientName"):
        assert report[keyword].value == first[keyword].value
    assert report.SeriesInstanceUID not in {one.SeriesInstanceUID for one in images.values()}
    (evidence,) = report.CurrentRequestedProcedureEvidenceSequence[0].ReferencedSeriesSequence
    assert evidence.SeriesInstanceUID == first.SeriesInstanceUID
    assert {one.ReferencedSOPInstanceUID for one in evidence.ReferencedSOPSequence} == {
        uid(1, 1, place + 1) for place in (2, 3, 5)
    }


def test_both_objects_say_what_made_them_and_that_it_is_no_diagnosis(made, segmentation):
    report = pydicom.dcmread(made[2] / "lesions-sr.dcm")
    texts = [item.TextValue for item in report.ContentSequence if item.ValueType == "TEXT"]
    assert any("not for diagnosis" in text and "research use only" in text for text in texts)
    assert "not for diagnosis" in segmentation.ImageComments
    for one in (report, segmentation):
        assert "computer-made, research use" in one.SeriesDescription
        assert (one.ManufacturerModelName, one.SoftwareVersions) == ("gluon_liver", "0.1.0")
    assert (report.CompletionFlag, report.VerificationFlag) == ("PARTIAL", "UNVERIFIED")
    values = [str(item.value) for item in report.iterall()]
    assert "gluon_liver 0.1.0" in values and "gluon_liver r50" in values


def test_segments(made, segmentation):
    _, found, _ = made
    first = segmentation.SegmentSequence[0]
    assert [one.SegmentLabel for one in segmentation.SegmentSequence] == [
        "Lesion 1 (hcc)",
        "Lesion 2 (cyst)",
        "Lesion 3 (hemangioma)",
    ]
    assert [one.TrackingUID for one in segmentation.SegmentSequence] == found.tracking_uids
    assert (first.SegmentAlgorithmType, first.SegmentAlgorithmName) == ("AUTOMATIC", "gluon_liver r50")
    assert first.SegmentedPropertyTypeCodeSequence[0].CodeValue == "25370001"
    assert first.AnatomicRegionSequence[0].CodeMeaning == "Liver"
    # sRGB (255, 120, 50) is L* 65.7, a* 47.5, b* 60.0 by the formulas of IEC 61966-2-1 and CIE 15
    lightness, a, b = first.RecommendedDisplayCIELabValue
    assert (lightness / 655.35, a / 257 - 128, b / 257 - 128) == pytest.approx((65.7, 47.5, 60.0), abs=0.4)


def test_masks_lie_on_the_images_where_the_boxes_do(made, segmentation):
    folder, found, _ = made
    images = images_of(folder)
    assert segmentation.FrameOfReferenceUID == next(iter(images.values())).FrameOfReferenceUID
    assert segmentation.StudyInstanceUID == next(iter(images.values())).StudyInstanceUID
    (series,) = segmentation.ReferencedSeriesSequence
    assert series.SeriesInstanceUID == next(iter(images.values())).SeriesInstanceUID
    assert segmentation.SharedFunctionalGroupsSequence[0].PixelMeasuresSequence[0].SpacingBetweenSlices == 2
    for frame in segmentation.PerFrameFunctionalGroupsSequence:
        assert frame.DerivationImageSequence[0].SourceImageSequence[0].SpatialLocationsPreserved == "YES"
    assert segmentation.NumberOfFrames == 4  # a frame for each lesion and image that it is on
    for number, lesion in enumerate(found.lesions):
        for box in lesion.boxes:
            pixels = segmentation.get_pixels_by_source_instance([uid(1, 1, box.slice + 1)])[0, :, :, number]
            part, marked = painted(box.box, (32, 24), "boxes")
            expected = np.zeros((32, 24), bool)
            expected[part] = marked
            assert np.array_equal(pixels, expected)
    # the corners of the first box, whose edges are those of pixels
    ys, xs = np.nonzero(segmentation.get_pixels_by_source_instance([uid(1, 1, 3)])[0, :, :, 0])
    box = found.lesions[0].boxes[0]
    corners = in_patient(images[uid(1, 1, 3)], [[xs.min(), ys.min()], [xs.max() + 1, ys.max() + 1]])
    assert corners == pytest.approx(corners_in_patient(found.study.geometry, 2, box.box)[::2], abs=0.01)


def test_lesions_apart_and_lesions_on_one_another_give_the_same_masks(made, segmentation, tmp_path, read_found):
    apart = read_found(made[0], BOXES[:2] + BOXES[3:])
    write_results(tmp_path, apart, ["dicom-seg"])
    alone = hd.seg.segread(tmp_path / "lesions-seg.dcm")
    for place in (2, 3):
        one, other = (each.get_pixels_by_source_instance([uid(1, 1, place + 1)])[0] for each in (segmentation, alone))
        assert one[..., 0].any() and np.array_equal(one[..., 0], other[..., 0])


def test_too_many_lesions_on_one_another_are_refused(made, tmp_path, monkeypatch):
    monkeypatch.setattr("gluon_liver.results.segmentation.MOST_BYTES", 1000)
    with pytest.raises(InputError, match="3 lesions, some on one another, on 3 images .* higher --score"):
        write_results(tmp_path, made[1], ["dicom-seg"])
    assert not [*tmp_path.iterdir()]


def test_an_interpolated_slice_names_the_nearest_image_and_says_so(tmp_path, read_found):
    """Slices at 0, 2, 4, 8, 10, 12 mm: the stored slice 3 at 6 mm was interpolated between those at 4 and 8."""
    folder = write_series(tmp_path / "ct", zs=(0.0, 2.0, 4.0, 8.0, 10.0, 12.0))
    boxes = [(3, [4.0, 6.0, 12.0, 20.0], HCC, 0.9), (4, [4.0, 6.0, 11.0, 19.0], HCC, 0.6)]
    found = read_found(folder, boxes, regrid=True)
    assert found.study.source.history["arterial"].interpolated == (3,)
    write_results(tmp_path, found, ["dicom-sr", "dicom-seg"])
    groups = hd.sr.srread(tmp_path / "lesions-sr.dcm").content.get_planar_roi_measurement_groups()
    shown = [group.roi.ContentSequence[0].referenced_sop_instance_uid for group in groups]
    assert shown == [uid(1, 1, 3), uid(1, 1, 4)]
    said = [[one.value.meaning for one in group.get_qualitative_evaluations()] for group in groups]
    assert [any(text.startswith("Interpolated") for text in one) for one in said] == [True, False]
    assert groups[0].roi.value[2].tolist() == [12, 20]
    scores = [one.value for group in groups for one in group.get_measurements(name=codes.CERTAINTY)]
    assert scores == [90.0, 60.0]  # of the lesion, then of the other box
    # the box of the interpolated slice is all that there is at 4 mm
    pixels = hd.seg.segread(tmp_path / "lesions-seg.dcm").get_pixels_by_source_instance(shown)[..., 0]
    assert pixels.sum(axis=(1, 2)).tolist() == [8 * 14, 7 * 13]


def test_uneven_slices_each_show_the_box_that_is_nearest(tmp_path, read_found):
    """Slices at 0, 2, 4, 5.2, 6, 8, 10 mm: that at 5.2 mm is stored nowhere, and shows the box of 6 mm."""
    folder = write_series(tmp_path / "ct", zs=(0.0, 2.0, 4.0, 5.2, 6.0, 8.0, 10.0))
    found = read_found(folder, [(3, [4.0, 6.0, 12.0, 20.0], HCC, 0.9)], regrid=True)
    assert found.study.source.mapping.slices == (0, 1, 2, -1, 3, 4, 5)
    write_results(tmp_path, found, ["dicom-sr", "dicom-seg"])
    (group,) = hd.sr.srread(tmp_path / "lesions-sr.dcm").content.get_planar_roi_measurement_groups()
    assert group.roi.ContentSequence[0].referenced_sop_instance_uid == uid(1, 1, 5)
    seg = hd.seg.segread(tmp_path / "lesions-seg.dcm")
    assert seg.get_pixels_by_source_instance([uid(1, 1, 4), uid(1, 1, 5)]).sum(axis=(1, 2, 3)).tolist() == [112, 112]


def test_slices_that_were_shifted_back_are_shifted_again(tmp_path, read_found):
    """A gantry tilt of 0.4 mm a mm moves slice 5, 10 mm up, by two pixels and a half against slice 3 in the middle."""
    found = read_found(write_series(tmp_path / "ct", tilt=0.4), [(5, [4.0, 6.0, 12.0, 20.0], HCC, 0.9)], regrid=True)
    write_results(tmp_path, found, ["dicom-sr", "dicom-seg"])
    (group,) = hd.sr.srread(tmp_path / "lesions-sr.dcm").content.get_planar_roi_measurement_groups()
    image = images_of(tmp_path / "ct")[group.roi.ContentSequence[0].referenced_sop_instance_uid]
    assert group.roi.value[0].tolist() == pytest.approx([4.0, 4.0])
    expected = corners_in_patient(found.study.geometry, 5, found.lesions[0].boxes[0].box)
    assert in_patient(image, group.roi.value)[:4] == pytest.approx(expected, abs=0.01)
    pixels = hd.seg.segread(tmp_path / "lesions-seg.dcm").get_pixels_by_source_instance([image.SOPInstanceUID])
    assert np.argwhere(pixels[0, :, :, 0]).min(axis=0).tolist() == [4, 4]


def test_frames_of_one_file_are_named_by_number(tmp_path, read_found):
    frames = np.arange(6 * 16 * 16, dtype=np.int16).reshape(6, 16, 16)
    dataset = enhanced_dataset(frames, zs=[10.0 - 2 * k for k in range(6)], intercepts=[0] * 6)
    write(dataset, tmp_path / "ct" / "all.dcm")
    found = read_found(tmp_path / "ct", [(1, [3.0, 4.0, 8.0, 9.0], HCC, 0.9)])
    write_results(tmp_path, found, ["dicom-sr", "dicom-seg"])
    (group,) = hd.sr.srread(tmp_path / "lesions-sr.dcm").content.get_planar_roi_measurement_groups()
    assert group.roi.ContentSequence[0].referenced_frame_numbers == [5]  # at 2 mm
    pixels = hd.seg.segread(tmp_path / "lesions-seg.dcm").get_pixels_by_source_frame(dataset.SOPInstanceUID, [4, 5])
    # stored pixels are 0.5 mm wide, those of the series 0.75: edges 2 and 5.33, which hold three centres
    assert not pixels[0].any() and pixels[1].sum() == 5 * 3


def test_nothing_found_writes_no_object(made, tmp_path):
    empty = replace(made[1], lesions=[], entries=[])
    assert write_results(tmp_path, empty, ["dicom-sr", "dicom-seg", "csv"]) == ["lesions.csv", "boxes.csv"]
