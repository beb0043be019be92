"""WAW-TACE: which scan a mask belongs to, what is left out, and boxes equal to those of the masks."""

import pickle

import numpy as np
import pytest
import SimpleITK as sitk

from gluon_liver.errors import InputError
from gluon_liver.labels.masks import mask_boxes
from gluon_liver.sets.waw_tace import WAWTACE

from .truth import mask_truth
from .waw_tace_set import MASKS, write_mask, write_scan, write_waw_tace
from .written import small_volume

HU = small_volume(3, (8, 40, 48))[0]


@pytest.fixture(scope="module")
def source(tmp_path_factory):
    folder = tmp_path_factory.mktemp("waw")
    return folder, write_waw_tace(folder)


def boxes_on(case, phase):
    stack = case.phases[phase].open()
    return mask_boxes(case.labels.open(), {1: 0}, stack.geometry, ignored=(), min_mm=0)


def test_cases_in_the_order_of_numbers_and_the_scan_of_each_mask(source):
    found = WAWTACE().find(source[0])
    assert [case.name for case in found.cases] == ["2", "10", "35"]
    assert [case.labels.phase for case in found.cases] == ["arterial", "portal_venous", "arterial"]
    assert [list(case.phases) for case in found.cases] == [
        ["non_contrast", "arterial", "portal_venous", "delayed"],
        ["arterial", "portal_venous"],
        ["arterial", "delayed"],
    ]
    assert found.notes == [
        "1 mask(s) have the name of one phase and the grid of another: the grid was believed",
        "1 case(s) have their tumors drawn on portal_venous: carried to arterial",
        "2 of 3 cases have no non_contrast phase: it is absent in them",
        "1 of 3 cases have no portal_venous phase: it is absent in them",
        "1 of 3 cases have no delayed phase: it is absent in them",
    ]
    assert not found.left_out
    pickle.dumps(found.cases)


def test_boxes_are_those_of_the_masks_also_of_tumors_that_touch(source):
    folder, truth = source
    for case in WAWTACE().find(folder).cases:
        read = boxes_on(case, case.labels.phase)
        assert {z: sorted(one.boxes.tolist()) for z, one in read.slices.items()} == {
            z: sorted(list(map(float, box[:4])) for box in boxes) for z, boxes in mask_truth(truth[case.name]).items()
        }
        assert len(read.lesions) == truth[case.name].max()


def test_masks_are_carried_to_the_arterial_grid_by_world_coordinates(source):
    """Portal venous slices are half as thick: two of them lie around each arterial one but the lowest."""
    folder, truth = source
    (case,) = [case for case in WAWTACE().find(folder).cases if case.name == "10"]
    read = boxes_on(case, "arterial")
    thick = mask_truth(truth["35"])
    assert thick.keys() <= read.slices.keys()
    for z, boxes in thick.items():
        np.testing.assert_allclose(read.slices[z].boxes, [boxes[0][:4]], atol=1e-4)


def test_what_is_left_out_and_why(tmp_path):
    mask = np.zeros(HU.shape, int)
    mask[3, 10:14, 10:15] = 1
    write_scan(tmp_path, "1", 2, HU)  # no arterial scan
    write_mask(tmp_path, "1", 2, 0, mask)
    write_scan(tmp_path, "2", 1, HU)  # no mask
    write_scan(tmp_path, "3", 1, HU)  # masks on two phases
    write_scan(tmp_path, "3", 3, HU)
    write_mask(tmp_path, "3", 1, 0, mask)
    write_mask(tmp_path, "3", 3, 0, mask)
    write_mask(tmp_path, "3", 0, 0, mask[:, :20])  # of no scan
    write_mask(tmp_path, "4", 1, 0, mask)  # of nobody
    found = WAWTACE().find(tmp_path)
    assert [case.name for case in found.cases] == ["3"]
    reasons = {one.path: one.reason for one in found.left_out}
    assert reasons == {
        "1/1_2_scan.nii.gz": "the patient has no arterial scan, on which boxes lie",
        f"{MASKS}/1/1_2_0_tumor_seg.nrrd": "the patient has no arterial scan, on which boxes lie",
        "2/2_1_scan.nii.gz": "no tumor of this patient is marked",
        f"{MASKS}/3/3_3_0_tumor_seg.nrrd": "drawn on the delayed phase: the masks on the arterial phase count for this "
        "patient",
        f"{MASKS}/3/3_0_0_tumor_seg.nrrd": "there is no non_contrast scan, and the grid of the mask is not that of one "
        "scan alone",
        f"{MASKS}/4/4_1_0_tumor_seg.nrrd": "the patient has no arterial scan, on which boxes lie",
    }


def test_a_mask_with_no_scans_grid_goes_by_its_name(tmp_path):
    mask = np.zeros((8, 20, 48), int)
    mask[3, 10:14, 10:15] = 1
    write_scan(tmp_path, "1", 1, HU)
    write_mask(tmp_path, "1", 1, 0, mask)
    found = WAWTACE().find(tmp_path)
    assert found.notes[0].startswith("1 mask(s) have the grid of no scan")
    assert found.cases[0].labels.phase == "arterial"


def test_a_mask_with_the_voxels_of_a_scan_in_another_order_is_on_it(tmp_path):
    mask = np.zeros(HU.shape, int)
    mask[3, 10:14, 10:15] = 1
    write_scan(tmp_path, "1", 1, HU)
    write_mask(tmp_path, "1", 1, 0, mask)
    path = next(tmp_path.rglob("*_tumor_seg.nrrd"))
    image = sitk.ReadImage(str(path))
    sitk.WriteImage(image[::-1, ::-1], str(path))  # the origin moves along: every voxel stays at its place
    found = WAWTACE().find(tmp_path)
    assert found.cases[0].labels.phase == "arterial"
    assert not [note for note in found.notes if "grid" in note]


def test_another_folder_is_refused(tmp_path):
    with pytest.raises(InputError, match="no WAW-TACE: .*0 patients have scans and 0 have masks"):
        WAWTACE().find(tmp_path)
