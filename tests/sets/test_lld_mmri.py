"""LLD-MMRI: boxes on their slices however these run, headers that are not believed, splits, and damaged records."""

import json
import pickle

import numpy as np
import pytest

from gluon_liver import mri_volume
from gluon_liver.data.images import to_grey
from gluon_liver.data.study import Study
from gluon_liver.errors import AnnotationError, InputError, VolumeError
from gluon_liver.prepare.study_volume import put_together
from gluon_liver.sets.lld_mmri import LLDMMRI, LLDMMRIDynamic
from gluon_liver.structures.modality import MRI_WINDOW

from .lld_mmri_set import CASES, PHASES, body_of, write_lld_mmri, write_series
from .truth import mask_truth

KINDS = {"MR101": "hcc", "MR-4002": "cyst", "MR203": "hemangioma"}


@pytest.fixture(scope="module")
def source(tmp_path_factory):
    folder = tmp_path_factory.mktemp("lld")
    return folder, write_lld_mmri(folder, lacking=[("MR203", "DWI")])


def changed(folder, change, name="Annotation.json"):
    path = folder / "labels" / name
    tree = json.loads(path.read_text())
    change(tree["Annotation_info"])
    path.write_text(json.dumps(tree))


def box_of(series):
    return series["annotation"]["lesion"]["0"]["bbox"]["2D_box"][0]


def test_cases_phases_and_what_is_not_known(source):
    found = LLDMMRI().find(source[0])
    assert [case.name for case in found.cases] == sorted(CASES)
    assert list(found.cases[0].phases) == list(LLDMMRI.phases) and len(LLDMMRI.phases) == 8
    assert {phase.value for case in found.cases for phase in case.phases.values()} == {"mri"}
    assert found.notes == [
        "the official split is not told here: patients are dealt to splits at random",
        "1 of 3 cases have no dwi phase: it is absent in them",
        "slices without a box are unlabelled: nothing says that every lesion of a patient has boxes",
    ]
    assert {case.split for case in found.cases} == {""} and not found.left_out
    pickle.dumps(found.cases)


def test_boxes_are_those_of_the_mask_on_slices_from_the_feet(source):
    folder, masks = source
    for case in LLDMMRI().find(folder).cases:
        assert case.labels.phase == "portal_venous" and not case.labels.exhaustive
        truth = mask_truth(masks[case.name])
        assert {z: sorted((*one.box, one.lesion) for one in boxes) for z, boxes in case.labels.slices.items()} == {
            z: sorted(boxes) for z, boxes in truth.items()
        }
        kinds = {one.class_name for boxes in case.labels.slices.values() for one in boxes}
        assert kinds == {KINDS[case.name]}


def test_each_phase_is_scaled_by_itself_and_turned_to_the_patient(source):
    for number, case in enumerate(sorted(CASES, key=list(CASES).index)):
        (found,) = [one for one in LLDMMRI().find(source[0]).cases if one.name == case]
        hu = body_of(number)[0]
        for phase, name in (("C+V", "portal_venous"), ("T2WI", "t2")):
            spacing, factor, offset, kind = PHASES[phase]
            values = np.maximum(hu[:: round(spacing / 3)] * factor + offset, 0).astype(kind)
            stack = found.phases[name].open()
            assert np.array_equal(stack.read(), mri_volume(values))
            assert stack.geometry.spacing[0] == pytest.approx(spacing)


def test_a_scale_of_ten_thousandths_is_not_rounded_away(source):
    dwi = LLDMMRI().find(source[0]).cases[0].phases["dwi"].open().read()
    assert dwi.min() == -1024 and dwi.max() > 1000 and len(np.unique(dwi)) > 80


def test_names_of_medsams_copy(tmp_path):
    masks = write_lld_mmri(tmp_path, flat=True)
    found = LLDMMRI().find(tmp_path)
    assert len(found.cases) == len(masks) and not found.left_out
    assert found.cases[0].phases["in_phase"].name == "images/MR-4002_4_InPhase_0000.nii.gz"


def test_the_four_phases_around_the_contrast(source):
    found = LLDMMRIDynamic().find(source[0])
    assert list(found.cases[0].phases) == ["non_contrast", "arterial", "portal_venous", "delayed"]
    assert len(found.cases) == 3 and not found.left_out


def test_a_phase_whose_header_puts_the_lesions_elsewhere_is_refused(tmp_path):
    write_lld_mmri(tmp_path, cases={"MR1": 6}, lacking=[("MR1", "C+A")])
    far = write_series(tmp_path, "MR1", "C+A", *body_of(0)[:2], 6, origin=(-30.0, -40.0, 15.0))
    changed(tmp_path, lambda info: info["MR1"].append(far))
    case = LLDMMRI().find(tmp_path).cases[0]
    case.phases["delayed"].open()
    with pytest.raises(VolumeError, match="puts a lesion 75 mm from where the reference phase has it") as raised:
        case.phases["arterial"].open()
    assert "MR1" not in raised.value.reason  # which reports show


@pytest.mark.parametrize("key, value, told", [("pixel_spacing", [2, 2], "2x2"), ("slice_spacing", 1.0, "1 mm")])
def test_a_header_that_the_annotation_contradicts_is_not_believed(key, value, told, tmp_path):
    write_lld_mmri(tmp_path, cases={"MR1": 6, "MR2": 3})
    changed(tmp_path, lambda info: [one.update({key: value}) for one in info["MR1"] if one["phase"] == "C+V"])
    changed(tmp_path, lambda info: [one.update({key: value}) for one in info["MR2"] if one["phase"] == "DWI"])
    found = LLDMMRI().find(tmp_path)
    (one,) = found.left_out
    assert one.path == "MR1" and told in one.reason and "one is wrong" in one.reason
    with pytest.raises(VolumeError, match="one is wrong"):
        found.cases[0].phases["dwi"].open()


def test_what_is_left_out_and_why(tmp_path):
    write_lld_mmri(tmp_path, cases={"MR1": 6, "MR2": -1, "MR3": 5, "MR4": 1, "MR5": 2}, lacking=[("MR3", "C+V")])

    def change(info):
        info["MR1"].append(dict(info["MR1"][0]))
        box_of(info["MR4"][5])["slice_idx"] = 10

    changed(tmp_path, change)
    found = LLDMMRI().find(tmp_path)
    assert [case.name for case in found.cases] == ["MR1", "MR5"]
    assert [(one.path, one.reason) for one in found.left_out] == [
        ("MR1/1.2.MR1.0", "the phase is there twice"),
        ("MR2", "the category of a lesion is not told (-1)"),
        ("MR3", "it has no portal_venous phase, on which boxes lie"),
        ("MR4", "a box lies outside its 10 slices of 40x48 pixels"),
    ]


def test_the_official_split_is_kept_where_it_is_known_of_every_case(tmp_path):
    write_lld_mmri(tmp_path, cases={"MR1": 6, "MR2": 3})
    write_lld_mmri(tmp_path / "lldmmri_test_set", cases={"MR3": 5}, name="Annotation_test.json")
    lists = tmp_path / "classification_dataset" / "labels"
    lists.mkdir(parents=True)
    (lists / "labels.txt").write_text("MR1 6\n\n")
    found = LLDMMRI().find(tmp_path)
    assert {case.split for case in found.cases} == {""}
    assert "known of 2 of 3 cases" in found.notes[0]
    (lists / "labels_val_inaccessible.txt").write_text("MR2 -1\n")
    found = LLDMMRI().find(tmp_path)
    assert {case.name: case.split for case in found.cases} == {"MR1": "train", "MR2": "val", "MR3": "test"}


@pytest.mark.parametrize(
    "change, told",
    [
        (lambda series: series.update(phase="T1"), "phase is 'T1', none of C-pre"),
        (lambda series: series["annotation"]["lesion"]["0"].update(category=9), "category is 9; -1 to 6"),
        (lambda series: series["annotation"]["lesion"]["0"]["bbox"].pop("2D_box"), "2D_box is missing"),
        (
            lambda series: box_of(series).update(x_min="a"),
            "x_min is no number",
        ),
        (lambda series: box_of(series).update(x_min=900), "none of an image"),
        (lambda series: series["annotation"].update(lesion=[]), "lesion is missing, or not an object"),
        (lambda series: series.pop("seriesUID"), "seriesUID is missing"),
    ],
)
def test_damaged_records_name_file_case_and_key(change, told, tmp_path):
    write_lld_mmri(tmp_path, cases={"MR1": 6})
    changed(tmp_path, lambda info: change(info["MR1"][2]))
    with pytest.raises(AnnotationError, match=rf"Annotation.json: MR1\[2\].*{told}"):
        LLDMMRI().find(tmp_path)


def test_other_numbers_of_categories_and_cases_outside_of_the_folder(tmp_path):
    write_lld_mmri(tmp_path, cases={"MR1": 6})
    path = tmp_path / "labels" / "Annotation.json"
    tree = json.loads(path.read_text())
    path.write_text(json.dumps({**tree, "Category_info": {"Hepatic_cyst": 2}}))
    with pytest.raises(AnnotationError, match="Category_info has Hepatic_cyst as 2; 4 is known"):
        LLDMMRI().find(tmp_path)
    path.write_text(json.dumps({"Annotation_info": {"../MR1": tree["Annotation_info"]["MR1"]}}))
    with pytest.raises(AnnotationError, match="which can be no folder"):
        LLDMMRI().find(tmp_path)
    path.write_text("[]")
    with pytest.raises(AnnotationError, match="Annotation_info is missing"):
        LLDMMRI().find(tmp_path)


def test_another_folder_is_refused(tmp_path):
    with pytest.raises(InputError, match="no LLD-MMRI: labels/Annotation.json beside"):
        LLDMMRI().find(tmp_path)


def test_phases_lie_on_the_reference_grid_and_those_that_lack_are_dark(source, tmp_path):
    (case,) = [one for one in LLDMMRI().find(source[0]).cases if one.name == "MR203"]
    stacks = {phase: volume.open() for phase, volume in case.phases.items()}
    images = {phase: stack.geometry.size[0] for phase, stack in stacks.items()}
    ids = dict(case="case", patient="patient", images=images, folder=tmp_path / "case", modality="MRI")
    put_together(stacks, LLDMMRI.phases, LLDMMRI.reference, lambda phase, error: pytest.fail(phase), **ids)
    study = Study.load(tmp_path / "case")
    assert study.modality == "MRI" and study.hu.shape == (8, 10, 40, 48)
    by_phase = dict(zip(study.phases, zip(study.hu, study.present)))
    hu = body_of(list(CASES).index("MR203"))[0]
    for phase, name in (("C+V", "portal_venous"), ("C+A", "arterial"), ("Out Phase", "out_phase")):
        _, factor, offset, kind = PHASES[phase]
        values = np.maximum(hu * factor + offset, 0).astype(kind)
        assert np.array_equal(by_phase[name][0], mri_volume(values)) and by_phase[name][1].all()
    t2, there = by_phase["t2"]  # slices twice as thick: every second is one of its own, those between are mixed
    own = stacks["t2"].read()
    assert there[:9].all() and np.array_equal(t2[:9:2], own)
    assert np.array_equal(t2[1], np.rint((own[0].astype(float) + own[1]) / 2).astype(np.int16))
    dwi, there = by_phase["dwi"]
    assert not there.any() and (dwi == -1024).all()
    assert (to_grey(dwi, MRI_WINDOW) == 0).all()
