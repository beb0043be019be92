"""The generic layout: phases by file names, classes and splits by set.yaml, ids that nobody can guess."""

import json

import pytest

from gluon_liver.commands import main
from gluon_liver.data.ct_dataset import CTDataset
from gluon_liver.errors import InputError
from gluon_liver.sets.import_ct import import_set
from gluon_liver.sets.nifti_folder import NIfTIFolder

from .truth import mask_truth
from .written import small_volume, write_itk, write_nifti

LESIONS = [("hcc", (3, 18, 12), (1.5, 3, 2)), ("cyst", (7, 15, 14), (2, 2, 4))]
SET = "phases: [arterial, portal_venous]\nreference: portal_venous\nclasses: {1: hcc, 2: cyst}\nignored: [3]\n"


def write_set(folder, text=SET, cases=("jane-doe", "case2", "case3")):
    folder.mkdir()
    (folder / "set.yaml").write_text(text)
    masks = {}
    for seed, name in enumerate(cases):
        (folder / name).mkdir()
        hu, masks[name], _ = small_volume(seed, (12, 34, 36), LESIONS)
        write_nifti(folder / name / "arterial.nii.gz", hu + 10, origin=(0, 0, 1.2), axes="RAS")
        write_itk(folder / name / "portal_venous.nrrd", hu)
        write_nifti(folder / name / "mask.nii", masks[name], axes="PIR")
    (folder / cases[0] / "notes.txt").write_text("x")
    return masks


def test_a_folder_a_case(tmp_path, capsys):
    masks = write_set(tmp_path / "set")
    assert main(f"import ct {tmp_path}/set --layout nifti --dry-run".split()) == 0
    plan = capsys.readouterr().out
    assert "would take: 3 case(s) of 3 patient(s)" in plan and "masks of 3 case(s); classes hcc, cyst" in plan
    assert main(f"import ct {tmp_path}/set --layout nifti --out {tmp_path}/data --jobs 1".split()) == 0
    assert "jane" not in plan + capsys.readouterr().out
    data = CTDataset.open(tmp_path / "data")
    assert data.phases == ("arterial", "portal_venous") and data.reference_phase == "portal_venous"
    report = json.loads((tmp_path / "data/import-report.json").read_text())
    assert all(one["phases"]["arterial"]["resampled"] for one in report["taken"])
    boxes = sorted(sorted(map(tuple, one.boxes.tolist())) for one in data.labels if len(one.boxes))
    truth = [
        sorted(tuple(map(float, one[:4])) for one in many) for m in masks.values() for many in mask_truth(m).values()
    ]
    assert boxes == sorted(truth)
    # a second import has other ids: the salt is random
    import_set(NIfTIFolder(), tmp_path / "set", tmp_path / "again")
    assert not {one.case for one in CTDataset.open(tmp_path / "again").cases} & {one.case for one in data.cases}


def test_splits_and_patients_of_the_file(tmp_path):
    more = "patients: {case2: p, case3: p}\nsplits: {train: [jane-doe], test: [case2, case3]}\n"
    write_set(tmp_path / "set", SET + more)
    assert import_set(NIfTIFolder(), tmp_path / "set", tmp_path / "data")["patients"] == {
        "train": 1,
        "val": 0,
        "test": 1,
    }


@pytest.mark.parametrize(
    "text, message",
    [
        ("phases: [a]\n", "classes"),
        ("phases: []\nclasses: {1: hcc}\n", "phases"),
        ("phases: [a, mask]\nclasses: {1: hcc}\n", "none of them mask"),
        ("phases: [a]\nreference: b\nclasses: {1: hcc}\n", "reference"),
        ("phases: [a]\nclasses: {liver: hcc}\n", "values of 1 or more"),
        (
            "phases: [a]\nclasses: {1: hcc}\nclases: 1\n",
            "unknown key .in the order of the file: 3",
        ),
        ("phases: [arterial]\nclasses: {1: hcc}\nsplits: {train: [nobody]}\n", "name 1 case"),
        ("phases: [arterial]\nclasses: {1: hcc}\nsplits: {train: [case2]}\n", "each of the 3 cases once"),
        ("phases: [delayed]\nclasses: {1: hcc}\n", "no folder holds a volume named delayed"),
    ],
)
def test_descriptions_that_are_wrong(text, message, tmp_path):
    write_set(tmp_path / "set", text)
    with pytest.raises(InputError, match=message):
        NIfTIFolder().find(tmp_path / "set")


@pytest.mark.parametrize(
    "options, message",
    [
        ("--dry-run", "--dry-run is for --layout"),
        ("--layout nowhere --out {}/x", "known are"),
        ("--layout nifti", "say where the data go"),
        ("--layout nifti --regrid --out {}/x", "--regrid is for folders of DICOM"),
        ("--layout nifti --allow-missing --out {}/x", "--allow-missing is for folders of DICOM"),
        ("--layout nifti --crowd as-lesion --out {}/x", "--crowd is for folders of DICOM"),
        ("--layout nifti --out {}/x", "has no set.yaml"),
    ],
)
def test_options_that_do_not_go_together(options, message, tmp_path, capsys):
    (tmp_path / "set").mkdir()
    assert main(["import", "ct", f"{tmp_path}/set", *options.replace("{}", str(tmp_path)).split()]) == 2
    assert message in capsys.readouterr().err and [one.name for one in tmp_path.iterdir()] == ["set"]
