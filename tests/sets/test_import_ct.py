"""Importing a set by its layout: boxes, splits, twins, what is left out, and going on after an interruption."""

import hashlib
import json
import os
import signal
import subprocess
import sys
import time
from functools import partial
from pathlib import Path

import numpy as np
import pytest

from gluon_liver.data.ct_dataset import CTDataset
from gluon_liver.errors import InputError
from gluon_liver.labels.masks import mask_boxes
from gluon_liver.readers.volumes.open import open_mask, open_volume
from gluon_liver.sets import case_import
from gluon_liver.sets.import_ct import import_set, plan_lines, report_lines
from gluon_liver.sets.layout import BoxLabels, Found, Layout, LeftOut, MaskLabels, PhaseVolume, SetCase, SourceBox
from tests.sets.written import small_volume, write_nifti

LESIONS = [("hcc", (4, 20, 14), (1.5, 3, 4)), ("cyst", (7, 14, 16), (2, 2, 2))]
CLASSES = ("cyst", "hcc")


class Masks(Layout):
    """A file a phase, CASE_PHASE.nii.gz, and CASE_mask.nii.gz; the split stands in the name of the case."""

    name, title, classes, phases, reference = "test-masks", "Masks", CLASSES, ("arterial", "portal"), "arterial"
    split = False

    def find(self, source):
        found = Found(notes=["a note of the layout"])
        for path in sorted(source.glob("*_arterial.nii.gz")):
            case = path.name.partition("_")[0]
            files = {phase: source / f"{case}_{phase}.nii.gz" for phase in self.phases}
            phases = {
                phase: PhaseVolume(file.name, partial(open_volume, file))
                for phase, file in files.items()
                if file.exists()
            }
            mask = source / f"{case}_mask.nii.gz"
            labels = MaskLabels(mask.name, "arterial", partial(open_masks, mask), {1: "hcc", 2: "cyst"}, (3,))
            split = case.split("-")[0] if self.split else ""
            found.cases.append(SetCase(case.rstrip("ab"), case, phases, labels if mask.exists() else None, split))
        found.left_out += [LeftOut(path.name, "it is a text") for path in source.glob("*.txt")]
        return found


class Official(Masks):
    name, split = "test-official", True


class Private(Masks):
    name, public = "test-private", False


class Boxes(Masks):
    name = "test-boxes"

    def find(self, source):
        found = super().find(source)
        box = SourceBox((3, 4, 9, 12), "hcc", 5)
        labels = [BoxLabels("arterial", {2: [box], 5: []}, exhaustive) for exhaustive in (False, True)]
        found.cases = [
            SetCase(one.patient, one.name, one.phases, labels[number % 2]) for number, one in enumerate(found.cases)
        ]
        return found


def open_masks(path):
    return [open_mask(path)]


def write_case(folder, name, seed, *, phases=("arterial", "portal"), axes="LPS", hu=None, mask=None, lesions=LESIONS):
    """Files of one case; returns the mask as written."""
    volume, drawn, _ = small_volume(seed, (10, 36, 40), lesions)
    for shift, phase in enumerate(phases):
        write_nifti(folder / f"{name}_{phase}.nii.gz", (volume if hu is None else hu) + 5 * shift, axes=axes)
    drawn = drawn if mask is None else mask
    write_nifti(folder / f"{name}_mask.nii.gz", drawn.astype(np.uint8), axes=axes)
    return drawn


def content(folder):
    """Path -> digest of every file below a folder."""
    return {
        path.relative_to(folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


@pytest.fixture
def source(tmp_path):
    folder = tmp_path / "source"
    folder.mkdir()
    return folder


def test_masks_become_the_boxes_they_were_made_from(source, tmp_path):
    masks = {
        name: write_case(source, name, seed, axes=axes)
        for seed, (name, axes) in enumerate([("a", "LPS"), ("b", "RAS"), ("c", "LAI")])
    }
    (source / "read me.txt").write_text("x")
    report = import_set(Masks(), source, tmp_path / "data")
    data = CTDataset.open(tmp_path / "data")
    names = {
        line.split(",")[0]: line.split(",")[2]
        for line in (tmp_path / "data/private/case-ids.csv").read_text().splitlines()[1:]
    }
    assert sorted(names.values()) == ["a", "b", "c"] and len(data.labels) == 30
    for label in data.labels:
        mask = masks[names[label.case]][label.slice]
        expected = sorted(
            (CLASSES.index({1: "hcc", 2: "cyst"}[value]), *map(float, corners(mask == value)))
            for value in np.unique(mask[mask > 0]).tolist()
        )
        assert sorted((kind, *box) for kind, box in zip(label.labels.tolist(), label.boxes.tolist())) == expected
    assert report["lesions"] == {"min_mm": 0.0, "of_masks": 6, "too_small": 0}
    assert report["left_out"] == [{"reason": "it is a text", "count": 1}]
    lines = report_lines(report)
    assert "3D lesions: 6" in lines and "note: a note of the layout" in lines
    assert [path.name for path in tmp_path.iterdir()] == ["source", "data"] or not (
        tmp_path / "data.unfinished"
    ).exists()


def corners(mask):
    rows, columns = np.nonzero(mask)
    return columns.min(), rows.min(), columns.max() + 1, rows.max() + 1


def test_small_lesions_are_dropped_and_counted(source, tmp_path):
    write_case(source, "a", 1)
    report = import_set(Masks(), source, tmp_path / "data", min_lesion_mm=4.5)
    assert report["lesions"] == {"min_mm": 4.5, "of_masks": 1, "too_small": 1}
    assert "3D lesions: 1, 1 below 4.5 mm were dropped" in report_lines(report)


def test_boxes_of_slices_and_whether_the_others_are_background(source, tmp_path):
    for seed, name in enumerate("ab"):
        write_case(source, name, seed, axes="RAI")
    import_set(Boxes(), source, tmp_path / "data")
    data = CTDataset.open(tmp_path / "data")
    slices = {
        case: [one.slice for one in data.labels if one.case == case] for case in {one.case for one in data.labels}
    }
    assert sorted(slices.values()) == [list(range(10)), [2, 5]]
    for label in data.labels:
        # columns and rows of the file run to the left and to the front; slices are counted from the feet all the same
        assert label.boxes.tolist() == ([[31, 24, 37, 32]] if label.slice == 2 else [])
        assert label.lesions.tolist() == ([5] if label.slice == 2 else [])


def test_splits_of_the_set_are_kept_and_by_patient_else(source, tmp_path):
    for seed, name in enumerate(["train-1", "train-2", "val-1", "test-1a", "test-1b"]):
        write_case(source, name, seed, phases=("arterial",))
    report = import_set(Official(), source, tmp_path / "data")
    assert report["patients"] == {"train": 2, "val": 1, "test": 1}
    with pytest.raises(InputError, match="splits of its own, which are kept: leave --split-fractions out"):
        import_set(Official(), source, tmp_path / "other", fractions=(0.5, 0, 0.5))
    assert import_set(Masks(), source, tmp_path / "random", fractions=(1, 0, 0))["patients"]["train"] == 4
    # one patient in two splits
    for path in source.glob("test-1b*"):
        path.rename(source / path.name.replace("test-1b", "val-1b"))
    write_case(source, "test-9", 9)


def test_twins_share_a_split_or_are_told_where_the_set_parts_them(source, tmp_path):
    for seed, name in ((1, "train-1"), (1, "test-1"), (2, "val-1")):
        write_case(source, name, seed, phases=("arterial",))
    report = import_set(Masks(), source, tmp_path / "data", fractions=(0.5, 0, 0.5))
    assert len(report["same_examination"]) == 1 and "share" in " ".join(report["notes"])
    together = json.loads((tmp_path / "data/dataset.json").read_text())["same_examination"]
    assert len(together) == 1 and sorted(report["patients"].values()) == [0, 1, 2]
    report = import_set(Official(), source, tmp_path / "official")
    assert any("the set's own splits part" in note for note in report["notes"])
    assert CTDataset.open(tmp_path / "official").splits.train


def test_what_cannot_be_used_is_left_out_with_reasons_that_name_no_file(source, tmp_path):
    write_case(source, "good", 0)
    broken = write_case(source, "broken", 1)
    (source / "broken_portal.nii.gz").write_bytes(b"no volume")
    write_case(source, "wrongmask", 2, mask=np.full_like(broken, 7))
    write_case(source, "windowed", 3, hu=np.clip(small_volume(3, (10, 36, 40))[0], 0, 255))
    report = import_set(Masks(), source, tmp_path / "data")
    assert len(report["taken"]) == 2 and len(report["studies_not_taken"]) == 2
    reasons = sorted(one["reason"] for one in report["quarantined"])
    assert len(reasons) == 3
    assert any("picture of 8 bits" in one and "--accept windowed" in one for one in reasons)
    assert any("values 7" in one for one in reasons) and any("no NIfTI file" in one for one in reasons)
    text = json.dumps(report)
    assert not any(name in text for name in ("broken", "wrongmask", str(source)))
    lines = plan_lines(Masks(), source)
    assert lines[0] == "would take: 4 case(s) of 4 patient(s)" and "  portal: 3 case(s)" in lines
    accepted = import_set(Masks(), source, tmp_path / "all", accept=("windowed",))
    assert len(accepted["taken"]) == 3 and accepted["accepted"] == ["windowed"]


def test_nothing_that_can_be_taken_leaves_nothing_behind(source, tmp_path):
    with pytest.raises(InputError, match="no case of Masks"):
        import_set(Masks(), source, tmp_path / "data")
    write_case(source, "a", 1)
    (source / "a_arterial.nii.gz").write_bytes(b"")
    with pytest.raises(InputError, match="no case was taken of 1"):
        import_set(Masks(), source, tmp_path / "data")
    assert not (tmp_path / "data").exists()


@pytest.mark.parametrize("options", [dict(jobs=0), dict(accept=("anything",)), dict(min_lesion_mm=-1.0)])
def test_options_that_are_wrong_are_refused(options, source, tmp_path):
    write_case(source, "a", 1)
    with pytest.raises(InputError, match="--jobs 0|--accept anything|--min-lesion-mm -1"):
        import_set(Masks(), source, tmp_path / "data", **options)


def test_an_interrupted_import_goes_on_and_ends_as_if_it_had_not_been(source, tmp_path, monkeypatch, capfd):
    for seed, name in enumerate("abcd"):
        write_case(source, name, seed, phases=("arterial",))
    import_set(Private(), source, tmp_path / "whole", salt="a salt of its own")
    done = []

    def stop_after_two(case, *rest):
        if len(done) == 2:
            raise KeyboardInterrupt
        done.append(case.name)
        real(case, *rest)

    real = case_import.import_case
    monkeypatch.setattr("gluon_liver.sets.case_jobs.import_case", stop_after_two)
    with pytest.raises(KeyboardInterrupt):
        import_set(Private(), source, tmp_path / "data", salt="a salt of its own")
    assert (tmp_path / "data.unfinished").is_dir() and not (tmp_path / "data").exists()
    first = list(done)
    again = []
    monkeypatch.setattr(
        "gluon_liver.sets.case_jobs.import_case", lambda case, *rest: (again.append(case.name), real(case, *rest))
    )
    changed = source / f"{first[0]}_arterial.nii.gz"
    os.utime(changed, (1, 1))  # a file that changed is read again
    import_set(Private(), source, tmp_path / "data", salt="a salt of its own")
    assert sorted(again) == sorted({*"abcd"} - {first[1]})
    assert "1 case(s) are done, 1 again" in capfd.readouterr().err
    assert content(tmp_path / "data") == content(tmp_path / "whole")
    assert not (tmp_path / "data.unfinished").exists()


def test_random_salt_of_private_data_is_kept_over_an_interruption(source, tmp_path, monkeypatch):
    for seed, name in enumerate("ab"):
        write_case(source, name, seed, phases=("arterial",))
    real = case_import.import_case
    calls = []

    def stop(case, *rest):
        if calls:
            raise KeyboardInterrupt
        calls.append(case)
        real(case, *rest)

    monkeypatch.setattr("gluon_liver.sets.case_jobs.import_case", stop)
    with pytest.raises(KeyboardInterrupt):
        import_set(Private(), source, tmp_path / "data")
    monkeypatch.undo()
    salt = (tmp_path / "data.unfinished/parts/salt").read_text()
    import_set(Private(), source, tmp_path / "data")
    assert (tmp_path / "data/private/salt.txt").read_text().strip() == salt


def test_killed_processes_leave_what_they_finished_and_several_give_the_same(source, tmp_path):
    for seed in range(6):
        write_case(source, f"c{seed}", seed)
    import_set(Masks(), source, tmp_path / "whole")
    code = (
        "import sys, pathlib; from tests.sets.test_import_ct import Masks; "
        "from gluon_liver.sets.import_ct import import_set; "
        "import_set(Masks(), pathlib.Path(sys.argv[1]), pathlib.Path(sys.argv[2]), jobs=2)"
    )
    root = Path(__file__).resolve().parents[2]
    command = [sys.executable, "-c", code, str(source), str(tmp_path / "data")]
    process = subprocess.Popen(command, cwd=root)
    parts = tmp_path / "data.unfinished/parts"
    while not (parts.is_dir() and list(parts.glob("*.json"))) and process.poll() is None:
        time.sleep(0.01)
    process.send_signal(signal.SIGKILL)
    process.wait()
    report = import_set(Masks(), source, tmp_path / "data", overwrite=True)
    assert len(report["taken"]) == 6
    assert content(tmp_path / "data") == content(tmp_path / "whole")


def test_a_mask_on_another_grid_goes_by_world_coordinates_and_outside_is_an_error(source, tmp_path):
    hu, mask, _ = small_volume(1, (10, 36, 40), LESIONS)
    write_nifti(source / "a_arterial.nii.gz", hu)
    write_nifti(source / "a_mask.nii.gz", mask[2:, 4:, 5:].astype(np.uint8), origin=(4.0, 3.2, 5.0))
    import_set(Masks(), source, tmp_path / "data")
    found = {one.slice: one.boxes.tolist() for one in CTDataset.open(tmp_path / "data").labels if len(one.boxes)}
    grid = open_volume(source / "a_arterial.nii.gz").geometry
    write_nifti(source / "b_mask.nii.gz", mask.astype(np.uint8))
    same = mask_boxes([open_mask(source / "b_mask.nii.gz")], {1: 0, 2: 1}, grid).slices
    assert found == {z: one.boxes.tolist() for z, one in same.items()}
    write_nifti(source / "a_mask.nii.gz", mask.astype(np.uint8), origin=(300, 0, 0))
    with pytest.raises(InputError, match="a lesion of value 1 lies outside the images"):
        import_set(Masks(), source, tmp_path / "outside")
