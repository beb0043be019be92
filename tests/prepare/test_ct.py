"""The whole import: what is taken, what is not and why, labels on their slices, nothing half-written."""

from __future__ import annotations

import json
import os
import shutil
import signal
import stat
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from gluon_liver.commands import main
from gluon_liver.data.ct_dataset import CTDataset
from gluon_liver.errors import AnnotationError, InputError, PhaseError, SplitError
from gluon_liver.prepare.ct import import_ct, write_phase_template
from tests.readers.ct_writer import ct_dataset, uid, write, write_series

PHASES = {"NON CONTRAST": 0.0, "ARTERIAL": 0.0, "DELAYED": 1.0}


def write_study(folder, study=1, *, patient="P1", phases=PHASES, slices=4):
    """One study of `slices` slices 2 mm apart; pixels of series n, slice i hold 100 n + i."""
    for number, (description, z0) in enumerate(phases.items(), 1):
        for i in range(slices):
            ds = ct_dataset(
                study=study,
                series=number,
                instance=i,
                z=z0 + 2.0 * i,
                patient=patient,
                description=description,
                pixels=np.full((16, 16), 100 * number + i, np.int16),
            )
            write(ds, os.path.join(str(folder), f"st{study}", f"se{number}", f"{i}.dcm"))


def label_file(path, images, boxes=(), **extra):
    record = {
        "images": [{"id": i, "width": 16, "height": 16, **image} for i, image in enumerate(images, 1)],
        "annotations": [
            {"id": i, "image_id": image, "category_id": category, "bbox": bbox}
            for i, (image, category, bbox) in enumerate(boxes, 1)
        ],
        "categories": [{"id": 1, "name": "cyst"}, {"id": 2, "name": "hemangioma"}, {"id": 3, "name": "hcc"}],
        **extra,
    }
    Path(path).write_text(json.dumps(record))
    return path


def siblings(out):
    return [name for name in os.listdir(os.path.dirname(str(out))) if "importing" in name]


def test_a_study_with_three_phases(tmp_path):
    write_study(tmp_path / "in")
    report = import_ct(tmp_path / "in", tmp_path / "data", salt="s")
    dataset = CTDataset.open(tmp_path / "data")
    assert dataset.phases == ("non_contrast", "arterial", "delayed") and dataset.reference_phase == "arterial"
    study = dataset.study(dataset.cases[0].case)
    assert study.hu[:2, :, 0, 0].tolist() == [[100, 101, 102, 103], [200, 201, 202, 203]]
    # Delayed starts 1 mm higher: its first slice lies half a slice outside, the others between two slices.
    assert study.present.tolist() == [[True] * 4, [True] * 4, [False, True, True, True]]
    assert study.hu[2, :, 0, 0].tolist() == [-1024, 300, 302, 302]
    assert report["taken"][0]["phases"]["delayed"]["absent_slices"] == 1
    assert dataset.cases_of("train") == [study.case] and dataset.labels == []
    again = import_ct(tmp_path / "in", tmp_path / "again", salt="s")
    assert again["taken"][0]["case"] == study.case != import_ct(tmp_path / "in", tmp_path / "x")["taken"][0]["case"]


def test_what_cannot_be_used_is_left_out_and_the_rest_is_taken(tmp_path):
    write_study(tmp_path / "in", 1)
    write_study(tmp_path / "in", 2, patient="P2", phases={"NON CONTRAST": 0.0, "PORTAL": 0.0})
    write_study(tmp_path / "in", 3, patient="P3", phases={"ARTERIAL": 0.0, "ART thin": 0.0})
    write_study(tmp_path / "in", 4, patient="P4")
    os.remove(tmp_path / "in" / "st4" / "se1" / "2.dcm")
    write_study(tmp_path / "in", 5, patient="P5")
    os.truncate(tmp_path / "in" / "st5" / "se2" / "2.dcm", 900)
    write_study(tmp_path / "in", 6, patient="P6", phases={"ARTERIAL": 0.0, "DELAYED": 500.0})
    (tmp_path / "in" / "readme.txt").write_text("hello")
    report = import_ct(tmp_path / "in", tmp_path / "data", salt="s")
    assert len(report["taken"]) == 3 and len(report["studies_not_taken"]) == 3
    kinds = sorted(one["kind"] for one in report["quarantined"])
    assert kinds == [
        "SliceGapError",
        "TruncatedFileError",
        "competing-series",
        "competing-series",
        "no-overlap",
        "no-phase",
        "no-reference",
        "no-reference",
        "no-reference",
    ]
    assert [one["kind"] for one in report["rejected"]] == ["not-dicom"]
    partial = [one for one in report["taken"] if set(one["phases"]) != {"non_contrast", "arterial", "delayed"}]
    assert sorted(sorted(one["phases"]) for one in partial) == [["arterial"], ["arterial", "delayed"]]
    for one in partial:
        present = CTDataset.open(tmp_path / "data").study(one["case"]).present
        assert not present[0].any()


def test_another_frame_of_reference_leaves_the_phase_out(tmp_path):
    write_study(tmp_path / "in")
    for path in (tmp_path / "in" / "st1" / "se3").iterdir():
        i = int(path.stem)
        write(
            ct_dataset(series=3, instance=i, z=2.0 * i, description="DELAYED", FrameOfReferenceUID="1.2.3"),
            path,
        )
    report = import_ct(tmp_path / "in", tmp_path / "data")
    assert sorted(report["taken"][0]["phases"]) == ["arterial", "non_contrast"]
    assert [one["kind"] for one in report["quarantined"]] == ["frame-of-reference"]


def test_labels_by_uid_and_by_index_land_on_their_slices(tmp_path):
    write_study(tmp_path / "in")
    labels = label_file(
        tmp_path / "l.json",
        [
            {"sop_instance_uid": uid(1, 2, 3)},
            {"study": uid(1), "phase": "arterial", "slice": 0},
            {"study": uid(1), "phase": "delayed", "slice": 1},
            {"sop_instance_uid": uid(1, 1, 1)},
        ],
        [(1, 3, [1, 2, 3, 4]), (3, 1, [0, 0, 2, 2]), (4, 1, [0, 0, 2, 2])],
    )
    report = import_ct(tmp_path / "in", tmp_path / "data", labels=labels)
    images = CTDataset.open(tmp_path / "data").labels
    assert [(image.slice, image.boxes.tolist(), image.labels.tolist()) for image in images] == [
        (0, [], []),
        (2, [[1, 2, 4, 6]], [2]),
    ]
    not_taken = {one["reason"]: (one["images"], one["boxes"]) for one in report["labels"]["not_taken"]}
    assert not_taken == {
        "labels belong to the reference phase, this one lies on delayed": (1, 1),
        "labels belong to the reference phase, this one lies on non_contrast": (1, 1),
    }


def test_exhaustive_lists_the_other_slices_as_background(tmp_path):
    write_study(tmp_path / "in")
    write_study(tmp_path / "in", 2, patient="P2")
    labels = label_file(
        tmp_path / "l.json", [{"sop_instance_uid": uid(1, 2, 3)}], [(1, 3, [1, 2, 3, 4])], exhaustive=True
    )
    import_ct(tmp_path / "in", tmp_path / "data", labels=labels)
    images = CTDataset.open(tmp_path / "data").labels
    assert [(image.slice, len(image.boxes)) for image in images] == [(0, 0), (1, 0), (2, 1), (3, 0)]
    assert len({image.case for image in images}) == 1 and len({image.image_id for image in images}) == 4


def test_labels_of_what_was_not_taken_are_counted(tmp_path):
    write_study(tmp_path / "in")
    write_study(tmp_path / "in", 2, patient="P2")
    os.remove(tmp_path / "in" / "st2" / "se2" / "1.dcm")
    write_series(tmp_path / "in" / "loc", series=9, zs=(0,), ImageType=["ORIGINAL", "PRIMARY", "LOCALIZER"])
    labels = label_file(
        tmp_path / "l.json",
        [{"sop_instance_uid": uid(2, 2, 1)}, {"sop_instance_uid": uid(1, 9, 1)}],
        [(1, 3, [1, 2, 3, 4])],
    )
    report = import_ct(tmp_path / "in", tmp_path / "data", labels=labels)
    reasons = {one["reason"]: (one["images"], one["boxes"]) for one in report["labels"]["not_taken"]}
    assert reasons == {
        "its study was not taken": (1, 1),
        "its image was left out: a localizer by ImageType": (1, 0),
    }


def test_regrid_moves_labels_with_their_slices(tmp_path):
    write_study(tmp_path / "in", phases={"ARTERIAL": 0.0}, slices=6)
    os.remove(tmp_path / "in" / "st1" / "se1" / "2.dcm")
    labels = label_file(
        tmp_path / "l.json",
        [{"study": uid(1), "phase": "arterial", "slice": 2}],
        [(1, 3, [1, 2, 3, 4])],
        exhaustive=True,
    )
    with pytest.raises(InputError, match="lacks slices"):
        import_ct(tmp_path / "in", tmp_path / "data", labels=labels)
    report = import_ct(tmp_path / "in", tmp_path / "data", labels=labels, regrid=True)
    images = CTDataset.open(tmp_path / "data").labels
    # The third slice of the series is the fourth of the grid; slice 2 was interpolated: nobody looked at it.
    assert [(image.slice, len(image.boxes)) for image in images] == [(0, 0), (1, 0), (3, 1), (4, 0), (5, 0)]
    assert report["taken"][0]["phases"]["arterial"]["interpolated_slices"] == 1


@pytest.mark.parametrize(
    "image, message",
    [
        ({"sop_instance_uid": "1.2.3"}, "image 1: key 'sop_instance_uid' names no image"),
        ({"sop_instance_uid": 5}, "image 1: key 'sop_instance_uid' must be a text"),
        ({"study": "1.2.3", "phase": "arterial", "slice": 0}, "image 1: key 'study' names no study"),
        ({"study": uid(1), "phase": "venous", "slice": 0}, "image 1: key 'phase' is 'venous'"),
        (
            {"study": uid(1), "phase": "arterial", "slice": 4},
            "image 1: key 'slice' is 4; its series has 4 slices",
        ),
        ({"study": uid(1), "phase": "arterial"}, "image 1 needs 'sop_instance_uid', or"),
        ({"sop_instance_uid": uid(1, 2, 1), "width": 17}, "image 1: 'width' and 'height' are 17 and 16"),
    ],
)
def test_a_wrong_label_file_stops_the_import_and_nothing_is_written(tmp_path, image, message):
    write_study(tmp_path / "in")
    labels = label_file(tmp_path / "l.json", [image])
    with pytest.raises(AnnotationError, match=message) as caught:
        import_ct(tmp_path / "in", tmp_path / "data", labels=labels)
    assert uid(1) not in str(caught.value)
    assert not (tmp_path / "data").exists() and not siblings(tmp_path / "data")


def test_one_slice_named_twice_and_a_wrong_exhaustive(tmp_path):
    write_study(tmp_path / "in")
    same = [{"sop_instance_uid": uid(1, 2, 3)}, {"study": uid(1), "phase": "arterial", "slice": 2}]
    with pytest.raises(AnnotationError, match="image 2 is the same slice as image 1"):
        import_ct(tmp_path / "in", tmp_path / "data", labels=label_file(tmp_path / "l.json", same))
    with pytest.raises(AnnotationError, match="key 'exhaustive'"):
        import_ct(tmp_path / "in", tmp_path / "data", labels=label_file(tmp_path / "l.json", [], exhaustive="yes"))


def test_bad_folders_and_options(tmp_path):
    write_study(tmp_path / "in")
    write_study(tmp_path / "portal", phases={"PORTAL": 0.0})
    (tmp_path / "empty").mkdir()
    (tmp_path / "text").mkdir()
    (tmp_path / "text" / "a.txt").write_text("x")
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "thesis.doc").write_text("x")
    out = tmp_path / "data"
    for folder, target, options, error, message in [
        ("absent", out, {}, InputError, "no such folder"),
        ("text/a.txt", out, {}, InputError, "is a file"),
        ("empty", out, {}, InputError, "is empty"),
        ("text", out, {}, InputError, "no study was taken from 1 file"),
        ("portal", out, {}, InputError, "no rule says which phase"),
        ("portal", out, {}, InputError, "`python -m gluon_liver import ct FOLDER --list-series FILE` writes"),
        ("in", out, {"seed": -1}, SplitError, "seed is -1"),
        ("in", tmp_path / "in" / "data", {}, InputError, "lies inside the folder"),
        ("in", tmp_path / "in", {}, InputError, "lies inside the folder"),
        ("in", tmp_path, {"overwrite": True}, InputError, "contains the folder"),
        ("in", tmp_path / "empty", {}, InputError, "exists"),
        ("in", tmp_path / "full", {"overwrite": True}, InputError, "is no data folder"),
        ("in", tmp_path / "text" / "a.txt", {}, InputError, "exists and is no folder"),
        ("in", tmp_path / "no" / "data", {}, InputError, "parent folder does not exist"),
        ("in", out, {"fractions": (1, 1, 1)}, SplitError, "split fractions"),
        ("in", out, {"reference": "portal"}, PhaseError, "--reference portal"),
        ("in", out, {"phases": tmp_path / "absent.yaml"}, PhaseError, "cannot be read"),
        ("in", out, {"labels": tmp_path / "absent.json"}, AnnotationError, "cannot be read"),
    ]:
        with pytest.raises(error, match=message):
            import_ct(tmp_path / folder, target, **options)
        assert not out.exists() and not siblings(out)
    assert (tmp_path / "full" / "thesis.doc").exists()


def test_overwrite_replaces_a_data_folder(tmp_path):
    write_study(tmp_path / "in")
    import_ct(tmp_path / "in", tmp_path / "data")
    (tmp_path / "data" / "images").mkdir()
    with pytest.raises(InputError, match="--overwrite"):
        import_ct(tmp_path / "in", tmp_path / "data")
    import_ct(tmp_path / "in", tmp_path / "data", overwrite=True)
    assert not (tmp_path / "data" / "images").exists() and not siblings(tmp_path / "data")
    assert CTDataset.open(tmp_path / "data").cases


def test_overwrite_never_deletes_what_no_import_wrote(tmp_path, monkeypatch):
    write_study(tmp_path / "in")
    import_ct(tmp_path / "in", tmp_path / "data")
    (tmp_path / "data" / "run").mkdir()
    (tmp_path / "data" / "run" / "config.yaml").write_text("x")
    with pytest.raises(InputError, match="holds 'run', which no import wrote"):
        import_ct(tmp_path / "in", tmp_path / "data", overwrite=True)
    (tmp_path / "data" / "run").rename(tmp_path / "run")

    def put_back(*args):
        (tmp_path / "run").rename(tmp_path / "data" / "run")

    monkeypatch.setattr("gluon_liver.prepare.ct.write_private", put_back)
    with pytest.raises(InputError, match="holds 'run'"):
        import_ct(tmp_path / "in", tmp_path / "data", overwrite=True)
    assert (tmp_path / "data" / "run" / "config.yaml").exists() and not siblings(tmp_path / "data")


def test_no_private_folder_when_none_is_wanted(tmp_path):
    write_study(tmp_path / "in")
    import_ct(tmp_path / "in", tmp_path / "data", private=False)
    assert not (tmp_path / "data" / "private").exists() and CTDataset.open(tmp_path / "data").cases


def test_file_names_and_order_change_nothing(tmp_path):
    names = []
    for study in range(1, 5):
        write_study(tmp_path / "a", study, patient=f"P{study}")
        # Two fields of view of three slices each share a series, which nothing but their content tells apart.
        for i in range(6):
            ds = ct_dataset(
                study=study,
                series=9,
                instance=i,
                z=2.0 * i,
                patient=f"P{study}",
                description="PORTAL",
                pixels=np.zeros((16, 16 if i % 2 else 8), np.int16),
            )
            write(ds, tmp_path / "a" / f"st{study}" / "se9" / f"{i}.dcm")
    for path in sorted((tmp_path / "a").rglob("*.dcm")):
        names.append(path)
    (tmp_path / "b").mkdir()
    for number, path in enumerate(reversed(names)):
        shutil.copy(path, tmp_path / "b" / f"{number:03d}")
    listed = [{"sop_instance_uid": uid(study, 2, 2)} for study in range(1, 5)]
    boxes = [(image, 1, [1, 1, image, 5]) for image in range(1, 5)]
    labels = label_file(tmp_path / "l.json", listed, boxes, exhaustive=True)
    first, second = (
        import_ct(tmp_path / folder, tmp_path / f"data-{folder}", labels=labels, salt="a salt for the test")
        for folder in "ab"
    )
    for name in ("labels.json", "splits.json", "dataset.json", "import-report.json"):
        one, other = ((tmp_path / f"data-{folder}" / name).read_text() for folder in "ab")
        assert one == other, name
    assert first == second and len(first["quarantined"]) == 8
    images = CTDataset.open(tmp_path / "data-a").labels
    assert [image.case for image in images] == sorted(image.case for image in images) and len(images) == 16


@pytest.mark.parametrize("salt", ["", "  \t", "a\udcff"])
def test_a_salt_that_hides_nothing_is_refused(tmp_path, salt):
    write_study(tmp_path / "in")
    with pytest.raises(InputError, match="--salt"):
        import_ct(tmp_path / "in", tmp_path / "data", salt=salt)
    assert not (tmp_path / "data").exists()


def test_a_short_salt_is_noted(tmp_path):
    write_study(tmp_path / "in")
    for salt, noted in (("phantom", True), ("phantoms", False), (None, False)):
        report = import_ct(tmp_path / "in", tmp_path / "data", salt=salt, overwrite=True)
        assert any("the salt is shorter than 8 characters" in note for note in report["notes"]) == noted


def test_a_full_disk_is_called_so(tmp_path, monkeypatch):
    write_study(tmp_path / "in")

    def fail(*_):
        raise OSError("258048 requested and 200640 written")

    monkeypatch.setattr(np, "save", fail)
    with pytest.raises(InputError, match="--out .* cannot be written: writing stopped .* disk is probably full"):
        import_ct(tmp_path / "in", tmp_path / "data")
    assert not (tmp_path / "data").exists() and not siblings(tmp_path / "data")


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_an_unwritable_parent(tmp_path):
    write_study(tmp_path / "in")
    (tmp_path / "closed").mkdir(mode=0o500)
    with pytest.raises(InputError, match="not writable"):
        import_ct(tmp_path / "in", tmp_path / "closed" / "data")


def test_identifiers_stay_in_the_private_folder(tmp_path, capsys):
    write_study(tmp_path / "in", patient="SECRET-ID")
    write_study(tmp_path / "in", 2, patient="SECRET-ID", phases={"PORTAL SECRET": 0.0})
    write_series(tmp_path / "in" / "SECRET", series=7, zs=(0, 2, 9), patient="SECRET-ID", study=3)
    assert main(["import", "ct", str(tmp_path / "in"), "--out", str(tmp_path / "data")]) == 0
    printed = capsys.readouterr()
    private = tmp_path / "data" / "private"
    assert stat.S_IMODE(private.stat().st_mode) == 0o700
    assert sorted(path.name for path in private.iterdir()) == [
        "files.csv",
        "key.csv",
        "phases-template.yaml",
        "salt",
        "series.csv",
    ]
    public = [path for path in (tmp_path / "data").rglob("*") if path.is_file() and private not in path.parents]
    for text in [printed.out, printed.err] + [path.read_bytes().decode("latin-1") for path in public]:
        assert "SECRET" not in text and uid(1) not in text and "Name" not in text
    assert uid(1) in (private / "key.csv").read_text() and "SECRET" in (private / "files.csv").read_text()


def test_command_line_exit_codes_and_report(tmp_path, capsys):
    write_study(tmp_path / "in")
    (tmp_path / "in" / "a.txt").write_text("x")
    assert main(["import", "ct", str(tmp_path / "in")]) == 2
    assert "--out" in capsys.readouterr().err
    both = ["--list-series", str(tmp_path / "p.yaml"), "--out", str(tmp_path / "data")]
    assert main(["import", "ct", str(tmp_path / "in")] + both) == 2
    assert "--list-series imports nothing" in capsys.readouterr().err
    assert not (tmp_path / "p.yaml").exists() and not (tmp_path / "data").exists()
    assert main(["import", "ct", str(tmp_path / "in"), "--out", str(tmp_path / "data"), "--seed", "-1"]) == 2
    assert capsys.readouterr().err.startswith("error: the split seed is -1")
    assert main(["import", "ct", str(tmp_path / "absent"), "--out", str(tmp_path / "data")]) == 2
    assert capsys.readouterr().err.startswith("error: ")
    assert main(["import", "ct", str(tmp_path / "in"), "--out", str(tmp_path / "data")]) == 0
    printed = capsys.readouterr().out
    assert "taken: 1 study(s) of 1 patient(s), 4 slices" in printed
    assert "left out: file 0001 (1 image(s), not-dicom): not a DICOM file" in printed
    assert main(["import", "ct", str(tmp_path / "in"), "--list-series", str(tmp_path / "p.yaml")]) == 0
    assert stat.S_IMODE((tmp_path / "p.yaml").stat().st_mode) == 0o600


def test_a_listed_template_imports_what_it_lists(tmp_path):
    write_study(tmp_path / "in")
    assert write_phase_template(tmp_path / "in", tmp_path / "p.yaml") == 3
    report = import_ct(tmp_path / "in", tmp_path / "data", phases=tmp_path / "p.yaml")
    assert {record["rule"] for record in report["taken"][0]["phases"].values()} == {"named in the phase file"}
    with pytest.raises(InputError, match="exists"):
        write_phase_template(tmp_path / "in", tmp_path / "p.yaml")


def test_patients_without_id_are_kept_apart_and_noted(tmp_path):
    write_study(tmp_path / "in", 1, patient="")
    write_study(tmp_path / "in", 2, patient="")
    report = import_ct(tmp_path / "in", tmp_path / "data")
    assert len({one["patient"] for one in report["taken"]}) == 2
    assert any("no PatientID" in note for note in report["notes"])


def test_a_phantom_is_marked_as_one(tmp_path):
    write_study(tmp_path / "in", 1)
    import_ct(tmp_path / "in", tmp_path / "real")
    write_series(tmp_path / "in" / "ph", study=2, patient="P2", QualityControlImage="YES")
    report = import_ct(tmp_path / "in", tmp_path / "mixed")
    assert not CTDataset.open(tmp_path / "real").phantom
    assert CTDataset.open(tmp_path / "mixed").phantom
    assert "1 of 2 studies show a phantom" in report["notes"][0]


def test_two_studies_of_a_patient_share_the_split(tmp_path):
    for study in range(1, 7):
        write_study(tmp_path / "in", study, patient=f"P{study // 2}", phases={"ARTERIAL": 0.0})
    import_ct(tmp_path / "in", tmp_path / "data", fractions=(0.5, 0.25, 0.25))
    dataset = CTDataset.open(tmp_path / "data")
    cases = [case for name in ("train", "val", "test") for case in dataset.cases_of(name)]
    assert len(cases) == len(set(cases)) == 6 and len({info.patient for info in dataset.cases}) == 4


def test_a_kill_leaves_no_data_and_the_next_import_cleans_up(tmp_path):
    write_study(tmp_path / "in")
    script = (
        "import sys, time\n"
        "from gluon_liver.prepare import ct, ct_study\n"
        "ct_study.assemble = lambda *a: (print('in the middle', flush=True), time.sleep(60))\n"
        f"ct.import_ct({str(tmp_path / 'in')!r}, {str(tmp_path / 'data')!r})\n"
    )
    root = Path(__file__).resolve().parents[2]
    process = subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, cwd=str(root))
    assert b"in the middle" in process.stdout.readline()
    assert len(siblings(tmp_path / "data")) == 1
    import_ct(tmp_path / "in", tmp_path / "data")
    # The other import is alive: its folder is left alone.
    assert len(siblings(tmp_path / "data")) == 1
    process.send_signal(signal.SIGKILL)
    process.wait()
    process.stdout.close()
    import_ct(tmp_path / "in", tmp_path / "data", overwrite=True)
    assert not siblings(tmp_path / "data")
